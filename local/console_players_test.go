package main

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/services"
)

// hero makes a character.
func (w *consoleWorld) hero(t *testing.T, user, name string) string {
	t.Helper()
	made, err := services.New(w.env.Program).Characters.CreateCharacter(t.Context(), &databasev1.CreateCharacterRequest{UserId: user, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return strconv.FormatInt(made.Character.Id, 10)
}

// lose deletes a character, at once or with a delay.
func (w *consoleWorld) lose(t *testing.T, user, id string, mode databasev1.DeleteMode) {
	t.Helper()
	n, err := strconv.ParseInt(id, 10, 64)
	if err == nil {
		_, err = services.New(w.env.Program).Characters.DeleteCharacter(t.Context(), &databasev1.DeleteCharacterRequest{UserId: user, CharacterId: n, Mode: mode})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// query returns the path of a page.
func query(page string, of ...string) string {
	q := url.Values{}
	for i := 0; i < len(of); i += 2 {
		q.Set(of[i], of[i+1])
	}
	return "/" + page + "?" + q.Encode()
}

// change asks for a change, types a reason and other fields, looks at it, and confirms it.
func (p person) change(action, user, id string, typed ...string) page {
	p.Helper()
	form := p.want(p.get(query("change", "action", action, "user", user, "id", id)), http.StatusOK).form()
	form.Set("reason", "ticket 4711")
	for i := 0; i < len(typed); i += 2 {
		form.Set(typed[i], typed[i+1])
	}
	shown := p.want(p.post("/change/show", form), http.StatusOK, "This will change", "ticket 4711")
	form.Set("shown", shown.form().Get("shown"))
	return p.post("/change/confirm", form)
}

const atOnce, later = databasev1.DeleteMode_DELETE_MODE_IMMEDIATE, databasev1.DeleteMode_DELETE_MODE_SCHEDULED

// TestConsolePlayers does what support does, and compares it with the audit.
func TestConsolePlayers(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, "USER_ADMIN_URL=https://game.example/users/{user_id}?tab=ban")
	alice, bob := w.env.AddUser(t, "Alice"), w.env.AddUser(t, "Bob")
	w.env.AddSession(t, alice, time.Hour)
	lost := w.hero(t, alice, "Aldebaran")
	marked := w.hero(t, alice, "Marked")
	amber := w.hero(t, alice, "Amber")
	w.lose(t, alice, lost, atOnce)
	w.lose(t, alice, marked, later)
	p := w.login(t, "rex")

	found := p.want(p.get(query("players", "q", "aldeb")), http.StatusOK, "Bring Aldebaran back", "1 found")
	if !strings.Contains(found.text, `href="/console/change?action=undelete&amp;user=`+alice+`&amp;id=`+lost+`"`) {
		t.Errorf("no link to bring the character back:\n%s", found.text)
	}
	p.want(p.get(query("players", "q", "nobody at all")), http.StatusOK, "Nothing was found")
	p.want(p.get(query("players", "q", strings.Repeat("x", 300))), http.StatusBadRequest, "query is longer than 256 bytes")
	before := p.want(p.get(query("player", "id", alice)), http.StatusOK, "Alice", "Amber", "Marked", "will be deleted", "Aldebaran", "kept until",
		`href="https://game.example/users/`+alice+`?tab=ban"`, "the player</td>")
	if strings.Contains(before.text, "E-mail</dt>") {
		t.Errorf("the page has an e-mail address without a reason:\n%s", before.text)
	}
	p.want(p.post("/player", url.Values{"id": {alice}}), http.StatusUnprocessableEntity, "Write why")
	p.want(p.post("/player", url.Values{"id": {alice}, "reason": {"ticket 4711"}}), http.StatusOK, "E-mail</dt>", "IP address")

	for _, done := range []string{"undelete", "restore", "rename", "transfer", "note"} { // an address proves nothing
		if a := p.want(p.get(query("player", "id", alice, "done", done)), http.StatusOK); strings.Contains(a.text, `class="done"`) {
			t.Errorf("done=%s: the page says that a change was made, but none was:\n%s", done, a.text)
		}
	}
	to := func(user, done string) string { return "/console/player?done=" + done + "&id=" + url.QueryEscape(user) }
	for _, each := range []struct {
		a    page
		want string
	}{
		{p.change("undelete", alice, lost), to(alice, "undelete")},
		{p.change("restore", alice, marked), to(alice, "restore")},
		{p.change("rename", alice, amber, "new_name", "Ambrosia"), to(alice, "rename")},
		{p.change("transfer", alice, amber, "to", "BOB"), to(bob, "transfer")},
		{p.post("/player/note", url.Values{"id": {alice}, "text": {"Was polite."}}), to(alice, "note")},
	} {
		if p.want(each.a, http.StatusSeeOther); each.a.header.Get("Location") != each.want {
			t.Errorf("the browser goes to %s, want %s", each.a.header.Get("Location"), each.want)
		}
	}
	p.want(p.get(query("player", "id", alice, "done", "undelete")), http.StatusOK, "The character is back.", "Was polite.", "Aldebaran", "rex")
	p.want(p.get(query("player", "id", bob)), http.StatusOK, "Ambrosia")
	p.want(p.get(query("audit", "who", "rex")), http.StatusOK, "RenameCharacter", "name Ambrosia", "ticket 4711")

	audit, err := services.New(w.env.Program).Staff.ListAudit(t.Context(), &databasev1.ListAuditRequest{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range slices.Backward(audit.Entries) {
		got = append(got, e.Who+" "+e.Action)
	}
	want := []string{"rex GetPlayer", "rex UndeleteCharacter", "rex UndeleteCharacter", "rex RenameCharacter", "rex TransferCharacter", "rex AddNote"}
	if !slices.Equal(got, want) {
		t.Errorf("the audit has %q, want %q", got, want)
	}
}

// TestConsoleConfirm checks that the console makes no change but the one that was shown, and none without a reason or a right.
func TestConsoleConfirm(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t)
	alice := w.env.AddUser(t, "Alice")
	lost := w.hero(t, alice, "Aldebaran")
	w.lose(t, alice, lost, atOnce)
	p := w.login(t, "rex")
	ask := query("change", "action", "undelete", "user", alice, "id", lost)
	form := p.want(p.get(ask), http.StatusOK, "deleted", "active").form()
	with := func(name, value string) url.Values {
		changed := url.Values{}
		for n, v := range form {
			changed[n] = v
		}
		changed.Set("reason", "ticket 4711")
		changed.Set(name, value)
		return changed
	}
	p.want(p.post("/change/confirm", with("reason", " ")), http.StatusUnprocessableEntity, "Write why")
	p.want(p.post("/change/confirm", with("new_name", "Another")), http.StatusUnprocessableEntity, "Nothing was changed yet", "<ins>Another</ins>")
	p.want(p.post("/change/confirm", with("slot", "4")), http.StatusUnprocessableEntity, "Nothing was changed yet")
	p.want(p.post("/change/confirm", with("slot", "first")), http.StatusUnprocessableEntity, "Write the number of a free slot")
	p.want(p.post("/change/show", with("action", "destroy")), http.StatusUnprocessableEntity, "There is no such change")
	p.want(p.post("/change/show", with("id", "99")), http.StatusUnprocessableEntity, "The player has no such character")
	p.want(p.post("/change/show", with("user", "nobody")), http.StatusNotFound, "USER_NOT_FOUND")

	sue := w.login(t, "sue")
	sue.want(sue.get(query("players", "q", "Aldebaran")), http.StatusOK, "The role repair can bring it back")
	sue.want(sue.get(ask), http.StatusForbidden, "UndeleteCharacter")
	sue.want(sue.post("/change/confirm", with("reason", "ticket 4711")), http.StatusForbidden, "NOT_ALLOWED", "UndeleteCharacter")

	w.hero(t, alice, "Aldebaran") // meanwhile the player has made another one, in the same slot and with the same name
	p.want(p.get(ask), http.StatusOK, "needs a new one")
	form.Set("new_name", "Aldebaran2")
	p.want(p.post("/change/confirm", with("reason", "ticket 4711")), http.StatusUnprocessableEntity, "Nothing was changed yet", "<ins>1</ins>")
	p.want(p.change("undelete", alice, lost, "new_name", "Aldebaran2"), http.StatusSeeOther)
	p.want(p.get(query("player", "id", alice)), http.StatusOK, "Aldebaran2")
}

func idOf(t *testing.T, id string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
