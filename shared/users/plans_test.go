package users_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
	"github.com/osirose-new/database-service/shared/users"
)

// explainSQL makes PostgreSQL send the plan of every statement as a notice, also of statements in functions. The tables of
// the test are small, so PostgreSQL must prefer indexes.
const explainSQL = `LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;
	SET auto_explain.log_level = notice; SET enable_seqscan = off; SET ROLE ` + migrations.DefaultRole

// TestPlans checks that each lookup has a condition on its column's index, with every type of the column.
func TestPlans(t *testing.T) {
	t.Parallel()
	for name, o := range oddSchemas {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, plans := explained(t, o.open(t).Database)
			for _, lookup := range []struct {
				what, sql string
				args      []any
				indexed   []string // columns
			}{
				{"by id", users.SelectUserSQL, []any{postgres.Args{"id": o.id}}, []string{"id"}},
				{"by username", users.SelectUserByLoginSQL, []any{postgres.Args{"typed": "Player", "lower": "player", "upper": "PLAYER"}}, []string{"username"}},
				{"by e-mail", users.SelectUserByEmailSQL, []any{postgres.Args{"email": "player@example.com"}}, []string{"email"}},
				{"by token", users.SelectUserBySessionTokenSQL, []any{o.token, false}, []string{"token", "id"}},
				{"by session_id", users.SelectUserBySessionIDSQL, []any{o.sessionID}, []string{"id"}},
			} {
				if lookup.args[0] == "" {
					continue // ids of sessions are serial numbers
				}
				plans.Reset()
				rows, err := conn.Query(t.Context(), lookup.sql, lookup.args...)
				if err == nil {
					rows.Close()
					err = rows.Err()
				}
				if err != nil {
					t.Fatalf("%s: %v", lookup.what, err)
				}
				for _, column := range lookup.indexed {
					if !regexp.MustCompile(`(?i)Index Cond: \(+(\w+\.)?"?` + column + `\b`).MatchString(plans.String()) {
						t.Errorf("%s: no index on %s in\n%s", lookup.what, column, plans)
					}
				}
				if strings.Contains(plans.String(), "Seq Scan") {
					t.Errorf("%s: a sequential scan in\n%s", lookup.what, plans)
				}
			}
		})
	}
}

// explained connects as the service's role. Plans are appended to the builder.
func explained(t *testing.T, d *testenv.Database) (*pgx.Conn, *strings.Builder) {
	t.Helper()
	plans := &strings.Builder{}
	config := d.Owner.Config().ConnConfig.Copy()
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { plans.WriteString(n.Message + "\n") }
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	if _, err := conn.Exec(t.Context(), explainSQL); err != nil {
		t.Fatal(err)
	}
	return conn, plans
}
