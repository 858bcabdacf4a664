package migrations_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestRefusedUpdate has triggers, constraints and rules of the web application that refuse what RefreshSession writes.
func TestRefusedUpdate(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "Migrate: an update that the web application refuses")
	trigger := func(body string) string {
		return `CREATE TABLE trail (id text); CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ` + body + ` END $$;
			CREATE TRIGGER mine BEFORE UPDATE ON session FOR EACH ROW EXECUTE FUNCTION mine(); `
	}
	for name, test := range map[string]struct{ change, want string }{
		"a trigger that raises":         {trigger(`RAISE EXCEPTION 'token of %', NEW.id;`), "is refused by the function mine() of a trigger (SQLSTATE P0001)"},
		"a trigger without a right":     {trigger(`INSERT INTO public.trail VALUES (NEW.id); RETURN NEW;`), "permission denied for table trail, which the role database_service_owner lacks"},
		"a trigger with its own rights": {trigger(`INSERT INTO public.trail VALUES (NEW.id); RETURN NEW;`) + `ALTER FUNCTION mine() SECURITY DEFINER`, ""},
		"a trigger that keeps the row":  {trigger(`RETURN NULL;`), ""},
		"a constraint":                  {`ALTER TABLE session ADD CONSTRAINT short CHECK ("expiresAt" < "createdAt" + interval '20 minutes')`, "is refused by the constraint short"},
		"a rule":                        {`CREATE RULE mine AS ON UPDATE TO session DO INSTEAD NOTHING`, "must be a table, or a view that can be locked and updated"},
		"a view of several tables": {`ALTER TABLE session RENAME TO s; CREATE VIEW session AS SELECT s.* FROM s JOIN "user" AS u ON u.id = s."userId"`,
			"must be a table, or a view that can be locked and updated"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, "plugins")
			d.OwnerExec(t, aUser+"; "+test.change)
			_, err := migrations.Apply(t.Context(), connect(t, d), migrations.Options{})
			if test.want == "" {
				if err != nil {
					t.Errorf("Apply = %v, want success", err)
				}
				return
			}
			sentences.Add(fmt.Sprint(err))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Apply = %v, want an error with %q", err, test.want)
			}
			var expires bool
			table := "session"
			if strings.Contains(test.change, "RENAME TO s;") {
				table = "s"
			}
			if err := d.Owner.QueryRow(t.Context(), `SELECT "expiresAt" < now() + interval '11 minutes' FROM `+table).Scan(&expires); err != nil || !expires {
				t.Errorf("the refused run extended the session (%v)", err)
			}
		})
	}
}
