package app_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestOperatorMistakes opens the program on a database to which it cannot connect by a mistake of its operator. The caller
// learns that the operator must act, and the log line says what to do.
func TestOperatorMistakes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ what, sql, old, new, reason, log string }{
		{"an unknown parameter", "", "?", "?no_such_parameter=1&", "DATABASE_MISCONFIGURED", "does not know a parameter of DATABASE_URL"},
		{"a wrong value", "", "?", "?work_mem=much&", "DATABASE_MISCONFIGURED", "refuses the value of a parameter"},
		{"no such database", "", "/test_", "/toast_", "DATABASE_MISCONFIGURED", "no database of the name in DATABASE_URL"},
		{"no right to connect", `REVOKE CONNECT ON DATABASE NAME FROM PUBLIC; GRANT CONNECT ON DATABASE NAME TO web_application`, "", "", "DATABASE_MISCONFIGURED", "GRANT CONNECT ON DATABASE"},
		{"no such user", "", "game_service@", "nobody@", "DATABASE_UNAVAILABLE", "refuses the user or the password"},
		{"too many connections", `CREATE ROLE LOGIN LOGIN CONNECTION LIMIT 0`, "game_service@", "LOGIN@", "DATABASE_UNAVAILABLE", "no free connection"},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			e := testenv.New(t, testenv.Variants[0], "miniredis")
			own := "login_" + e.Name
			in := strings.NewReplacer("ROLE LOGIN", "ROLE "+own, "LOGIN@", own+"@", "NAME", e.Name)
			if test.sql != "" {
				e.OwnerExec(t, in.Replace(test.sql))
			}
			if strings.Contains(test.sql, "ROLE") {
				t.Cleanup(func() {
					if _, err := e.Owner.Exec(context.Background(), `DROP ROLE `+own); err != nil {
						t.Error(err)
					}
				})
			}
			var log bytes.Buffer
			p := newPlayer(t, e, serveAll(t, &log, e.Open(t, func(c *app.Options) {
				c.DatabaseURL = strings.Replace(c.DatabaseURL, test.old, in.Replace(test.new), 1)
			})), "mistaken")
			_, err := p.users.GetUser(t.Context(), &databasev1.GetUserRequest{UserId: p.id})
			got, ok := errors.AsType[twirp.Error](err)
			if !ok || got.Code() != twirp.Unavailable || got.Meta("reason") != test.reason {
				t.Errorf("GetUser = %v, want unavailable %s", err, test.reason)
			}
			if !strings.Contains(log.String(), test.log) {
				t.Errorf("the log has no %q: %s", test.log, &log)
			}
		})
	}
}

// TestSearchPath makes every call with a search_path that contains none of the schemas.
func TestSearchPath(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis")
	e.OwnerExec(t, `ALTER ROLE game_service IN DATABASE `+e.Name+` SET search_path = nowhere`)
	p := newPlayer(t, e, serveAll(t, io.Discard, e.Open(t)), "lost")
	if err := errors.Join(p.login(t.Context()), p.play(t.Context(), 1)); err != nil {
		t.Error(err)
	}
}

// TestEncoding reads a name with a letter outside of ASCII from a database that answers in another encoding if it is not asked.
func TestEncoding(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis")
	p := newPlayer(t, e, serveAll(t, io.Discard, e.Open(t)), "encoded")
	e.OwnerExec(t, `UPDATE "user" SET name = 'Zoë' WHERE id = '`+p.id+`'`)
	e.OwnerExec(t, `ALTER ROLE game_service IN DATABASE `+e.Name+` SET client_encoding = 'LATIN1'`)
	p.users = newPlayer(t, e, serveAll(t, io.Discard, e.Open(t)), "encoded2").users
	got, err := p.users.GetUser(t.Context(), &databasev1.GetUserRequest{UserId: p.id})
	if err != nil || got.GetUser().GetName() != "Zoë" {
		t.Errorf("GetUser = %v, %v, want the name Zoë", got, err)
	}
}
