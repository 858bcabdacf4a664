package systemtest_test

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

// ownServer is a server that a test can stop, make refuse connections, and restart on the same port.
type ownServer struct {
	*testenv.Cluster
	guests []*pgx.Conn // sessions of the test
}

func TestPostgresServer(t *testing.T) {
	t.Parallel()
	label := labeled(t)
	s := &ownServer{Cluster: testenv.NewCluster(t, map[string]string{"max_connections": "30"})}
	inner := s.Env(t, redisKind())
	e := &env{inner, serve(t, inner.Program)}
	for _, o := range []outage{
		{"immediate shutdown", s.crash, s.restart},
		{"shutting down", s.smartShutdown, s.restart},                                                    // SQLSTATE 57P03
		{"password refused", s.access("host all game_service 127.0.0.1/32 scram-sha-256"), s.access("")}, // 28P01
		{"login refused", s.access("host all game_service 127.0.0.1/32 reject"), s.access("")},           // 28000
		{"max_connections", s.fill, s.leave},                                                             // 53300
	} {
		t.Run(o.name, func(t *testing.T) { o.play(t, e, label) })
	}
}

func (s *ownServer) crash(t *testing.T, _ *env) {
	s.Signal(t, syscall.SIGQUIT)
	<-s.Done()
}

func (s *ownServer) restart(t *testing.T, e *env) {
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.Owner.Reset()
	e.Web.Reset()
	s.leave(t, e)
}

// smartShutdown starts a shutdown that waits for a guest and refuses new connections.
func (s *ownServer) smartShutdown(t *testing.T, e *env) {
	s.guests = append(s.guests, connect(t, s.URL("postgres")))
	e.PGProxy.Reset()
	s.Signal(t, syscall.SIGTERM)
	eventually(t, "new connections to be refused", func() bool { return refused(t, s.Cluster, "postgres") })
}

// access sets a rule in pg_hba.conf that the program cannot meet. An empty rule ends that.
func (s *ownServer) access(rule string) func(*testing.T, *env) {
	return func(t *testing.T, e *env) {
		s.SetAccess(t, rule)
		eventually(t, "the rule", func() bool { return refused(t, s.Cluster, "game_service") == (rule != "") })
		e.PGProxy.Reset()
	}
}

// fill uses all connections that the server has for ordinary roles.
func (s *ownServer) fill(t *testing.T, e *env) {
	e.PGProxy.Reset()
	eventually(t, "the program's sessions to end", func() bool { return sessionsOf(t, e, "game_service") == 0 })
	for {
		conn, err := pgx.Connect(t.Context(), s.UserURL("web_application", "", e.Name))
		if err != nil {
			return
		}
		s.guests = append(s.guests, conn)
	}
}

func (s *ownServer) leave(t *testing.T, _ *env) {
	for _, conn := range s.guests {
		_ = conn.Close(t.Context())
	}
	s.guests = nil
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func refused(t *testing.T, c *testenv.Cluster, role string) bool {
	conn, err := pgx.Connect(t.Context(), c.UserURL(role, "", "game"))
	if err == nil {
		_ = conn.Close(t.Context())
	}
	return err != nil
}

func sessionsOf(t *testing.T, e *env, role string) (n int) {
	t.Helper()
	if err := e.Owner.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE usename = $1`, role).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// saver saves one character repeatedly. It retries each save until it is acknowledged.
type saver struct {
	*pgPlayer
	done, refused atomic.Int64
}

func (s *saver) run(t *testing.T, stop context.Context) {
	for n := int64(1); stop.Err() == nil; n++ {
		request := &databasev1.SaveCharacterRequest{UserId: s.id, CharacterId: s.saved.Id, ExpectedVersion: n, SaveId: cutUUID(int(n)), Money: proto.Int64(n)}
		for {
			saved, err := s.characters.SaveCharacter(t.Context(), request)
			if err == nil {
				if saved.Version != n+1 {
					t.Errorf("save %d made version %d", n, saved.Version)
				}
				s.done.Add(1)
				break
			}
			s.refused.Add(1)
			if got := faultOf(err); got != unavailable && got.code != twirp.DeadlineExceeded {
				t.Errorf("save %d = %v, want success or unavailable", n, err)
				return
			}
			time.Sleep(5 * time.Millisecond) // leave the CPU to other tests
		}
	}
}

// TestPostgresRestarts restarts the server in every way.
func TestPostgresRestarts(t *testing.T) {
	t.Parallel()
	c := testenv.NewCluster(t, nil)
	inner := c.Env(t, redisKind())
	restart := func() {
		if err := c.Restart(t.Context()); err != nil {
			t.Error(err)
		}
	}
	saveThrough(t, &env{inner, serve(t, inner.Program)}, map[string]func(){
		"restarted":          restart,
		"immediate shutdown": func() { c.Signal(t, syscall.SIGQUIT); <-c.Done(); restart() },
		"killed":             func() { _ = c.Kill(); restart() },
	})
}

// saveThrough saves continuously during the faults. No acknowledged save is lost, no save is applied twice, callers see no error
// except unavailable, and saves succeed after each fault.
func saveThrough(t *testing.T, e *env, faults map[string]func()) {
	t.Helper()
	savers := make([]*saver, 4)
	for i := range savers {
		savers[i] = &saver{pgPlayer: newPGPlayer(t, e)}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var all sync.WaitGroup
	for _, s := range savers {
		all.Go(func() { s.run(t, ctx) })
	}
	for name, fault := range faults {
		fault()
		for _, s := range savers {
			before := s.done.Load()
			eventually(t, "saves after "+name, func() bool { return s.done.Load() > before+1 || t.Failed() })
		}
	}
	stop()
	all.Wait()
	e.Owner.Reset()
	for _, s := range savers {
		var n int64
		if err := e.Owner.QueryRow(t.Context(), `SELECT version - 1 FROM game.character WHERE id = $1`, s.saved.Id).Scan(&n); err != nil {
			t.Fatal(err)
		}
		t.Logf("%d saves, %d calls refused", n, s.refused.Load())
		if acknowledged := s.done.Load(); n != acknowledged {
			t.Errorf("%d saves were acknowledged, and %d took effect", acknowledged, n)
		}
	}
}
