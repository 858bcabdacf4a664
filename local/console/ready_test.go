package console_test

import (
	"strings"
	"testing"

	"github.com/osirose-new/database-service/local/console"
)

// TestReadiness checks the word for each answer of /readyz, and that whatever is not ok says what to do.
func TestReadiness(t *testing.T) {
	t.Parallel()
	about := console.About{Database: "db.example:5432/game", Redis: "redis.example:6379", Callers: 3}
	good := console.Readiness{Ready: true, Database: "ok", Schema: "ok", Redis: "ok", Callers: "configured", SchemaVersion: 6}
	change := func(f func(*console.Readiness)) console.Readiness {
		r := good
		f(&r)
		return r
	}
	for name, test := range map[string]struct {
		r        console.Readiness
		part, is string
		means    string
		do       []string
	}{
		"ready":         {good, "Ready", "ok", "succeed", nil},
		"database":      {good, "Database", "ok", "answers", nil},
		"schema":        {good, "Schema", "ok", "version 6", nil},
		"redis":         {good, "Redis", "ok", "can be the cache", nil},
		"callers":       {good, "Callers", "ok", "(3)", nil},
		"no warning":    {good, "Warning", "ok", "none", nil},
		"a shutdown":    {change(func(r *console.Readiness) { r.Ready = false }), "Not ready", "attention", "shutting down", nil},
		"not ready":     {change(func(r *console.Readiness) { r.Ready, r.Database, r.Schema = false, "down", "unknown" }), "Not ready", "not ok", "fail", nil},
		"database down": {change(func(r *console.Readiness) { r.Database = "down" }), "Database", "not ok", "does not answer", []string{about.Database, "Do not restart"}},
		"database refuses": {change(func(r *console.Readiness) { r.Database = "down: the server is a standby" }), "Database", "not ok",
			"the server is a standby. ", []string{"DATABASE_URL", about.Database}},
		"database busy":   {change(func(r *console.Readiness) { r.Database = "busy" }), "Database", "attention", "in use", []string{"pool_max_conns"}},
		"ready, busy":     {change(func(r *console.Readiness) { r.Database = "busy" }), "Ready", "attention", "in use", nil},
		"schema unknown":  {change(func(r *console.Readiness) { r.Schema = "unknown" }), "Schema", "attention", "not checked", []string{"database first"}},
		"schema too old":  {change(func(r *console.Readiness) { r.Schema = "schema game is missing: run database-service migrate" }), "Schema", "not ok", "calls fail", []string{"Schema game is missing: run database-service migrate."}},
		"redis down":      {change(func(r *console.Readiness) { r.Redis = "down" }), "Redis", "not ok", "PostgreSQL", []string{"REDIS_URL", about.Redis, "Do not restart"}},
		"redis off":       {change(func(r *console.Readiness) { r.Redis = "off" }), "Redis", "attention", "PostgreSQL", []string{"REDIS_URL"}},
		"redis lacks":     {change(func(r *console.Readiness) { r.Redis = "the cache is off: Redis is full: raise maxmemory" }), "Redis", "not ok", "cannot be the cache", []string{"Redis is full: raise maxmemory."}},
		"any callers":     {change(func(r *console.Readiness) { r.Callers = "any" }), "Callers", "attention", "all rights", []string{"Set CALLERS_FILE"}},
		"a warning":       {change(func(r *console.Readiness) { r.Warning = "the tables have changed: run database-service migrate" }), "Warning", "attention", "work", []string{"The tables have changed: run database-service migrate."}},
		"version unknown": {change(func(r *console.Readiness) { r.SchemaVersion = 0 }), "Schema", "ok", "what this program needs.", nil},
	} {
		got, found := console.Parts(test.r, about)[test.part]
		if !found || got[0] != test.is || !strings.Contains(got[1], test.means) {
			t.Errorf("%s: got %q, want %s: %q, with %q", name, got, test.part, test.is, test.means)
		}
		for _, do := range test.do {
			if !strings.Contains(got[2], do) {
				t.Errorf("%s: to do: %q, want %q in it", name, got[2], do)
			}
		}
		if isHeadline := strings.HasSuffix(strings.ToLower(test.part), "ready"); (got[2] == "") != (test.is == "ok" || isHeadline) {
			t.Errorf("%s: to do: %q; only a part that is not ok has something", name, got[2])
		}
	}
}
