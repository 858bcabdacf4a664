package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

// templateFlag names the deployment's template, relative to this folder, in which the tests run.
var templateFlag = []string{"-template", "../template.yaml"}

func startEmulator(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	return start(t, env, append(append([]string{"emulator"}, templateFlag...), args...)...)
}

// clients are Twirp clients of all services, for protobuf or JSON.
type clients struct {
	users      databasev1.UserService
	characters databasev1.CharacterDbService
	sessions   databasev1.SessionService
}

func clientsOf(url string) map[string]clients {
	h := http.DefaultClient
	return map[string]clients{
		"protobuf": {databasev1.NewUserServiceProtobufClient(url, h), databasev1.NewCharacterDbServiceProtobufClient(url, h), databasev1.NewSessionServiceProtobufClient(url, h)},
		"JSON":     {databasev1.NewUserServiceJSONClient(url, h), databasev1.NewCharacterDbServiceJSONClient(url, h), databasev1.NewSessionServiceJSONClient(url, h)},
	}
}

// player is the user that the calls ask for.
type player struct{ id, name, token string }

func addPlayer(t *testing.T, e *testenv.Env, name string) player {
	t.Helper()
	p := player{id: e.AddUser(t, name), name: name}
	_, p.token = e.AddSession(t, p.id, time.Hour)
	return p
}

// calls return requests whose responses are always the same: reads, replays and refusals.
func (p player) calls() map[string]func(context.Context, clients) (proto.Message, error) {
	return map[string]func(context.Context, clients) (proto.Message, error){
		"GetUser": func(ctx context.Context, c clients) (proto.Message, error) {
			return c.users.GetUser(ctx, &databasev1.GetUserRequest{UserId: p.id})
		},
		"GetUser, unknown": func(ctx context.Context, c clients) (proto.Message, error) {
			return c.users.GetUser(ctx, &databasev1.GetUserRequest{UserId: "missing"})
		},
		"GetUserBySession": func(ctx context.Context, c clients) (proto.Message, error) {
			return c.users.GetUserBySession(ctx, &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: p.token}})
		},
		"GetSession": func(ctx context.Context, c clients) (proto.Message, error) {
			return c.sessions.GetSession(ctx, &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: p.token}})
		},
		"GetSession, unknown": func(ctx context.Context, c clients) (proto.Message, error) {
			return c.sessions.GetSession(ctx, &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: "nothing"}})
		},
		"CreateCharacter": func(ctx context.Context, c clients) (proto.Message, error) {
			return c.characters.CreateCharacter(ctx, p.create())
		},
		"CreateCharacter, invalid name": func(ctx context.Context, c clients) (proto.Message, error) {
			return c.characters.CreateCharacter(ctx, &databasev1.CreateCharacterRequest{UserId: p.id, Name: "ÄÖÜ & co"})
		},
		"GetCharacterList": func(ctx context.Context, c clients) (proto.Message, error) {
			return c.characters.GetCharacterList(ctx, &databasev1.GetCharacterListRequest{UserId: p.id})
		},
		"GetCharacterList, empty": func(ctx context.Context, c clients) (proto.Message, error) {
			return c.characters.GetCharacterList(ctx, &databasev1.GetCharacterListRequest{})
		},
	}
}

func (p player) create() *databasev1.CreateCharacterRequest {
	return &databasev1.CreateCharacterRequest{UserId: p.id, Name: p.name + "-1", RequestId: "0f8fad5b-d9cb-469f-a165-70867728950e"}
}

// wantSameAnswers compares the responses of the services behind every gateway of the emulator at url with direct ones.
func wantSameAnswers(t *testing.T, p player, direct, url string) {
	t.Helper()
	if _, err := clientsOf(direct)["protobuf"].characters.CreateCharacter(t.Context(), p.create()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", "/_gateway/v2", "/_gateway/v1", "/_gateway/furl", "/_gateway/alb", "/_gateway/alb-multi"} {
		for codec, behind := range clientsOf(url + path) {
			for name, call := range p.calls() {
				want, wantErr := call(t.Context(), clientsOf(direct)[codec])
				got, err := call(t.Context(), behind)
				if diff := cmp.Diff(want, got, protocmp.Transform(), protocmp.IgnoreFields(&databasev1.Session{}, "expires_in_seconds")); diff != "" {
					t.Errorf("%s, %s, %s: %s", path, codec, name, diff)
				}
				if diff := cmp.Diff(describeError(wantErr), describeError(err)); diff != "" {
					t.Errorf("%s, %s, %s: %s", path, codec, name, diff)
				}
			}
		}
	}
}

// describeError returns everything that a client sees of an error.
func describeError(err error) []any {
	e, ok := err.(twirp.Error)
	if !ok {
		return []any{err}
	}
	return []any{e.Code(), e.Msg(), e.MetaMap()}
}

func TestEmulator(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis", testenv.AlsoPurge)
	direct := start(t, outside(e))
	dir := t.TempDir()
	p := startEmulator(t, outside(e), "-save", dir)
	wantSameAnswers(t, addPlayer(t, e, "Alice"), direct.url, p.url)
	if code, answer := p.ready(t); code != http.StatusOK || answer["ready"] != true {
		t.Errorf("/readyz: got %d %v", code, answer)
	}
	wantText(t, &p.stdout, "UserFunction", "SessionFunction", "PurgeFunction", "in this process", "aws lambda invoke --endpoint-url "+p.url+" --region us-east-1 ")

	env := []string{"SERVICE_PORT=" + p.url[strings.LastIndexByte(p.url, ':')+1:]}
	saved, err := filepath.Glob(filepath.Join(dir, "*-UserFunction-GetUserBySession.json"))
	if err != nil || len(saved) == 0 {
		t.Fatalf("got %v, %v, want saved events", saved, err)
	}
	if event, err := os.ReadFile(saved[0]); err != nil || !bytes.Contains(event, []byte(`:assumed-role/emulator/unsigned"`)) {
		t.Errorf("the HTTP API sends no IAM identity, as AWS's does: %v %s", err, event)
	}
	again := runToEnd(t, 0, env, "invoke", "UserFunction", "-e", saved[0])
	wantText(t, &again.stdout, `"statusCode":200`)
	wantText(t, &again.stderr, "REPORT RequestId: ")
	first := runToEnd(t, 0, env, "invoke", "-e", saved[0], "UserFunction", "-url", p.url)
	wantText(t, &first.stdout, `"statusCode":200`)
	warm := runToEnd(t, 0, env, "invoke", "UserFunction")
	wantText(t, &warm.stdout, `"statusCode":200`)
	none := runToEnd(t, 1, env, "invoke", "UserFunction", "-url", direct.url)
	wantText(t, &none.stderr, direct.url, "is no emulator")
	purged := runToEnd(t, 0, env, "invoke", "PurgeFunction")
	wantText(t, &purged.stdout, "null\n")
	broken := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(broken, []byte(`{"some":"thing"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	failed := runToEnd(t, 1, env, "invoke", "UserFunction", "-e", broken)
	wantText(t, &failed.stdout, "errorMessage")
	wantText(t, &failed.stderr, "the function failed")
	unknown := runToEnd(t, 1, env, "invoke", "Missing")
	wantText(t, &unknown.stderr, "404", "Function not found: arn:aws:lambda:us-east-1:123456789012:function:Missing")

	p.signal(t, syscall.SIGTERM)
	p.wantExit(t, 0)
}

func TestEmulatorRefuses(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "Emulator and invoke: the commands")
	env := outside(testenv.New(t, "plugins", "miniredis"))
	for _, test := range []struct {
		name string
		code int
		args []string
		want string
	}{
		{"no template", 1, []string{"emulator", "-template", "nowhere.yaml"}, "nowhere.yaml"},
		{"no functions", 1, append([]string{"emulator", "-functions", "nowhere"}, templateFlag...), "bootstrap"},
		{"no such parameter", 1, append([]string{"emulator", "-parameter", "Nothing=1"}, templateFlag...), "Nothing"},
		{"no such gateway", 2, []string{"emulator", "-gateway", "v3"}, "v3"},
		{"no value", 2, []string{"emulator", "-parameter", "Stage"}, "NAME=VALUE"},
		{"no name", 2, []string{"invoke"}, "name of a function"},
		{"two names", 2, []string{"invoke", "UserFunction", "-e", "-", "PurgeFunction"}, `unknown argument "PurgeFunction": see database-service invoke -h`},
		{"no such flag", 2, []string{"emulator", "-nothing"}, "see database-service emulator -h"},
		{"no such flag of invoke", 2, []string{"invoke", "-nothing"}, "see database-service invoke -h"},
		{"no such flag of local", 2, []string{"-nothing"}, "see database-service -h"},
		{"no handler", 1, []string{"emulator", "-template", guildTemplate(t)}, "there is no handler for GuildFunction: add one to inProcess in local/emulate_functions.go"},
		{"no emulator", 1, []string{"invoke", "UserFunction"}, "refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := runToEnd(t, test.code, env, test.args...)
			wantText(t, &p.stderr, test.want)
			sentences.Add(lastSentence(p.stderr.String()))
		})
	}
}

// lastSentence is what a program says at its end. Folders and addresses become the same on each machine.
func lastSentence(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	line := regexp.MustCompile(`([ ="])/\S*/`).ReplaceAllString(lines[len(lines)-1], "${1}DIR/")
	return regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(line, "127.0.0.1:PORT")
}

// guildTemplate returns the path of a template with a function that has no handler.
func guildTemplate(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(file, []byte("Resources:\n  GuildFunction: {Type: AWS::Serverless::Function}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// The emulator checks no signatures, so by default the network cannot reach it. On Linux, 127.0.0.2 reaches programs that listen
// on all interfaces.
func TestEmulatorListens(t *testing.T) {
	t.Parallel()
	env := outside(testenv.New(t, "plugins", "miniredis"))
	for address, reached := range map[string]bool{"": false, "0.0.0.0": runtime.GOOS == "linux"} {
		p := startEmulator(t, append(slices.Clone(env), "LISTEN_ADDR="+address))
		c, err := net.Dial("tcp", "127.0.0.2:"+p.url[strings.LastIndexByte(p.url, ':')+1:])
		if err == nil {
			c.Close()
		}
		if (err == nil) != reached {
			t.Errorf("LISTEN_ADDR=%q: got %v, want it reached: %v", address, err, reached)
		}
		if code, _ := p.ready(t); code != http.StatusOK {
			t.Errorf("LISTEN_ADDR=%q: got %d from %s", address, code, p.url)
		}
	}
}
