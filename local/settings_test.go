package main

import (
	"net/http"
	"testing"

	"github.com/osirose-new/database-service/shared/testenv"
)

// TestSettings checks that the operator's settings reach every service that uses them.
func TestSettings(t *testing.T) {
	t.Parallel()
	p := start(t, append(outside(testenv.New(t, "plugins", "miniredis")), "SESSION_ID_LOOKUP=refuse", "CHARACTER_SLOTS=7"))
	for _, rpc := range []string{"UserService/GetUserBySession", "SessionService/GetSession", "SessionService/RefreshSession"} {
		code, answer := p.post(t, rpc, `{"session_id":"any"}`)
		if got := at(answer, "meta", "reason"); code != http.StatusBadRequest || got != "SESSION_ID_REFUSED" {
			t.Errorf("%s by session_id: got %d %v, want SESSION_ID_REFUSED", rpc, code, answer)
		}
	}
	var code int
	var answer map[string]any
	eventually(t, "an answer in time", func() bool {
		code, answer = p.post(t, "CharacterDbService/GetCharacterList", `{"user_id":"nobody"}`)
		return code != http.StatusServiceUnavailable && code != http.StatusRequestTimeout
	})
	if got := at(answer, "max_slots"); code != http.StatusOK || got != 7.0 {
		t.Errorf("GetCharacterList: got %d %v, want max_slots 7", code, answer)
	}
}
