package main

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/faultproxy"
	"github.com/osirose-new/database-service/shared/services"
)

// shown returns the form of a change that was shown, with a reason.
func (p person) shown(action, user, id string, typed ...string) url.Values {
	p.Helper()
	form := p.want(p.get(query("change", "action", action, "user", user, "id", id)), http.StatusOK).form()
	form.Set("reason", "ticket 4711")
	for i := 0; i < len(typed); i += 2 {
		form.Set(typed[i], typed[i+1])
	}
	for name, values := range p.want(p.post("/change/show", form), http.StatusOK, "This will change").form() {
		form[name] = values
	}
	return form
}

// actions returns how often each action is in the audit.
func (w *consoleWorld) actions(t *testing.T) map[string]int {
	t.Helper()
	audit, err := services.New(w.env.Program).Staff.ListAudit(t.Context(), &databasev1.ListAuditRequest{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, e := range audit.Entries {
		count[e.Action]++
	}
	return count
}

// asked is a change of each kind.
type asked struct {
	action, rpc, id string
	typed           []string
}

// changes prepares a character for each kind of change.
func (w *consoleWorld) changes(t *testing.T, alice, bob string) []asked {
	t.Helper()
	lost, marked := w.hero(t, alice, "Aldebaran"), w.hero(t, alice, "Marked")
	w.lose(t, alice, lost, atOnce)
	w.lose(t, alice, marked, later)
	return []asked{
		{"undelete", "UndeleteCharacter", lost, nil},
		{"restore", "UndeleteCharacter", marked, nil},
		{"rename", "RenameCharacter", w.hero(t, alice, "Amber"), []string{"new_name", "Ambrosia"}},
		{"transfer", "TransferCharacter", w.hero(t, alice, "Beryl"), []string{"to", bob}},
	}
}

// TestConsoleConfirmTwice clicks twice, one after the other and at once. The second answer must not say that nothing was changed.
func TestConsoleConfirmTwice(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t)
	alice, bob := w.env.AddUser(t, "Alice"), w.env.AddUser(t, "Bob")
	p := w.login(t, "rex")
	for _, c := range w.changes(t, alice, bob) {
		t.Run(c.action, func(t *testing.T) {
			p := person{t, p.http, p.console}
			form, before := p.shown(c.action, alice, c.id, c.typed...), w.actions(t)[c.rpc]
			var both sync.WaitGroup
			for range 2 {
				both.Go(func() {
					if a := p.post("/change/confirm", form); a.status != http.StatusSeeOther {
						t.Errorf("one of two clicks: %d\n%s", a.status, a.text)
					}
				})
			}
			both.Wait()
			if a := p.want(p.post("/change/confirm", form), http.StatusSeeOther); !strings.Contains(a.header.Get("Location"), "done="+c.action) {
				t.Errorf("the browser goes to %s", a.header.Get("Location"))
			}
			if got := w.actions(t)[c.rpc] - before; got != 1 {
				t.Errorf("the audit has %s %d times, want 1", c.rpc, got)
			}
			form.Set("reason", "ticket 4712")
			if a := p.want(p.post("/change/confirm", form), http.StatusUnprocessableEntity, "was made already"); strings.Contains(a.text, "Not done") {
				t.Error("the page says that the change is not done")
			}
			form.Set("request_id", "8a2e6bbd-51cd-4b2d-8b9d-0d9a1e7d7c11") // another form of the same change
			if a := p.post("/change/confirm", form); a.status == http.StatusSeeOther {
				t.Errorf("another request goes to %s, but did nothing", a.header.Get("Location"))
			}
		})
	}
}

// TestConsoleConfirmLost loses the answer to a change after PostgreSQL got it. The page must not say that nothing was done, and the next
// click finds out.
func TestConsoleConfirmLost(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t)
	alice, bob := w.env.AddUser(t, "Alice"), w.env.AddUser(t, "Bob")
	p := w.login(t, "rex")
	lose := func(rpc string) {
		var once sync.Once
		w.env.PGProxy.OnSend(func(chunk []byte) {
			if bytes.Contains(chunk, []byte(rpc)) {
				once.Do(func() { w.env.PGProxy.CutAfter(faultproxy.Received, 0) })
			}
		})
	}
	for _, c := range w.changes(t, alice, bob) {
		t.Run(c.action, func(t *testing.T) {
			p := person{t, p.http, p.console}
			form, before := p.shown(c.action, alice, c.id, c.typed...), w.actions(t)[c.rpc]
			lose(c.rpc)
			p.want(p.post("/change/confirm", form), http.StatusServiceUnavailable, "It is not known whether")
			p.want(p.post("/change/confirm", form), http.StatusSeeOther)
			if got := w.actions(t)[c.rpc] - before; got != 1 {
				t.Errorf("the audit has %s %d times, want 1", c.rpc, got)
			}
		})
	}
	t.Run("a note", func(t *testing.T) {
		p := person{t, p.http, p.console}
		before := w.actions(t)["AddNote"]
		lose("AddNote")
		a := p.post("/player/note", url.Values{"id": {alice}, "text": {"Was polite."}, "request_id": {"8a2e6bbd-51cd-4b2d-8b9d-0d9a1e7d7c12"}})
		form := p.want(a, http.StatusServiceUnavailable, "It is not known whether", "Was polite.").form()
		form.Set("text", "Was polite.")
		p.want(p.post("/player/note", form), http.StatusSeeOther)
		if got := w.actions(t)["AddNote"] - before; got != 1 {
			t.Errorf("the audit has %d notes, want 1", got)
		}
	})
}

// TestConsoleDownAfterChange loses PostgreSQL between a change and the page that shows it. That page must not say that nothing was done.
func TestConsoleDownAfterChange(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t)
	alice := w.env.AddUser(t, "Alice")
	p := w.login(t, "rex")
	a := p.want(p.change("rename", alice, w.hero(t, alice, "Amber"), "new_name", "Ambrosia"), http.StatusSeeOther)
	w.env.PGProxy.Refuse()
	w.env.PGProxy.Reset()
	to := strings.TrimPrefix(a.header.Get("Location"), "/console")
	if down := p.want(p.get(to), http.StatusServiceUnavailable, "DATABASE_UNAVAILABLE"); strings.Contains(down.text, "Not done") {
		t.Errorf("the page says that nothing was done:\n%s", down.text)
	}
	p.want(p.post("/player/note", url.Values{"id": {alice}, "text": {"x"}}), http.StatusServiceUnavailable, "DATABASE_UNAVAILABLE")
	w.env.PGProxy.Accept()
	eventually(t, "the page: the pool has connections again", func() bool {
		a = p.get(to)
		return a.status == http.StatusOK
	})
	p.want(a, http.StatusOK, "The character has its new name.", "Ambrosia")
}

// TestConsoleNothingToChange opens a change of a character that does not need it.
func TestConsoleNothingToChange(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t)
	alice, bob := w.env.AddUser(t, "Alice"), w.env.AddUser(t, "Bob")
	amber := w.hero(t, alice, "Amber")
	p := w.login(t, "rex")
	for action, want := range map[string]string{"undelete": "is not deleted", "restore": "has no mark"} {
		a := p.want(p.get(query("change", "action", action, "user", alice, "id", amber)), http.StatusUnprocessableEntity, want)
		if strings.Contains(a.text, "This will change") {
			t.Errorf("%s: the page has a change:\n%s", action, a.text)
		}
	}
	p.want(p.post("/change/show", url.Values{"action": {"rename"}, "user": {alice}, "id": {amber}, "new_name": {"Amber"}}), http.StatusUnprocessableEntity, "has this name already")
	gone, marked := w.hero(t, bob, "Gone"), w.hero(t, alice, "Marked")
	w.lose(t, bob, gone, atOnce)
	w.lose(t, alice, marked, later)
	hidden := p.shown("restore", alice, marked)
	hidden.Set("new_name", "Hidden") // it was not shown
	p.want(p.post("/change/confirm", hidden), http.StatusSeeOther)
	if a := p.want(p.get(query("player", "id", alice)), http.StatusOK, "Marked"); strings.Contains(a.text, "Hidden") {
		t.Errorf("the character has a name that was not shown:\n%s", a.text)
	}
	for n := range 5 {
		w.hero(t, bob, "Full"+string(rune('a'+n)))
	}
	w.env.RDProxy.Refuse()
	w.env.RDProxy.Reset()
	p.want(p.change("rename", alice, amber, "new_name", "Ambrosia"), http.StatusSeeOther) // the cache is no reason to fail
	w.env.RDProxy.Accept()
	p.want(p.get(query("character", "id", amber)), http.StatusOK, "Ambrosia")
	w.env.WebExec(t, w.env.Expand(`UPDATE {user} SET [displayUsername] = $1 WHERE [id] = $2`), "Bob\u202e\u2069\x07", bob)
	if a := p.want(p.get(query("change", "action", "undelete", "user", bob, "id", gone)), http.StatusUnprocessableEntity, "no free slot"); strings.Contains(a.text, "This will change") {
		t.Errorf("the page has a change that cannot be made:\n%s", a.text)
	}
	form := p.shown("transfer", alice, amber, "to", bob)
	if a := p.want(p.post("/change/show", form), http.StatusOK, "Bob"); strings.ContainsAny(a.text, "\u202e\u2069\x07") {
		t.Errorf("the name changes the order of the text after it:\n%q", a.text)
	}
	p.want(p.post("/change/confirm", form), http.StatusPreconditionFailed, "SLOTS_FULL")
	p.want(p.get(query("change", "action", "transfer", "user", alice, "id", amber, "to", alice)), http.StatusUnprocessableEntity, "is the owner")
}
