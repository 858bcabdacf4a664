package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

// outside returns the variables that name e's servers, through its proxies.
func outside(e *testenv.Env) []string {
	return []string{"DATABASE_URL=" + e.Program.Config.DatabaseURL, "REDIS_URL=" + e.Program.Config.RedisURL}
}

func TestServices(t *testing.T) {
	t.Parallel()
	p := start(t, outside(testenv.New(t, "plugins", "miniredis", testenv.AlsoStaff)))
	var names []string
	protoregistry.GlobalFiles.RangeFilesByPackage(databasev1.File_osirose_database_v1_user_proto.Package(), func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				names = append(names, string(s.Name())+"/"+string(s.Methods().Get(j).Name()))
			}
		}
		return true
	})
	if len(names) == 0 {
		t.Fatal("no rpc found in the .proto files")
	}
	for _, name := range names {
		// Every rpc refuses an empty request with a reason, or a negative limit, so a reason proves that the service is mounted.
		request := "{}"
		if name == "StaffService/ListAudit" {
			request = `{"limit":-1}`
		}
		if code, answer := p.post(t, name, request); code != http.StatusBadRequest || at(answer, "meta", "reason") == nil {
			t.Errorf("%s: got %d %v, want the service's refusal", name, code, answer)
		}
	}
}

func TestServersDown(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	user := e.AddUser(t, "Alice")
	p := start(t, outside(e))
	wantReady := func(wantCode int, field, want string) {
		t.Helper()
		var answer map[string]any
		eventually(t, fmt.Sprintf("%d %s %s", wantCode, field, want), func() bool { // the other server's answer may be late
			var code int
			code, answer = p.ready(t)
			return code == wantCode && answer["ready"] == (wantCode == http.StatusOK) && answer[field] == want
		})
		if text := fmt.Sprint(answer); strings.Contains(text, "127.0.0.1") || strings.Contains(text, "SELECT") {
			t.Errorf("/readyz contains an address: %s", text)
		}
	}
	wantReady(http.StatusOK, "redis", "ok")
	e.RDProxy.Refuse()
	wantReady(http.StatusOK, "redis", "down")
	if code, answer := p.post(t, "UserService/GetUser", `{"user_id":"`+user+`"}`); code != http.StatusOK {
		t.Errorf("GetUser without Redis: got %d %v", code, answer)
	}
	e.PGProxy.Refuse()
	wantReady(http.StatusServiceUnavailable, "database", "down")
	e.PGProxy.Accept()
	e.PGProxy.Hold()
	wantReady(http.StatusServiceUnavailable, "database", "down")
	e.PGProxy.Release()
	e.RDProxy.Accept()
	wantReady(http.StatusOK, "database", "ok")
	wantReady(http.StatusOK, "redis", "ok")
	if strings.Contains(p.stderr.String(), e.RDProxy.Addr()) || strings.Contains(p.stderr.String(), e.PGProxy.Addr()) {
		t.Errorf("the log contains addresses: %s", &p.stderr)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	t.Run("a request in flight", func(t *testing.T) {
		t.Parallel()
		// On a machine under load the request may time out before it is released.
		for try := 0; ; try++ {
			b := startBlocked(t)
			b.program.signal(t, syscall.SIGTERM)
			eventually(t, "new connections to be refused", func() bool { return !accepts(b.program.url) })
			b.release()
			code := <-b.answered
			b.program.wantExit(t, 0)
			if code == http.StatusServiceUnavailable && try < 5 {
				continue
			}
			if code != http.StatusOK {
				t.Errorf("the request got %d, want 200", code)
			}
			return
		}
	})
	t.Run("a second signal", func(t *testing.T) {
		t.Parallel()
		p := start(t, outside(testenv.New(t, "plugins", "miniredis")), "-grace", "1h")
		p.signal(t, syscall.SIGTERM)
		eventually(t, "not ready", func() bool { return notReady(t, p) })
		p.signal(t, syscall.SIGTERM)
		<-p.exited
		status, _ := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
		if status.Signal() != syscall.SIGTERM {
			t.Errorf("the program ended with %v, want killed by the signal", p.cmd.ProcessState)
		}
	})
}

func TestGrace(t *testing.T) {
	t.Parallel()
	p := start(t, outside(testenv.New(t, "plugins", "miniredis")), "-grace", "1s")
	p.signal(t, syscall.SIGTERM)
	eventually(t, "not ready", func() bool { return notReady(t, p) })
	p.wantExit(t, 0)
}

// notReady reports whether the program is not ready because it leaves.
func notReady(t *testing.T, p *program) bool {
	code, answer := p.ready(t)
	return code == http.StatusServiceUnavailable && answer["ready"] == false && answer["database"] == "ok"
}

// blocked is a program with one request that waits in the database.
type blocked struct {
	program  *program
	arrived  chan struct{}
	answered chan int // the request's status; 0: no answer
	release  func()
}

// block makes the next GetSession of p wait in the database.
func block(t *testing.T, e *testenv.Env, p *program) blocked {
	t.Helper()
	released := make(chan struct{})
	b := blocked{p, make(chan struct{}), make(chan int, 1), sync.OnceFunc(func() { close(released) })}
	t.Cleanup(b.release)
	var once sync.Once
	e.PGProxy.OnSend(func(sent []byte) {
		if bytes.Contains(sent, []byte("session_by_token")) {
			once.Do(func() { close(b.arrived) })
			<-released
		}
	})
	return b
}

func startBlocked(t *testing.T, env ...string) blocked {
	t.Helper()
	e := testenv.New(t, "plugins", "miniredis")
	_, token := e.AddSession(t, e.AddUser(t, "Alice"), time.Hour)
	b := block(t, e, start(t, append(outside(e), env...)))
	go func() {
		r, err := http.Post(b.program.url+"/twirp/osirose.database.v1.SessionService/GetSession", "application/json", strings.NewReader(`{"token":"`+token+`"}`))
		if err != nil {
			b.answered <- 0
			return
		}
		defer r.Body.Close()
		b.answered <- r.StatusCode
	}()
	select {
	case <-b.arrived:
	case code := <-b.answered:
		t.Fatalf("the request got %d before its statement reached the database", code)
	}
	return b
}

func accepts(url string) bool {
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		return false
	}
	c.Close()
	return true
}

func TestRefuseToStart(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	database, rd := "DATABASE_URL="+e.Program.Config.DatabaseURL, "REDIS_URL="+e.Program.Config.RedisURL
	refused, hung := "127.0.0.1:"+freePort(t), hungServer(t)

	for _, test := range []struct {
		name string
		code int
		env  []string
		args []string
		want []string
	}{
		{"database refuses", 1, []string{"DATABASE_URL=postgres://me:hidden@" + refused + "/game", rd}, nil, []string{"DATABASE_URL", refused + "/game", "refused"}},
		{"database hangs", 1, []string{"DATABASE_URL=postgres://me:hidden@" + hung + "/game", rd}, nil, []string{"DATABASE_URL", hung + "/game", "timeout"}},
		{"no such login", 1, []string{"DATABASE_URL=postgres://nobody_here:hidden@" + testenv.Postgres(t).Addr() + "/postgres", rd}, nil, []string{"/postgres", `"nobody_here" does not exist`}},
		{"a password with an &", 1, []string{database + "&password=a&hidden=b", rd}, nil, []string{"DATABASE_URL", "does not know a parameter"}},
		{"a value of a parameter", 1, []string{database + "&work_mem=hidden", rd}, nil, []string{"DATABASE_URL", "refuses the value of a parameter"}},
		{"options that are none", 1, []string{database + "&options=hidden", rd}, nil, []string{"DATABASE_URL", "options"}},
		{"redis refuses", 1, []string{database, "REDIS_URL=redis://:hidden@" + refused + "/0"}, nil, []string{"REDIS_URL", refused, "refused"}},
		{"redis hangs", 1, []string{database, "REDIS_URL=redis://:hidden@" + hung + "/0"}, nil, []string{"REDIS_URL", hung, "timeout"}},
		{
			"wrong environment", 1,
			[]string{"SERVICE_PORT=hidden", "LOG_LEVEL=hidden", "DATABASE_URL=postgres://me:hidden@x:y/z", "REDIS_URL=http://hidden", "CHARACTER_SLOTS=hidden"}, nil,
			[]string{"SERVICE_PORT", "LOG_LEVEL", "DATABASE_URL", "REDIS_URL", "CHARACTER_SLOTS"},
		},
		{"wrong REDIS_URL alone", 1, []string{"REDIS_URL=http://hidden"}, nil, []string{"REDIS_URL"}},
		{"-data and DATABASE_URL", 2, []string{database}, []string{"-data", "x"}, []string{"-data", "DATABASE_URL"}},
		{"unknown flag", 2, nil, []string{"-hidde"}, []string{"-hidde", "database-service -h"}},
		{"unknown command", 2, nil, []string{"migrat"}, []string{"migrat", "database-service -h"}},
		{"no server to check", 1, nil, []string{"healthcheck"}, []string{"refused"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := runToEnd(t, test.code, test.env, test.args...)
			wantText(t, &p.stderr, test.want...)
			if strings.Contains(p.stderr.String(), "hidden") || p.stdout.String() != "" {
				t.Errorf("stderr %q and stdout %q, want no secret and nothing", &p.stderr, &p.stdout)
			}
		})
	}
}

// hungServer returns the address of a server that never answers: the kernel accepts the connection, and no program
// reads from it.
func hungServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func TestHelp(t *testing.T) {
	t.Parallel()
	wantText(t, &runToEnd(t, 0, nil, "-h").stdout, "-data DIR", "migrate", "healthcheck", "DATABASE_URL")
	wantText(t, &runToEnd(t, 0, nil, "migrate", "-h").stdout, "-print", "-role", "-auth-schema", "-no-user-trigger", "AUTH_TIMEZONE")
}
