package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/postgres"
)

// TestForeignParameters checks what a URL of Prisma or node-postgres means here.
func TestForeignParameters(t *testing.T) {
	t.Parallel()
	type meaning struct {
		Host, Password, Database string
		MaxConns                 int32
		Mode                     pgx.QueryExecMode
		TLS, Verified, Plain     bool // Plain: without TLS if the server has none
	}
	const statement, describe = pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe
	for url, want := range map[string]meaning{
		"postgres://u:p@h/d?connection_limit=3":                                      {"h", "p", "d", 3, statement, true, false, true},
		"postgres://u:p@h/d?pool_max_conns=7&connection_limit=3":                     {"h", "p", "d", 7, statement, true, false, true},
		"postgres://u:p@h/d?pool_max_conns=7&pgbouncer=true&schema=public":           {"h", "p", "d", 7, describe, true, false, true},
		"postgres://u:p@h/d?pool_max_conns=7&pgbouncer=false":                        {"h", "p", "d", 7, statement, true, false, true},
		"postgres://u:p@h/d?sslmode=no-verify&pool_max_conns=7":                      {"h", "p", "d", 7, statement, true, false, false},
		"postgres://u:p@h/d?sslrootcert=/missing&sslmode=no-verify&pool_max_conns=7": {"h", "p", "d", 7, statement, true, false, false},
		"postgres://u:p@h/d?sslmode=verify-full&pool_max_conns=7":                    {"h", "p", "d", 7, statement, true, true, false},
		"\npostgres://u:p?%40#+%2B@h/d?pool_max_conns=7&sslmode=disable \n":          {"h", "p?@#++", "d", 7, statement, false, false, false},
		"host=h user=u password='p q' dbname=d pool_max_conns=7 sslmode=disable":     {"h", "p q", "d", 7, statement, false, false, false},
	} {
		c, err := postgres.ParseURL(url)
		if err != nil {
			t.Errorf("ParseURL(%q): %v", url, err)
			continue
		}
		got := meaning{
			Host: c.ConnConfig.Host, Password: c.ConnConfig.Password, Database: c.ConnConfig.Database, MaxConns: c.MaxConns, Mode: c.ConnConfig.DefaultQueryExecMode,
			TLS: c.ConnConfig.TLSConfig != nil, Plain: len(c.ConnConfig.Fallbacks) > 0,
		}
		got.Verified = got.TLS && !c.ConnConfig.TLSConfig.InsecureSkipVerify
		if diff := cmp.Diff(map[string]string{"client_encoding": "UTF8"}, c.ConnConfig.RuntimeParams); diff != "" {
			t.Errorf("ParseURL(%q): the server gets (-want +got):\n%s", url, diff)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ParseURL(%q) (-want +got):\n%s", url, diff)
		}
	}
}
