package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/osirose-new/database-service/shared/testenv"
)

// as returns the variable that connects to d as login.
func as(t *testing.T, d *testenv.Database, login string) []string {
	t.Helper()
	return []string{fmt.Sprintf("DATABASE_URL=postgres://%s@%s/%s?sslmode=disable", login, testenv.Postgres(t).Addr(), d.Name)}
}

// wantReady waits until /readyz answers code and a text.
func (p *program) wantReady(t *testing.T, code int, text string) {
	t.Helper()
	eventually(t, fmt.Sprintf("/readyz with %d and %q", code, text), func() bool {
		got, answer := p.ready(t)
		return got == code && strings.Contains(fmt.Sprint(answer), text)
	})
}

// TestReadyAfterAPlugin installs better-auth's plugins after the migration. Calls still work, so the service stays ready.
func TestReadyAfterAPlugin(t *testing.T) {
	t.Parallel()
	d := testenv.NewDatabase(t, "core")
	user := d.AddUser(t, "alice")
	p := start(t, as(t, d, "game_service"))
	p.wantReady(t, http.StatusOK, "schema:ok")
	d.OwnerExec(t, `ALTER TABLE "user" ADD COLUMN username text UNIQUE, ADD COLUMN role text, ADD COLUMN banned boolean`)
	const warning = "better-auth's tables have changed; calls still work, so the service stays ready: run database-service migrate"
	p.wantReady(t, http.StatusOK, warning)
	if code, answer := p.post(t, "UserService/GetUser", `{"user_id":"`+user+`"}`); code != http.StatusOK {
		t.Errorf("GetUser: got %d %v, want 200", code, answer)
	}
	runToEnd(t, 0, owner(t, d), "migrate")
	eventually(t, "no warning", func() bool {
		code, answer := p.ready(t)
		return code == http.StatusOK && answer["warning"] == nil
	})
	p.signal(t, syscall.SIGTERM)
	p.wantExit(t, 0)
	if n := strings.Count(p.stderr.String(), warning); n != 1 {
		t.Errorf("%d log lines with the warning, want one: %s", n, &p.stderr)
	}
}

// TestNotReady breaks the database as operators do. /readyz and the log say what to do, and readiness returns when it is
// done.
func TestNotReady(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ sql, want, mend string }{
		"not a member": {`REVOKE database_service FROM LOGIN`, "GRANT database_service TO the service's login", `GRANT database_service TO LOGIN`},
		"no CONNECT": {`REVOKE CONNECT ON DATABASE NAME FROM PUBLIC; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'LOGIN'`,
			"GRANT CONNECT ON DATABASE", `GRANT CONNECT ON DATABASE NAME TO PUBLIC`},
		"a dropped column": {`ALTER TABLE session DROP COLUMN "userAgent"`, "column s.userAgent does not exist: run database-service migrate", `ALTER TABLE session ADD COLUMN "userAgent" text`},
		"a missing right":  {`REVOKE SELECT ON game.cache_change FROM database_service`, "GRANT SELECT ON game.cache_change TO database_service", `GRANT SELECT ON game.cache_change TO database_service`},
		"a standby's role": {`ALTER ROLE LOGIN SET default_transaction_read_only = on; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'LOGIN'`,
			"down", `ALTER ROLE LOGIN RESET default_transaction_read_only; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'LOGIN'`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewDatabase(t, "plugins")
			login := "login_" + d.Name
			in := strings.NewReplacer("LOGIN", login, "NAME", d.Name)
			d.OwnerExec(t, `CREATE ROLE `+login+` LOGIN IN ROLE database_service`)
			t.Cleanup(func() {
				if _, err := d.Owner.Exec(context.Background(), `DROP ROLE `+login); err != nil {
					t.Error(err)
				}
			})
			p := start(t, as(t, d, login))
			p.wantReady(t, http.StatusOK, "schema:ok")
			d.OwnerExec(t, in.Replace(test.sql))
			p.wantReady(t, http.StatusServiceUnavailable, test.want)
			d.OwnerExec(t, in.Replace(test.mend))
			p.wantReady(t, http.StatusOK, "schema:ok")
			p.signal(t, syscall.SIGTERM)
			p.wantExit(t, 0)
			if !strings.Contains(p.stderr.String(), "not ready") {
				t.Errorf("no log line: %s", &p.stderr)
			}
		})
	}
}
