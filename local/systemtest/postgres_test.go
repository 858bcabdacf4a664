package systemtest_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/testenv"
)

// outage begins and ends a time in which PostgreSQL does not answer.
type outage struct {
	name       string
	begin, end func(t *testing.T, e *env)
}

// TestPostgresOutages checks what callers see. The outages of a whole server are in postgres_server_test.go.
func TestPostgresOutages(t *testing.T) {
	t.Parallel()
	cutOff := func(t *testing.T, e *env) {
		e.OwnerExec(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'game_service'`)
	}
	for _, o := range []outage{
		{"refused", func(t *testing.T, e *env) { e.PGProxy.Refuse() }, func(t *testing.T, e *env) { e.PGProxy.Accept() }},
		{"hung", func(t *testing.T, e *env) { e.PGProxy.Hold() }, func(t *testing.T, e *env) { e.PGProxy.Release() }},
		{"too many connections", func(t *testing.T, e *env) { // SQLSTATE 53300
			e.OwnerExec(t, fmt.Sprintf(`ALTER DATABASE %s CONNECTION LIMIT 0`, e.Name))
			cutOff(t, e)
		}, func(t *testing.T, e *env) {
			e.OwnerExec(t, fmt.Sprintf(`ALTER DATABASE %s CONNECTION LIMIT -1`, e.Name))
		}},
		{"database closed", func(t *testing.T, e *env) { // SQLSTATE 55000
			superExec(t, fmt.Sprintf(`ALTER DATABASE %s ALLOW_CONNECTIONS false`, e.Name))
			cutOff(t, e)
		}, func(t *testing.T, e *env) {
			superExec(t, fmt.Sprintf(`ALTER DATABASE %s ALLOW_CONNECTIONS true`, e.Name))
		}},
	} {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			label := labeled(t)
			var log lockedBuffer
			e := start(t, redisKind(), testenv.RealDatabaseBudgets)
			e.clients = serveLog(t, &log, e.Program)
			o.play(t, e, label)
			for _, secret := range []string{"SELECT", "UPDATE", "game_service", e.PGProxy.Addr(), e.Name, "@example.com", "Gamer"} {
				if strings.Contains(log.String(), secret) {
					t.Errorf("%q is in the log", secret)
				}
			}
		})
	}
}

// play begins and ends an outage, with one cached and one uncached player.
func (o outage) play(t *testing.T, e *env, label string) {
	t.Helper()
	known, unknown := newPGPlayer(t, e), newPGPlayer(t, e)
	wantEach(t, "before", known.cached(), none)
	known.wantHits(t, "before", 0)
	base := e.idle(t, label)

	o.begin(t, e)
	wantEach(t, "in the outage, uncached,", unknown.all(), unavailable)
	known.wantHits(t, "in the outage", 0)
	// The sync fails, but the values in Redis are still valid.
	known.wantHits(t, "in the outage, due for a sync,", 300*time.Millisecond)
	setWatermarkAge(t, e, 2*time.Second)
	wantEach(t, "in the outage, cached too long ago,", known.cached(), unavailable)

	o.end(t, e)
	wantEach(t, "after the outage", unknown.all(), none)
	wantEach(t, "after the outage", known.cached(), none)
	known.wantHits(t, "after the outage", 0)
	after := e.idle(t, label)
	t.Logf("goroutines: %d before, %d after", base, after)
	if after > base+5 {
		eventually(t, "the goroutines to end", func() bool { return e.idle(t, label) <= base+5 })
	}
}

// idle counts the goroutines of a test after it has closed the connections.
func (e *env) idle(t *testing.T, label string) int {
	t.Helper()
	e.transport.CloseIdleConnections()
	e.PGProxy.Reset()
	e.RDProxy.Reset()
	n := goroutines(t, label)
	for range 20 { // goroutines end later than their connections
		time.Sleep(5 * time.Millisecond)
		n = min(n, goroutines(t, label))
	}
	return n
}

// lockedBuffer is a log that can be read during writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
