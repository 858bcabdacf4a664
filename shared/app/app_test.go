package app_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/testenv"
)

// environment returns the variables as a function for config.Read.
func environment(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

// names returns the variables that an error names, one on each line.
func names(err error) []string {
	var all []string
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			name, _, _ := strings.Cut(line, " ")
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

func TestOpen(t *testing.T) {
	t.Parallel()
	const canary = "hunter2canary"
	for what, test := range map[string]struct {
		database, redis string
		want            []string
	}{
		"no database":                    {"", "redis://cache", []string{"DATABASE_URL"}},
		"neither":                        {"", "http://" + canary, []string{"DATABASE_URL", "REDIS_URL"}},
		"broken addresses":               {"postgres://u:" + canary + "@[/x", "redis://:" + canary + "@h:port", []string{"DATABASE_URL", "REDIS_URL"}},
		"broken settings":                {"postgres://u:" + canary + "@h/x?pool_max_conns=" + canary, "redis://:" + canary + "@h?db=" + canary, []string{"DATABASE_URL", "REDIS_URL"}},
		"a file of keys that is missing": {"postgres://u:" + canary + "@h/x?sslmode=verify-full&sslrootcert=/" + canary, "redis://h", []string{"DATABASE_URL"}},
		"broken cluster":                 {"postgres://h/x", "redis://:" + canary + "@h?cluster=true&nonsense=" + canary, []string{"REDIS_URL"}},
		"neither server is there":        {"postgres://" + canary + ".invalid/x", "redis://" + canary + ".invalid", nil},
		"a cluster":                      {"host=" + canary + ".invalid dbname=x", "rediss://u:p@" + canary + ".invalid?cluster=true", nil},
	} {
		p, err := app.Open(app.Options{Config: config.Config{DatabaseURL: test.database, RedisURL: test.redis}})
		if diff := cmp.Diff(test.want, names(err)); diff != "" {
			t.Errorf("%s: Open = %v names (-want +got):\n%s", what, err, diff)
		}
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("%s: Open = %v, which repeats a value", what, err)
		}
		if err == nil {
			p.Close()
		}
	}
}

// TestOpenDialsNothing checks that a cold start makes no connections.
func TestOpenDialsNothing(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis")
	e.Open(t, func(c *app.Options) { c.Concurrency = 1 }).Close() // Close would wait for a started connection
	if postgres, redis := e.PGProxy.Accepted(), e.RDProxy.Accepted(); postgres+redis > 0 {
		t.Errorf("%d connections to PostgreSQL and %d to Redis before the first request", postgres, redis)
	}
}
