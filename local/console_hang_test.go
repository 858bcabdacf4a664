package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestConsoleHanging opens pages while PostgreSQL and Redis hang. Each answers, and says so.
func TestConsoleHanging(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, realBudgets)
	alice := w.env.AddUser(t, "Alice")
	hero := w.hero(t, alice, "Amber")
	p, mona := w.login(t, "rex"), w.login(t, "mona")
	form := p.shown("rename", alice, hero, "new_name", "Ambrosia")
	p.want(p.get(query("character", "id", hero)), http.StatusOK)
	w.env.PGProxy.Hold()
	w.env.RDProxy.Hold()
	for path, want := range map[string]string{
		query("player", "id", alice): "No answer", query("players", "q", "Amber"): "DATABASE_UNAVAILABLE", query("audit"): "DATABASE_UNAVAILABLE",
		query("character", "id", hero): "No answer",
	} {
		if a := p.get(path); a.status < 500 || !strings.Contains(a.text, want) && !strings.Contains(a.text, "deadline_exceeded") {
			t.Errorf("%s: %d:\n%s", path, a.status, a.text)
		}
	}
	if a := p.post("/change/confirm", form); a.status < 500 || strings.Contains(a.text, "Not done") {
		t.Errorf("a change: %d\n%s", a.status, a.text)
	}
	mona.want(mona.get("/state"), http.StatusOK, "PostgreSQL does not answer")
	mona.want(mona.get("/calls"), http.StatusOK)
	w.env.PGProxy.Release()
	w.env.RDProxy.Release()
	var a page
	eventually(t, "an answer: the pool has connections again", func() bool {
		a = p.post("/change/confirm", form)
		return a.status < 500
	})
	p.want(a, http.StatusSeeOther)
	if got := w.actions(t)["RenameCharacter"]; got != 1 {
		t.Errorf("the audit has %d changes, want 1", got)
	}
	p.want(p.post("/player/note", url.Values{"id": {alice}, "text": {"It works."}}), http.StatusSeeOther)
}
