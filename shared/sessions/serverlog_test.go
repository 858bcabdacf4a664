package sessions_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestTokensInTheServersLog makes PostgreSQL log every statement, as log_min_duration_statement does for slow ones. The log has
// no token if the login was made as the document says.
func TestTokensInTheServersLog(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	user := e.AddUser(t, "Alice")
	_, documentedToken := e.AddSession(t, user, time.Hour)
	_, plainToken := e.AddSession(t, user, time.Hour)
	login := "login_of_" + e.Name
	for statement := range strings.SplitSeq(documentedLogin(t), ";") {
		e.OwnerExec(t, strings.ReplaceAll(statement, "game_service", login))
	}
	e.OwnerExec(t, "ALTER DATABASE "+e.Name+" SET log_min_duration_statement = 0")
	e.PGProxy.Reset()

	get := func(p *app.Program, token string) {
		t.Helper()
		if _, err := client(t, p, nil).GetSession(t.Context(), &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: token}}); err != nil {
			t.Error(err)
		}
	}
	get(e.Open(t, func(c *app.Options) { c.DatabaseURL = strings.Replace(c.DatabaseURL, "game_service", login, 1) }), documentedToken)
	get(e.Program, plainToken)
	log, err := os.ReadFile(testenv.Postgres(t).LogFile())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), plainToken) {
		t.Error("the log lacks the token of the login without the settings, so this test could not fail")
	}
	if strings.Contains(string(log), documentedToken) {
		t.Error("the log has the token of the documented login")
	}
}

// documentedLogin returns the statements that make the service's login.
func documentedLogin(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../postgres/migrations/README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sql\n(CREATE ROLE game_service.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("the document has no statements that make the login")
	}
	return string(block[1])
}
