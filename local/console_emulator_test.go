package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/testenv"
)

// TestConsoleEmulator sends a request through a gateway, and finds it in the console.
func TestConsoleEmulator(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis", testenv.AlsoStaff)
	w := &consoleWorld{program: startEmulator(t, outside(e)), env: e}
	w.console = w.url + "/console"
	p := w.visitor(t)
	p.want(p.get("/emulator"), http.StatusOK, "No event has come yet", "UserFunction", "the emulator", "Routes", "/twirp/osirose.database.v1.UserService/{method}")

	lost := w.url + "/_gateway/v1/twirp/osirose.database.v1.UserService/GetUser"
	a, err := http.Post(lost, "application/json", strings.NewReader(`{"user_id":"nobody"}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = a.Body.Close() // only the event matters
	p.want(p.get("/emulator"), http.StatusOK, "UserService/GetUser", "not_found USER_NOT_FOUND", "v1")
	p.want(p.get(query("emulator/event", "number", "1")), http.StatusOK, `"user_id": "nobody"`, `"reason": "USER_NOT_FOUND"`, `"httpMethod": "POST"`, "UserFunction")
	again := p.want(p.post("/emulator/replay", url.Values{"number": {"1"}}), http.StatusSeeOther)
	if got := again.header.Get("Location"); got != "/console/emulator/event?number=2" {
		t.Errorf("the replay goes to %s", got)
	}
	p.want(p.get(query("emulator/event", "number", "2")), http.StatusOK, "replay", "USER_NOT_FOUND")
	p.want(p.get(query("emulator/event", "number", "9")), http.StatusUnprocessableEntity, "not kept any more")
	p.want(p.post("/emulator/replay", url.Values{"number": {"9"}}), http.StatusUnprocessableEntity)
	p.want(p.get(query("emulator/function", "id", "UserFunction")), http.StatusOK, "its log is the emulator's", "REDIS_URL", "secret, set")
	p.want(p.get(query("emulator/function", "id", "Other")), http.StatusUnprocessableEntity, "no such function")

	alice := e.AddUser(t, "Alice") // the pages of players go through the gateway
	p.want(p.get(query("player", "id", alice)), http.StatusOK, "Alice")
	p.want(p.get("/emulator"), http.StatusOK, "StaffService/GetPlayer")
}
