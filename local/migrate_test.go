package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/testenv"
)

// owner returns the variable that connects to d as a superuser.
func owner(t *testing.T, d *testenv.Database) []string {
	t.Helper()
	return []string{"DATABASE_URL=" + testenv.Postgres(t).URL(d.Name)}
}

// service returns the variable that connects to d as the service.
func service(t *testing.T, d *testenv.Database) []string {
	t.Helper()
	return []string{fmt.Sprintf("DATABASE_URL=postgres://game_service@%s/%s?sslmode=disable", testenv.Postgres(t).Addr(), d.Name)}
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	t.Run("twice", func(t *testing.T) {
		t.Parallel()
		env := owner(t, testenv.NewEmptyDatabase(t, "plugins"))
		wantText(t, &runToEnd(t, 0, env, "migrate").stdout, "0001_game.sql\n", "adapter to")
		if got := runToEnd(t, 0, env, "migrate").stdout.String(); got != "nothing to do\n" {
			t.Errorf("the second run: got %q, want nothing to do", got)
		}
		if got := runToEnd(t, 0, env, "migrate", "-print").stdout.String(); got != "" {
			t.Errorf("-print: got %q, want nothing", got)
		}
	})
	t.Run("two at once", func(t *testing.T) {
		t.Parallel()
		env := owner(t, testenv.NewEmptyDatabase(t, "plugins"))
		a, b := launch(t, env, "migrate"), launch(t, env, "migrate")
		a.wantExit(t, 0)
		b.wantExit(t, 0)
		both := a.stdout.String() + b.stdout.String()
		if strings.Count(both, "0001_game.sql") != 1 || strings.Count(both, "nothing to do") != 1 {
			t.Errorf("got %q, want one migration and one \"nothing to do\"", both)
		}
	})
	t.Run("other names", func(t *testing.T) {
		t.Parallel()
		d := testenv.NewEmptyDatabase(t, "plugins")
		d.OwnerExec(t, `ALTER TABLE "user" RENAME TO auth_user; ALTER TABLE auth_user RENAME name TO full_name; ALTER TABLE session RENAME TO auth_session`)
		wantText(t, &runToEnd(t, 1, owner(t, d), "migrate").stderr, "-user-table auth_user")
		args := []string{"migrate", "-user-table", "auth_user", "-session-table", "auth_session", "-column", "user.name=full_name"}
		wantText(t, &runToEnd(t, 0, owner(t, d), args...).stdout, `adapter to "public"."auth_user"`)
		wantText(t, &runToEnd(t, 2, owner(t, d), "migrate", "-column", "full_name").stderr, "user.FIELD=NAME")
	})
	t.Run("settings", func(t *testing.T) {
		t.Parallel()
		d := testenv.NewEmptyDatabase(t, "plugins")
		d.OwnerExec(t, `INSERT INTO "user" (id, name, email, username, "emailVerified") VALUES ('u1', 'P', 'p@example.com', 'Player', true)`)
		env := owner(t, d)
		wantText(t, &runToEnd(t, 1, env, "migrate", "-username-normalization", "title").stderr, `no such value "title"; there are lower, upper, none`)
		wantText(t, &runToEnd(t, 0, env, "migrate").stdout, "adapter to", "note: 1 of 1 usernames", "-username-normalization none")
		wantText(t, &runToEnd(t, 0, env, "migrate", "-username-normalization", "none", "-session-token", "sha256", "-role", "game_readers_"+d.Name).stdout, "adapter to")
		defer func() { d.OwnerExec(t, "DROP OWNED BY game_readers_"+d.Name+"; DROP ROLE game_readers_"+d.Name) }()
		if got := runToEnd(t, 0, env, "migrate").stdout.String(); got != "nothing to do\n" {
			t.Errorf("a run without the flags: got %q, want that all of them are kept", got)
		}
		d.OwnerExec(t, `INSERT INTO session (id, token, "userId", "expiresAt", "updatedAt") VALUES ('s1', 'plain', 'u1', now(), now())`)
		wantText(t, &runToEnd(t, 1, env, "migrate").stderr, "-session-token sha256: 1 of 1 values")
	})
	t.Run("limits of sessions", func(t *testing.T) {
		t.Parallel()
		d := testenv.NewEmptyDatabase(t, "plugins")
		wantText(t, &runToEnd(t, 2, owner(t, d), "migrate", "-session-cap", "30 days").stderr, "write a duration, for example 300 (seconds) or 5m")
		wantText(t, &runToEnd(t, 0, owner(t, d), "migrate", "-session-window", "1800", "-session-cap", "48h", "-session-min-gain", "1m").stdout, "adapter to")
		p := start(t, append(service(t, d), "SESSION_WINDOW=2h", "SESSION_CAP=24h"))
		const warning = "SESSION_WINDOW is 2h0m0s, but the database allows 30m0s: lower it, or run database-service migrate -session-window 2h0m0s"
		if code, answer := p.ready(t); code != http.StatusOK || answer["warning"] != warning {
			t.Errorf("/readyz: got %d %v, want 200 and the warning %q", code, answer, warning)
		}
		wantText(t, &p.stdout, warning)
	})
	t.Run("print", func(t *testing.T) {
		t.Parallel()
		d := testenv.NewEmptyDatabase(t, "plugins")
		sql := runToEnd(t, 0, owner(t, d), "migrate", "-print").stdout.String()
		if again := runToEnd(t, 0, owner(t, d), "migrate", "-print").stdout.String(); again != sql {
			t.Error("-print has changed something")
		}
		d.OwnerExec(t, sql)
		wantText(t, &runToEnd(t, 0, owner(t, d), "migrate").stdout, "nothing to do")
	})
}

func TestMigrateRefuses(t *testing.T) {
	t.Parallel()
	t.Run("no session table", func(t *testing.T) {
		t.Parallel()
		d := testenv.NewEmptyDatabase(t, "plugins")
		d.OwnerExec(t, "DROP TABLE session")
		wantText(t, &runToEnd(t, 1, owner(t, d), "migrate").stderr, "session")
	})
	t.Run("no time zone", func(t *testing.T) {
		t.Parallel()
		env := owner(t, testenv.NewEmptyDatabase(t, "timestamp"))
		wantText(t, &runToEnd(t, 1, env, "migrate").stderr, "AUTH_TIMEZONE")
		runToEnd(t, 0, append(env, "AUTH_TIMEZONE=UTC"), "migrate")
	})
	t.Run("no server", func(t *testing.T) {
		t.Parallel()
		wantText(t, &runToEnd(t, 1, nil, "migrate").stderr, "DATABASE_URL is required")
		address := "127.0.0.1:" + freePort(t)
		p := runToEnd(t, 1, []string{"DATABASE_URL=postgres://me:hidden@" + address + "/game"}, "migrate")
		wantText(t, &p.stderr, address)
		if strings.Contains(p.stderr.String(), "hidden") {
			t.Errorf("the password is in %q", &p.stderr)
		}
	})
}

func TestServeUnmigrated(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "plugins")
	p := start(t, service(t, d))
	code, answer := p.ready(t)
	if code != http.StatusServiceUnavailable || answer["schema"] != "schema game is missing: run database-service migrate" {
		t.Errorf("/readyz: got %d %v, want 503 and what to do", code, answer)
	}
	wantText(t, &p.stdout, "database-service migrate")

	runToEnd(t, 0, owner(t, d), "migrate", "-no-user-trigger")
	eventually(t, "it to be ready", func() bool {
		code, _ := p.ready(t)
		return code == http.StatusOK
	})
	wantText(t, &start(t, service(t, d)).stdout, "10 s")
}
