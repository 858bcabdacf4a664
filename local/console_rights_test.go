package main

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestConsoleRights opens each page and sends each form with each role.
func TestConsoleRights(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t)
	alice, bob := w.env.AddUser(t, "Alice"), w.env.AddUser(t, "Bob")
	hero := w.hero(t, alice, "Amber")
	const refused, login, fine = http.StatusForbidden, http.StatusSeeOther, http.StatusOK
	people := []person{w.visitor(t), w.login(t, "world"), w.login(t, "mona"), w.login(t, "sue"), w.login(t, "rex")}
	for path, want := range map[string][5]int{
		"GET /players": {login, refused, refused, fine, fine}, "GET /player?id=" + alice: {login, refused, refused, fine, fine},
		"POST /player?reason=x&id=" + alice: {login, refused, refused, fine, fine}, "GET /character?id=" + hero: {login, refused, refused, fine, fine},
		"GET /audit": {login, refused, refused, fine, fine}, "GET /state": {login, refused, fine, refused, refused}, "GET /calls": {login, refused, fine, refused, refused},
		"GET /call?number=999":         {login, refused, http.StatusUnprocessableEntity, refused, refused},
		"POST /player/note?text=x&id=": {login, refused, refused, http.StatusBadRequest, http.StatusBadRequest},
		"GET /change?action=rename&new_name=X&user=" + alice + "&id=" + hero:                {login, refused, refused, refused, fine},
		"POST /change/show?action=rename&new_name=Xy&user=" + alice + "&id=" + hero:         {login, refused, refused, refused, fine},
		"POST /change/confirm?action=rename&new_name=Xy&user=" + alice + "&id=" + hero:      {login, refused, refused, refused, http.StatusUnprocessableEntity},
		"POST /change/confirm?action=transfer&to=" + bob + "&user=" + alice + "&id=" + hero: {login, refused, refused, refused, http.StatusUnprocessableEntity},
		"POST /change/confirm?action=undelete&user=" + alice + "&id=" + hero:                {login, refused, refused, refused, http.StatusUnprocessableEntity},
		"GET /try": {404, 404, 404, 404, 404}, "POST /try": {404, 404, 404, 404, 404}, "GET /emulator": {404, 404, 404, 404, 404}, "POST /emulator/replay": {404, 404, 404, 404, 404},
	} {
		method, path, _ := strings.Cut(path, " ")
		for i, p := range people {
			path, query, _ := strings.Cut(path, "?")
			r := p.get(path + "?" + query)
			if method == http.MethodPost {
				form, err := url.ParseQuery(query)
				if err != nil {
					t.Fatal(err)
				}
				r = p.post(path, form)
			}
			if r.status != want[i] {
				t.Errorf("%s %s by person %d: %d, want %d", method, path, i, r.status, want[i])
			}
		}
	}
	if got := w.actions(t); len(got) != 1 || got["GetPlayer"] != 2 {
		t.Errorf("the audit has %v, want two reads", got)
	}
}

// TestConsoleLeaks looks for secrets and personal data where they must not be.
func TestConsoleLeaks(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t)
	alice := w.env.AddUser(t, "Alice")
	_, token := w.env.AddSession(t, alice, time.Hour)
	mona := w.login(t, "mona")
	mona.want(mona.get("/calls"), http.StatusOK)
	p := w.login(t, "rex")
	w.changesOf(t, p, alice)
	ask(t, w.url, w.keys["world"], `{"token":"`+token+`"}`)
	ask(t, w.url, "osr_0badkey0_"+strings.Repeat("x", 52), `{"token":"`+token+`"}`)
	w.env.PGProxy.Refuse()
	w.env.PGProxy.Reset()
	p.want(p.get(query("player", "id", alice)), http.StatusServiceUnavailable, "DATABASE_UNAVAILABLE")
	p.want(p.post("/player", url.Values{"id": {alice}, "reason": {"x"}}), http.StatusServiceUnavailable, "DATABASE_UNAVAILABLE")
	p.want(p.get(query("players", "q", "alice@example.com")), http.StatusServiceUnavailable, "DATABASE_UNAVAILABLE")
	texts := map[string]string{"the log": w.stderr.String(), "stdout": w.stdout.String(), "Calls": mona.get("/calls").text, "State": mona.get("/state").text}
	for n := range 40 {
		texts["call"] += mona.get(query("call", "number", strconv.Itoa(n))).text
	}
	w.env.PGProxy.Accept()
	texts["a player"] = p.get(query("player", "id", alice)).text
	for where, text := range texts {
		for what, secret := range map[string]string{
			"a key": w.keys["rex"], "another key": w.keys["mona"], "a wrong key": "0badkey0", "a token": token, "SQL": "SELECT ", "an e-mail address": "alice@",
			"a login": "@" + w.env.PGProxy.Addr(), "a note": "a secret note", "a query": "alice%40",
		} {
			if strings.Contains(text, secret) && (where != "a player" || what != "a note") {
				t.Errorf("%s has %s", where, what)
			}
		}
	}
}

// changesOf adds a note with a text that only pages of the player may show.
func (w *consoleWorld) changesOf(t *testing.T, p person, user string) {
	t.Helper()
	p.want(p.post("/player/note", url.Values{"id": {user}, "text": {"a secret note"}}), http.StatusSeeOther)
	p.want(p.get(query("players", "q", "alice@example.com")), http.StatusOK)
}
