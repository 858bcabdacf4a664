package migrations_test

import (
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

func settings(usernames, tokens string) migrations.Options {
	return migrations.Options{Settings: migrations.Settings{UsernameNormalization: usernames, SessionToken: tokens}}
}

// addRows adds users with usernames, each with a session whose token is an SQL expression.
func addRows(t *testing.T, d *testenv.Database, token string, usernames ...string) {
	t.Helper()
	for _, name := range usernames {
		d.OwnerExec(t, `INSERT INTO "user" (id, name, email, username, "emailVerified") VALUES ($1, $1, $1 || '@example.com', $1, true)`, name)
		d.OwnerExec(t, `INSERT INTO session (id, token, "userId", "expiresAt", "updatedAt") SELECT '`+name+`', `+token+`, '`+name+`', now(), now()`)
	}
}

const hash = `encode(sha256(gen_random_uuid()::text::bytea), 'hex')`

// TestUsernamesContradict checks what a run says of usernames that the setting does not find.
func TestUsernamesContradict(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		usernames []string
		setting   string
		change    string
		want      string // empty: nothing is said
	}{
		"lower case, by default":    {[]string{"player", "other"}, "", "", ""},
		"mixed case, by default":    {[]string{"Player", "other"}, "", "", `note: 1 of 2 usernames in "public"."user" are not in lower case, so GetUserByUsername cannot find them: pass -username-normalization none`},
		"upper case, by default":    {[]string{"PLAYER", "OTHER7"}, "", "", "note: 2 of 2 usernames"},
		"upper case, lower":         {[]string{"PLAYER"}, "lower", "", "pass -username-normalization upper"},
		"lower case, upper":         {[]string{"player"}, "upper", "", "note: 1 of 1 usernames in \"public\".\"user\" are not in upper case, so GetUserByUsername cannot find them: pass -username-normalization lower"},
		"mixed case, upper":         {[]string{"Player", "player"}, "upper", "", "pass -username-normalization none"},
		"mixed case, none":          {[]string{"Player", "player"}, "none", "", ""},
		"mixed case in citext":      {[]string{"Player"}, "lower", `CREATE EXTENSION citext; ALTER TABLE "user" ALTER username TYPE citext`, ""},
		"mixed names, no usernames": {[]string{"Player"}, "lower", `ALTER TABLE "user" DROP COLUMN username`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, "plugins")
			addRows(t, d, "gen_random_uuid()", test.usernames...)
			d.OwnerExec(t, test.change)
			for range 2 {
				said := strings.Join(apply(t, d, settings(test.setting, "")), "\n")
				if !strings.Contains(said, test.want) || strings.Contains(said, "note:") != (test.want != "") {
					t.Errorf("Apply said %q, want a note with %q", said, test.want)
				}
			}
			if err := check(t, d); err != nil {
				t.Errorf("Check = %v", err)
			}
		})
	}
}

// TestTokensContradict refuses to guess how tokens are stored.
func TestTokensContradict(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		token   string // SQL
		setting string
		change  string
		want    string // empty: no error
	}{
		"tokens, by default":          {"gen_random_uuid()", "", "", ""},
		"tokens, plain":               {"gen_random_uuid()", "plain", "", ""},
		"tokens, sha256":              {"gen_random_uuid()", "sha256", "", `-session-token sha256: 1 of 1 values of "public"."session"."token" are no sha256 in hex`},
		"hashes, by default":          {hash, "", "", `1 of 1 values of "public"."session"."token" look like sha256 in hex. If the web application stores hashes, pass -session-token sha256`},
		"tokens that look so, chosen": {hash, "plain", "", ""},
		"hashes, sha256":              {hash, "sha256", "", ""},
		"hashes in char, sha256":      {hash, "sha256", `ALTER TABLE session ALTER token TYPE char(70)`, ""},
		"upper-case hex, sha256":      {"upper(" + hash + ")", "sha256", "", "1 of 1 values"},
		"no sessions, sha256":         {hash, "sha256", "TRUNCATE session", ""},
		"a uuid, sha256":              {"gen_random_uuid()", "sha256", `ALTER TABLE session ALTER token TYPE uuid USING token::uuid`, `"public"."session"."token" is of type uuid, which cannot hold a hash`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, "plugins")
			addRows(t, d, test.token, "player")
			d.OwnerExec(t, test.change)
			_, err := migrations.Apply(t.Context(), connect(t, d), settings("", test.setting))
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("Apply = %v, want an error with %q", err, test.want)
			}
		})
	}
}

// TestSettingsAreKept checks that a run without a flag keeps what the last one has set, each flag for itself.
func TestSettingsAreKept(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "plugins")
	stored := func() (s string) {
		t.Helper()
		if err := d.Owner.QueryRow(t.Context(), `SELECT username_normalization || ' ' || session_token FROM game.adapter`).Scan(&s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, run := range []struct{ usernames, tokens, want string }{
		{"", "", "lower plain"}, {"upper", "sha256", "upper sha256"}, {"", "", "upper sha256"}, {"none", "", "none sha256"}, {"", "plain", "none plain"}, {"lower", "", "lower plain"},
	} {
		done := apply(t, d, settings(run.usernames, run.tokens))
		if got := stored(); got != run.want {
			t.Errorf("after a run with %q and %q: %s, want %s", run.usernames, run.tokens, got, run.want)
		}
		if err := check(t, d); err != nil {
			t.Errorf("Check of %s = %v", run.want, err)
		}
		if nothing := run.usernames+run.tokens == ""; nothing && len(done) > 0 && run.want != "lower plain" {
			t.Errorf("a run without flags did %v, want nothing", done)
		}
	}
	for _, o := range []migrations.Options{settings("Lower", ""), settings("", "sha512")} {
		if _, err := migrations.Apply(t.Context(), connect(t, d), o); err == nil || !strings.Contains(err.Error(), "no such value") {
			t.Errorf("Apply with %+v = %v, want that there is no such value", o.Settings, err)
		}
	}
}
