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
	for _, test := range []struct{ what, sql, log string }{
		{"a dropped session column", `ALTER TABLE public.session DROP COLUMN "userAgent"`, "run database-service migrate"},
		{"a dropped function", `DROP FUNCTION game.session_by_token(text)`, "run database-service migrate"},
		{"a missing right", `REVOKE EXECUTE ON FUNCTION game.session_by_token(text) FROM database_service`, "GRANT"},
		{"a missing right on the schema", `REVOKE USAGE ON SCHEMA game FROM database_service`, "GRANT"},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			e := testenv.New(t, "plugins", "miniredis")
			_, token := e.AddSession(t, e.AddUser(t, "alice"), time.Hour)
			var log bytes.Buffer
			url := testenv.ServeLog(t, &log, testenv.RequestBudget, func(o twirp.ServerOption) []databasev1.TwirpServer {
				s := sessions.NewService(sessions.NewRepository(e.Program.DB), sessions.Config{})
				return []databasev1.TwirpServer{databasev1.NewSessionServiceServer(s, o)}
			})
			e.OwnerExec(t, test.sql)
			_, err := databasev1.NewSessionServiceProtobufClient(url, http.DefaultClient).GetSession(t.Context(), byToken(token))
			got, ok := errors.AsType[twirp.Error](err)
			if !ok || got.Code() != twirp.Unavailable || got.Meta("reason") != "DATABASE_MISCONFIGURED" {
				t.Errorf("GetSession = %v, want unavailable DATABASE_MISCONFIGURED", err)
			}
			if !strings.Contains(log.String(), test.log) {
				t.Errorf("the log has no %q: %s", test.log, &log)
			}
		})
	}
}
