package migrations_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

// aUser adds a user with a session.
const aUser = `INSERT INTO "user" (id, name, email, "emailVerified") VALUES ('u1', 'Player', 'player@example.com', true);
	INSERT INTO session (id, token, "userId", "expiresAt", "updatedAt") VALUES ('s1', 'token1', 'u1', now() + interval '10 minutes', now())`

// as connects to d as a new role that may create schemas, and has the given rights too.
func as(t *testing.T, d *testenv.Database, rights string) *pgx.Conn {
	t.Helper()
	role := "migrator_" + d.Name
	d.OwnerExec(t, fmt.Sprintf(`CREATE ROLE %s LOGIN; GRANT CREATE ON DATABASE %s TO %s; `, role, d.Name, role)+strings.ReplaceAll(rights, "ME", role))
	conn, err := pgx.Connect(t.Context(), testenv.Postgres(t).UserURL(role, "", d.Name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close(context.Background())
		if _, err := d.Owner.Exec(context.Background(), fmt.Sprintf(`DROP OWNED BY %s CASCADE; DROP ROLE %s`, role, role)); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// found reports whether the service finds the user and the session of [aUser].
func found(t *testing.T, d *testenv.Database) bool {
	t.Helper()
	tx, err := d.Owner.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), "SET LOCAL ROLE "+migrations.DefaultRole); err != nil {
		t.Fatal(err)
	}
	var all bool
	if err := tx.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM game.users WHERE id = game.user_id('u1'))
		AND EXISTS (SELECT FROM game.session_by_token('token1')) AND EXISTS (SELECT FROM game.extend_session('s1', '1 hour', '720 hours', '5 minutes'))`).Scan(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

const readmeRights = `GRANT SELECT, TRIGGER ON "user" TO ME; GRANT SELECT, UPDATE ON session TO ME; `

// TestRights migrates by roles with exactly the rights that README asks for. They own no table and are no superusers.
func TestRights(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rights  string
		options migrations.Options
	}{
		"README's":                     {readmeRights, migrations.Options{}},
		"without triggers":             {strings.ReplaceAll(readmeRights, ", TRIGGER", ""), migrations.Options{NoUserTrigger: true}},
		"update of the expiry only":    {strings.ReplaceAll(readmeRights, "UPDATE ON", `UPDATE ("expiresAt") ON`), migrations.Options{}},
		"row-level security, a policy": {readmeRights + rowSecurity + `CREATE POLICY p ON "user" TO ME USING (true); CREATE POLICY p ON session USING (true); `, migrations.Options{}},
		"row-level security, bypassed": {readmeRights + rowSecurity + `ALTER ROLE ME BYPASSRLS; `, migrations.Options{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, "plugins")
			d.OwnerExec(t, aUser)
			conn := as(t, d, test.rights)
			for range 2 {
				if _, err := migrations.Apply(t.Context(), conn, test.options); err != nil {
					t.Fatalf("Apply: %v", err)
				}
				if err := check(t, d); err != nil || !found(t, d) {
					t.Errorf("Check = %v; or the service does not find the user or the session", err)
				}
				d.OwnerExec(t, `DROP VIEW game.users`) // the second run creates the adapter again
			}
		})
	}
}

// TestAnotherRoleMigrates checks that the adapter has the rights of the role that migrated last: the first one may have lost its own.
func TestAnotherRoleMigrates(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "plugins")
	d.OwnerExec(t, aUser)
	if _, err := migrations.Apply(t.Context(), as(t, d, readmeRights), migrations.Options{}); err != nil {
		t.Fatal(err)
	}
	d.OwnerExec(t, strings.NewReplacer("GRANT", "REVOKE", "TO ME", "FROM migrator_"+d.Name).Replace(readmeRights)+`UPDATE game.adapter SET sql_hash = ''`)
	apply(t, d, migrations.Options{})
	if !found(t, d) {
		t.Error("the service does not find the user or the session")
	}
}

const rowSecurity = `ALTER TABLE "user" ENABLE ROW LEVEL SECURITY; ALTER TABLE session ENABLE ROW LEVEL SECURITY; `

// TestProof checks that a run is refused, and changes nothing, if the service could not read what it needs.
func TestProof(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "Migrate: rights")
	hides := `row-level security hides rows of "public"."%s" from the role "migrator_`
	for name, test := range map[string]struct {
		rights  string
		options migrations.Options
		want    []string
	}{
		"row-level security":              {readmeRights + rowSecurity, migrations.Options{}, []string{fmt.Sprintf(hides, "user"), "as the owner of the table", "BYPASSRLS", "CREATE POLICY"}},
		"row-level security of sessions":  {readmeRights + `ALTER TABLE session ENABLE ROW LEVEL SECURITY`, migrations.Options{}, []string{fmt.Sprintf(hides, "session")}},
		"forced row-level security":       {`ALTER TABLE "user" OWNER TO ME; ALTER TABLE session OWNER TO ME; ALTER TABLE "user" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; `, migrations.Options{}, []string{fmt.Sprintf(hides, "user")}},
		"a policy that shows some rows":   {readmeRights + rowSecurity + `CREATE POLICY p ON "user" USING (banned); CREATE POLICY p ON session USING (true); `, migrations.Options{}, []string{fmt.Sprintf(hides, "user")}},
		"a policy that restricts another": {readmeRights + rowSecurity + `CREATE POLICY p ON "user" USING (true); CREATE POLICY q ON "user" AS RESTRICTIVE USING (banned); `, migrations.Options{}, []string{fmt.Sprintf(hides, "user")}},
		"a policy for another role":       {readmeRights + rowSecurity + `CREATE POLICY p ON "user" TO web_application USING (true); `, migrations.Options{}, []string{fmt.Sprintf(hides, "user")}},
		"a policy without updates":        {readmeRights + `ALTER TABLE session ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON session FOR SELECT USING (true)`, migrations.Options{}, []string{fmt.Sprintf(hides, "session")}},
		"a policy that refuses updates":   {readmeRights + `ALTER TABLE session ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON session USING (true) WITH CHECK (false)`, migrations.Options{}, []string{fmt.Sprintf(hides, "session")}},
		"row-level security behind views": {readmeRights + `CREATE TABLE people (LIKE "user"); DROP TABLE "user" CASCADE; CREATE VIEW between AS SELECT * FROM people; CREATE VIEW "user" AS SELECT * FROM between; ALTER VIEW between OWNER TO ME; ALTER VIEW "user" OWNER TO web_application;
			GRANT SELECT ON people TO ME; GRANT SELECT ON between TO web_application; GRANT SELECT ON "user" TO ME; ALTER TABLE people ENABLE ROW LEVEL SECURITY; `, migrations.Options{}, []string{fmt.Sprintf(hides, "people"), "BYPASSRLS"}},
		"the user table cannot be read":    {`GRANT SELECT, UPDATE ON session TO ME; `, migrations.Options{NoUserTrigger: true}, []string{"game.users cannot be read", "permission denied for table user", "SELECT on the user table"}},
		"a column cannot be read":          {`GRANT SELECT, UPDATE ON session TO ME; GRANT SELECT (id, name, username, email, role) ON "user" TO ME`, migrations.Options{NoUserTrigger: true}, []string{`(column "emailVerified")`, "permission denied"}},
		"the session table cannot be read": {`GRANT SELECT, TRIGGER ON "user" TO ME; `, migrations.Options{}, []string{"session table cannot be read", "permission denied for table session"}},
		"sessions cannot be extended":      {`GRANT SELECT, TRIGGER ON "user" TO ME; GRANT SELECT ON session TO ME; `, migrations.Options{}, []string{"game.extend_session fails", "permission denied for table session", "UPDATE"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, "plugins")
			d.OwnerExec(t, aUser)
			_, err := migrations.Apply(t.Context(), as(t, d, test.rights), test.options)
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("Apply = %v, want an error with %q", err, want)
				}
			}
			if err != nil {
				sentences.Add(err.Error())
			}
			var there bool
			if err := d.Owner.QueryRow(t.Context(), `SELECT to_regnamespace('game') IS NOT NULL`).Scan(&there); err != nil || there {
				t.Errorf("the refused run left the schema game behind (%v)", err)
			}
		})
	}
}

// TestProofOfEveryVariant proves the adapter against rows, with nothing else to do.
func TestProofOfEveryVariant(t *testing.T) {
	t.Parallel()
	for _, variant := range testenv.Variants {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewDatabase(t, variant)
			d.AddSession(t, d.AddUser(t, "Player1"), 0)
			if done := apply(t, d, utc); len(done) != 0 {
				t.Errorf("Apply did %v, want nothing", done)
			}
			d.OwnerExec(t, `REVOKE SELECT ON game.users FROM `+migrations.DefaultRole)
			if done := apply(t, d, utc); len(done) == 0 || check(t, d) != nil {
				t.Errorf("Apply without the right to read the view did %v, want that it grants the right", done)
			}
		})
	}
}
