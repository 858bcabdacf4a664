//go:build e2e

package systemtest_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestPgBouncerRestarts is TestPostgresRestarts through a pooler that also restarts.
func TestPgBouncerRestarts(t *testing.T) {
	t.Parallel()
	c := testenv.NewCluster(t, nil)
	b := testenv.StartPgBouncer(t, c.Addr(), 4, "game_service")
	inner := c.Env(t, redisKind())
	inner.PGProxy.SetTarget(b.Addr)
	var log lockedBuffer
	e := &env{inner, serveLog(t, &log, inner.Open(t, func(c *app.Options) { c.DatabaseURL += "&default_query_exec_mode=cache_describe" }))}
	restart := func() {
		if err := c.Restart(t.Context()); err != nil {
			t.Error(err)
		}
	}
	saveThrough(t, e, map[string]func(){
		"pooler killed":      func() { b.Kill(); b.Start(t) },
		"server restarted":   restart,
		"server crashed":     func() { c.Signal(t, syscall.SIGQUIT); <-c.Done(); restart() },
		"both":               func() { b.Kill(); restart(); b.Start(t) },
		"connections broken": func() { e.PGProxy.Reset() },
	})
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, `"internal"`) {
			t.Errorf("behind the pooler: %s", line)
		}
	}
}
