package users_test

import (
	"strings"
	"testing"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

// oddSchema is a change of better-auth's tables, with a user and a session that its web application could have made.
type oddSchema struct {
	schema, change       string
	id, token, sessionID string // of the user and the session
}

const (
	noForeignKeys = `ALTER TABLE session DROP CONSTRAINT "session_userId_fkey"; ALTER TABLE account DROP CONSTRAINT "account_userId_fkey"; `
	uuid1         = "0b54a2b4-6f0c-4c3e-9b1d-8c1f7e6d5a4b"
	uuid2         = "5f2c1d3e-0a1b-4c2d-8e3f-9a8b7c6d5e4f"
	// domains, one of them over another one
	domains = `CREATE DOMAIN inner_text AS text; CREATE DOMAIN txt AS inner_text; CREATE DOMAIN flag AS boolean; CREATE DOMAIN ts AS timestamptz; CREATE DOMAIN uid AS uuid; `
	longID  = "1234567890123456789" // 19 digits
)

var oddSchemas = map[string]oddSchema{
	"session.token is a uuid":           {"plugins", `ALTER TABLE session ALTER token TYPE uuid USING token::uuid`, "u1", uuid1, "s1"},
	"session.token is a char":           {"plugins", `ALTER TABLE session ALTER token TYPE char(40)`, "u1", "token1", "s1"},
	"session.token is citext":           {"plugins", `CREATE EXTENSION citext; ALTER TABLE session ALTER token TYPE citext`, "u1", "token1", "s1"},
	"userId varchar, user.id text":      {"plugins", noForeignKeys + `ALTER TABLE session ALTER "userId" TYPE varchar`, "u1", "token1", "s1"},
	"userId text, user.id varchar(36)":  {"plugins", noForeignKeys + `ALTER TABLE "user" ALTER id TYPE varchar(36)`, "u1", "token1", "s1"},
	"userId bigint, user.id integer":    {"serial", noForeignKeys + `ALTER TABLE session ALTER "userId" TYPE bigint`, "7", "token1", ""},
	"userId integer, user.id bigint":    {"serial", noForeignKeys + `ALTER TABLE "user" ALTER id TYPE bigint`, "7", "token1", ""},
	"userId text, user.id uuid":         {"uuid", noForeignKeys + `ALTER TABLE session ALTER "userId" TYPE text`, uuid1, "token1", uuid2},
	"userId uuid, user.id text":         {"uuid", noForeignKeys + `ALTER TABLE "user" ALTER id DROP DEFAULT, ALTER id TYPE text`, uuid1, "token1", uuid2},
	"userId text, user.id bigint":       {"serial", noForeignKeys + `ALTER TABLE "user" ALTER id TYPE bigint; ALTER TABLE session ALTER "userId" TYPE text`, longID, "token1", ""},
	"ids of 19 digits":                  {"serial", noForeignKeys + `ALTER TABLE "user" ALTER id TYPE bigint; ALTER TABLE session ALTER "userId" TYPE bigint`, longID, "token1", ""},
	"e-mail and username are citext":    {"plugins", `CREATE EXTENSION citext; ALTER TABLE "user" ALTER email TYPE citext, ALTER username TYPE citext`, "u1", "token1", "s1"},
	"citext is in another schema":       {"plugins", `CREATE SCHEMA extensions; CREATE EXTENSION citext SCHEMA extensions; ALTER TABLE "user" ALTER email TYPE extensions.citext, ALTER username TYPE extensions.citext`, "u1", "token1", "s1"},
	"e-mail and username are varchar":   {"plugins", `ALTER TABLE "user" ALTER email TYPE varchar(255), ALTER username TYPE varchar(30)`, "u1", "token1", "s1"},
	"e-mail is a domain over citext":    {"plugins", `CREATE EXTENSION citext; CREATE DOMAIN address AS citext; ALTER TABLE "user" ALTER email TYPE address`, "u1", "token1", "s1"},
	"ipAddress is inet":                 {"plugins", `ALTER TABLE session ALTER "ipAddress" TYPE inet USING "ipAddress"::inet`, "u1", "token1", "s1"},
	"ipAddress is cidr":                 {"plugins", `ALTER TABLE session ALTER "ipAddress" TYPE cidr USING "ipAddress"::cidr`, "u1", "token1", "s1"},
	"emailVerified is a time":           {"plugins", `ALTER TABLE "user" ALTER "emailVerified" TYPE timestamptz USING now()`, "u1", "token1", "s1"},
	"emailVerified and banned are ints": {"plugins", `ALTER TABLE "user" ALTER "emailVerified" TYPE smallint USING 1, ALTER banned TYPE integer USING 0`, "u1", "token1", "s1"},
	"columns of domains": {"plugins", noForeignKeys + domains + `ALTER TABLE "user" ALTER id TYPE txt, ALTER email TYPE txt, ALTER username TYPE txt, ALTER banned TYPE flag, ALTER "emailVerified" TYPE flag, ALTER "createdAt" TYPE ts, ALTER "banExpires" TYPE ts;
		ALTER TABLE session ALTER id TYPE txt, ALTER token TYPE txt, ALTER "userId" TYPE txt, ALTER "ipAddress" TYPE txt, ALTER "userAgent" TYPE txt, ALTER "impersonatedBy" TYPE txt, ALTER "expiresAt" TYPE ts, ALTER "createdAt" TYPE ts`, "u1", "token1", "s1"},
	"ids are a domain over uuid": {"uuid", noForeignKeys + domains + `ALTER TABLE "user" ALTER id TYPE uid; ALTER TABLE session ALTER id TYPE uid, ALTER "userId" TYPE uid`, uuid1, "token1", uuid2},
	"collation C": {"plugins", noForeignKeys + `ALTER TABLE "user" ALTER id TYPE text COLLATE "C", ALTER email TYPE text COLLATE "C", ALTER username TYPE text COLLATE "C";
		ALTER TABLE session ALTER id TYPE text COLLATE "C", ALTER token TYPE text COLLATE "C", ALTER "userId" TYPE text COLLATE "C"`, "u1", "token1", "s1"},
	"ids of two collations":         {"plugins", noForeignKeys + `ALTER TABLE "user" ALTER id TYPE text COLLATE "C"; ALTER TABLE session ALTER "userId" TYPE text COLLATE "POSIX"`, "u1", "token1", "s1"},
	"a collation in another schema": {"plugins", noForeignKeys + `CREATE SCHEMA private; CREATE COLLATION private.german (provider = icu, locale = 'de'); ALTER TABLE "user" ALTER id TYPE text COLLATE private.german`, "u1", "token1", "s1"},
	"a collation without case": {"plugins", `CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
		ALTER TABLE "user" ALTER email TYPE text COLLATE ci, ALTER username TYPE varchar(30) COLLATE ci; ALTER TABLE session ALTER id TYPE text COLLATE ci, ALTER token TYPE text COLLATE ci`, "u1", "token1", "s1"},
	"the id column is called ID": {"plugins", `ALTER TABLE "user" RENAME id TO "ID"; ALTER TABLE session RENAME id TO "ID"`, "u1", "token1", "s1"},
}

// open migrates a database with the odd schema, and adds the user and the session.
func (o oddSchema) open(t *testing.T) *testenv.Env {
	t.Helper()
	d := testenv.NewEmptyDatabase(t, o.schema)
	d.OwnerExec(t, o.change)
	migrate(t, d)
	verified, id := "true", "id"
	switch {
	case strings.Contains(o.change, `"emailVerified" TYPE timestamptz`):
		verified = "now()"
	case strings.Contains(o.change, `"emailVerified" TYPE smallint`):
		verified = "1"
	case strings.Contains(o.change, `RENAME id`):
		id = `"ID"`
	}
	sessionID, value := id+", ", "'"+o.sessionID+"', "
	if o.sessionID == "" {
		sessionID, value = "", "" // a serial number
	}
	d.OwnerExec(t, `INSERT INTO "user" (`+id+`, name, email, username, "emailVerified", "updatedAt") VALUES ('`+o.id+`', 'Player', 'player@example.com', 'player', `+verified+`, now());
		INSERT INTO session (`+sessionID+`token, "userId", "expiresAt", "updatedAt", "ipAddress") VALUES (`+value+`'`+o.token+`', '`+o.id+`', now() + interval '1 hour', now(), '192.0.2.7')`)
	return testenv.NewOn(t, d, "miniredis")
}

func migrate(t *testing.T, d *testenv.Database) {
	t.Helper()
	conn, err := d.Owner.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := migrations.Apply(t.Context(), conn.Conn(), migrations.Options{AuthTimezone: "UTC"}); err != nil {
		t.Fatal(err)
	}
}

// TestOddSchemas makes every lookup on schemas whose types are not better-auth's own.
func TestOddSchemas(t *testing.T) {
	t.Parallel()
	for name, o := range oddSchemas {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := o.open(t)
			c := client(t, e.Program)
			want := getUser(t, c, o.id)
			if want.Id != o.id || want.Email != "player@example.com" || want.Username != "player" || !want.EmailVerified || want.Banned {
				t.Errorf("GetUser = %v, want the verified user %s", want, o.id)
			}
			for call, get := range map[string]func() (*databasev1.User, error){
				"GetUserByUsername": func() (*databasev1.User, error) { return byUsername(t.Context(), c, "Player") },
				"GetUserByEmail":    func() (*databasev1.User, error) { return byEmail(t.Context(), c, "Player@example.com") },
			} {
				if got, err := get(); err != nil || got.Id != o.id {
					t.Errorf("%s = %v, %v; want %s", call, got, err, o.id)
				}
			}
			got, err := c.GetUserBySession(t.Context(), &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: o.token}})
			if err != nil || got.User.Id != o.id || got.Session.UserId != o.id || got.Session.IpAddress != "192.0.2.7" {
				t.Errorf("GetUserBySession(token) = %v, %v; want %s from 192.0.2.7", got, err, o.id)
			}
			_, err = c.GetUserBySession(t.Context(), &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: "of another form"}})
			wantCode(t, "GetUserBySession of an unknown token", err, twirp.NotFound, "SESSION_NOT_FOUND")
			if o.sessionID != "" {
				got, err := c.GetUserBySession(t.Context(), &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_SessionId{SessionId: o.sessionID}})
				if err != nil || got.User.Id != o.id {
					t.Errorf("GetUserBySession(session_id) = %v, %v; want %s", got, err, o.id)
				}
			}
		})
	}
}

// TestLargestID checks that an id beyond the largest bigint is a user that does not exist.
func TestLargestID(t *testing.T) {
	t.Parallel()
	o := oddSchemas["ids of 19 digits"]
	o.id = "9223372036854775807"
	c := client(t, o.open(t).Program)
	if got := getUser(t, c, o.id); got.Id != o.id {
		t.Errorf("GetUser(%s) = %v", o.id, got)
	}
	for _, id := range []string{"9223372036854775808", "99999999999999999999", "09223372036854775807"} {
		_, err := c.GetUser(t.Context(), &databasev1.GetUserRequest{UserId: id})
		wantCode(t, "GetUser("+id+")", err, twirp.NotFound, "USER_NOT_FOUND")
	}
}

// TestNameOfCollationC looks a name up that stands in for the username. PostgreSQL's locale C makes only ASCII letters lower case.
func TestNameOfCollationC(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "core")
	d.OwnerExec(t, `ALTER TABLE "user" ALTER name TYPE text COLLATE "C"; CREATE INDEX ON "user" (lower(name));
		INSERT INTO "user" (id, name, email, "emailVerified") VALUES ('u1', 'ÄRGER', 'player@example.com', true)`)
	migrate(t, d)
	c := client(t, testenv.NewOn(t, d, "miniredis").Program)
	if got, err := byUsername(t.Context(), c, "ÄRGER"); err != nil || got.Id != "u1" {
		t.Errorf("GetUserByUsername(ÄRGER) = %v, %v; want u1", got, err)
	}
}

// TestClientEncoding has a login whose setting is for other programs.
func TestClientEncoding(t *testing.T) {
	t.Parallel()
	d := testenv.NewDatabase(t, "plugins")
	d.OwnerExec(t, `INSERT INTO "user" (id, name, email, username, "emailVerified") VALUES ('u1', 'Ärger 日本', 'player@example.com', 'ärger', true);
		DO $$ BEGIN EXECUTE format('ALTER ROLE game_service IN DATABASE %I SET client_encoding = LATIN1', current_database()); END $$`)
	c := client(t, testenv.NewOn(t, d, "miniredis").Program)
	if got := getUser(t, c, "u1"); got.Name != "Ärger 日本" {
		t.Errorf("GetUser(u1) = %v, want the name Ärger 日本", got)
	}
	if got, err := byUsername(t.Context(), c, "Ärger"); err != nil || got.Id != "u1" {
		t.Errorf("GetUserByUsername(Ärger) = %v, %v; want u1", got, err)
	}
}
