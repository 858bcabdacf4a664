package services_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// TestPaths: each service answers under its prefix, and every other path gets a Twirp error.
func TestPaths(t *testing.T) {
	t.Parallel()
	p := testenv.New(t, testenv.Variants[0], "miniredis").Program
	handler := services.New(p).Handler(p.Edge())
	const prefix = "/twirp/osirose.database.v1."
	for path, want := range map[string]twirp.ErrorCode{
		prefix + "UserService/GetUser":              twirp.InvalidArgument,
		prefix + "SessionService/GetSession":        twirp.InvalidArgument,
		prefix + "CharacterDbService/GetCharacter":  twirp.InvalidArgument,
		prefix + "UserService/GetSession":           twirp.BadRoute,
		prefix + "UserService/":                     twirp.BadRoute,
		prefix + "UserService":                      twirp.BadRoute,
		prefix + "UserServices/GetUser":             twirp.BadRoute,
		prefix + "users/GetUser":                    twirp.BadRoute,
		"/" + prefix + "UserService/GetUser":        twirp.BadRoute,
		"/a/.." + prefix + "UserService/GetUser":    twirp.BadRoute,
		"/":                                         twirp.BadRoute,
		prefix + "CharacterDbService//GetCharacter": twirp.BadRoute,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("{}"))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		var got struct{ Code twirp.ErrorCode }
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Code != want {
			t.Errorf("POST %s = %d %s, want %s", path, w.Code, w.Body, want)
		}
	}
}
