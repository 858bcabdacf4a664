package sessions_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/sessions"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestMisconfigured breaks the database as operators do. The caller gets a reason of its own, and the log says what to do.
func TestMisconfigured(t *testing.T) {
	t.Parallel()
	const migrate = "run database-service migrate"
	const trigger = `CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE TRIGGER mine BEFORE UPDATE ON public.session FOR EACH ROW EXECUTE FUNCTION mine(); CREATE OR REPLACE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN `
	for _, test := range []struct{ what, sql, log string }{
		{"a dropped session column", `ALTER TABLE public.session DROP COLUMN "userAgent"`, migrate},
		{"a dropped function", `DROP FUNCTION game.session_by_token_as(text, boolean)`, migrate},
		{"a renamed session column", `ALTER TABLE public.session RENAME COLUMN token TO secret`, migrate},
		{"another type of a compared column", `ALTER TABLE public.session ALTER COLUMN token TYPE bytea USING token::bytea`, migrate},
		{"another type of a returned column", `ALTER TABLE public.session ALTER COLUMN "ipAddress" TYPE inet USING NULL`, migrate},
		{"another type of a time", `ALTER TABLE public.session ALTER COLUMN "expiresAt" TYPE timestamp`, migrate},
		{"a renamed session table", `ALTER TABLE public.session RENAME TO auth_session`, migrate},
		{"a dropped session table", `DROP TABLE public.session`, migrate},
		{"a dropped view", `DROP VIEW game.users`, migrate},
		{"another view", `DROP VIEW game.users; CREATE VIEW game.users AS SELECT 1 AS id; GRANT SELECT ON game.users TO database_service`, migrate},
		{"a dropped schema", `DROP SCHEMA game CASCADE`, migrate},
		{"a token in two rows", `ALTER TABLE public.session DROP CONSTRAINT session_token_key, DROP CONSTRAINT session_pkey; INSERT INTO public.session SELECT * FROM public.session`, "unique index"},
		{"a user in two rows of the view", `ALTER TABLE public.session DROP CONSTRAINT "session_userId_fkey"; ALTER TABLE public.account DROP CONSTRAINT "account_userId_fkey";
			ALTER TABLE public."user" DROP CONSTRAINT user_pkey, DROP CONSTRAINT user_email_key, DROP CONSTRAINT user_username_key; INSERT INTO public."user" SELECT * FROM public."user"`, "unique index"},
		{"a trigger that raises, behind the view", trigger + `RAISE EXCEPTION 'no'; END $$`, "a trigger of the web application refuses"},
		{"a trigger without a right, behind the view", `CREATE TABLE public.trail (id text); ` + trigger + `INSERT INTO public.trail VALUES (NEW.id); RETURN NEW; END $$`, "42501"},
		{"a constraint, behind the view", `ALTER TABLE public.session ADD CONSTRAINT short CHECK ("expiresAt" < "createdAt" + interval '20 minutes')`, "23514 session short"},
		{"a missing right of the functions' owner", `ALTER FUNCTION game.session_by_token_as(text, boolean) OWNER TO game_service`, "GRANT"},
		{"a missing right", `REVOKE EXECUTE ON FUNCTION game.session_by_token_as(text, boolean) FROM database_service`, "GRANT"},
		{"a missing right on the schema", `REVOKE USAGE ON SCHEMA game FROM database_service`, "GRANT"},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			e := testenv.New(t, "plugins", "miniredis")
			_, token := e.AddSession(t, e.AddUser(t, "alice"), 10*time.Minute) // a refresh extends it
			var log bytes.Buffer
			url := testenv.ServeLog(t, &log, testenv.RequestBudget, func(o twirp.ServerOption) []databasev1.TwirpServer {
				s := sessions.NewService(sessions.NewRepository(e.Program.DB), sessions.Config{})
				return []databasev1.TwirpServer{databasev1.NewSessionServiceServer(s, o)}
			})
			e.OwnerExec(t, test.sql)
			client := databasev1.NewSessionServiceProtobufClient(url, http.DefaultClient)
			_, err := client.GetSession(t.Context(), byToken(token))
			if strings.Contains(test.what, " view") { // GetSession does not need it
				_, err = client.RefreshSession(t.Context(), &databasev1.RefreshSessionRequest{Session: &databasev1.RefreshSessionRequest_Token{Token: token}})
			}
			got, ok := errors.AsType[twirp.Error](err)
			if !ok || got.Code() != twirp.Unavailable || got.Meta("reason") != "DATABASE_MISCONFIGURED" {
				t.Errorf("got %v, want unavailable DATABASE_MISCONFIGURED", err)
			}
			if !strings.Contains(log.String(), test.log) {
				t.Errorf("the log has no %q: %s", test.log, &log)
			}
		})
	}
}
