package callers_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestCertificateOfAnOpenConnection checks that a connection loses its identity when its certificate expires, its caller is removed,
// or its authority is.
func TestCertificateOfAnOpenConnection(t *testing.T) {
	t.Parallel()
	ca, next := testenv.NewAuthority(t, start), testenv.NewAuthority(t, start)
	const file = `callers: {map: {roles: [world], certificates: ["spiffe://game/world"]}}`
	const other = `callers: {web: {roles: [web], certificates: ["spiffe://game/web"]}}`
	c := func() callers.Credentials {
		return callers.Credentials{Connection: callers.Connected(true, false, ca.Issue(t, testenv.URI(t, "spiffe://game/world")).Cert)}
	}
	for what, test := range map[string]struct {
		change func(*world)
		want   string
	}{
		"expires":         {func(w *world) { w.now = start.Add(time.Hour + time.Second) }, "IDENTITY_REFUSED: the certificate has expired or is not valid yet"},
		"caller removed":  {func(w *world) { testenv.ReplaceFile(t, w.callers, other) }, "IDENTITY_REFUSED: the certificate names no caller in CALLERS_FILE"},
		"authority added": {func(w *world) { testenv.ReplaceFile(t, w.clients, ca.PEM()+next.PEM()) }, "map"},
		"authority gone":  {func(w *world) { testenv.ReplaceFile(t, w.clients, next.PEM()) }, "IDENTITY_REFUSED: the certificate is not from an authority in TLS_CLIENT_CA_FILE"},
		"authorities damaged": {func(w *world) {
			testenv.ReplaceFile(t, w.clients, next.PEM()+strings.Replace(ca.PEM(), "-----END", "----END", 1))
		}, "map"},
		"a key among the authorities": {func(w *world) {
			testenv.ReplaceFile(t, w.clients, next.PEM()+"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
		}, "map"},
		"caller removed while the authorities are broken": {func(w *world) {
			testenv.ReplaceFile(t, w.clients, "broken")
			testenv.ReplaceFile(t, w.callers, other)
		}, "IDENTITY_REFUSED: the certificate names no caller in CALLERS_FILE"},
		"authority broken": {func(w *world) { testenv.ReplaceFile(t, w.clients, "-----BEGIN") }, "map"},
		"file broken":      {func(w *world) { testenv.ReplaceFile(t, w.callers, "callers: [") }, "map"},
		"file removed": {func(w *world) {
			if err := os.Remove(w.callers); err != nil {
				t.Error(err)
			}
		}, "map"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, callers.Options{}, file, ca.PEM())
			connection := c()
			if got := w.ask(t, connection); got != "map" {
				t.Fatalf("before: %q, want map", got)
			}
			test.change(w)
			if w.now.Equal(start) {
				w.now = start.Add(time.Second)
			}
			if got := w.ask(t, connection); got != test.want {
				t.Errorf("after: %q, want %q", got, test.want)
			}
		})
	}
}

// TestReload checks when the file is read again, and what is reported.
func TestReload(t *testing.T) {
	t.Parallel()
	first, second := callers.NewKey(), callers.NewKey()
	local := callers.Connected(false, true)
	w := newWorld(t, callers.Options{}, entryOf(t, "first", first), "")
	testenv.ReplaceFile(t, w.callers, entryOf(t, "second", second))
	w.now = start.Add(time.Second - 1)
	if got := w.ask(t, bearer(local, first.Text)); got != "first" {
		t.Errorf("within 1 s: %q, want first", got)
	}
	w.now = start.Add(time.Second)
	if got := w.ask(t, bearer(local, first.Text)); got != "IDENTITY_REFUSED: no caller in CALLERS_FILE has the API key" {
		t.Errorf("after 1 s: %q, want a refusal", got)
	}
	if got := w.ask(t, bearer(local, second.Text)); got != "second" {
		t.Errorf("after 1 s: %q, want second", got)
	}
	for i, content := range []string{"callers: {x: {roles: [nobody]}}", "callers: {x: {roles: [nobody]}} ", ""} {
		testenv.ReplaceFile(t, w.callers, content)
		w.now = w.now.Add(time.Second)
		if got := w.ask(t, bearer(local, second.Text)); got != "second" {
			t.Errorf("with invalid file %d: %q, want second", i, got)
		}
	}
	testenv.ReplaceFile(t, w.callers, entryOf(t, "third", second))
	w.now = w.now.Add(time.Second)
	if got := w.ask(t, bearer(local, second.Text)); got != "third" {
		t.Errorf("mended: %q, want third", got)
	}
	var said []string
	for _, err := range w.reloads {
		said = append(said, strings.ReplaceAll(fmt.Sprint(err), "\n", "; "))
	}
	want := []string{
		"<nil>",
		`CALLERS_FILE: caller "x": there is no role "nobody"; caller "x" has no certificates, subjects, aws or keys`,
		"CALLERS_FILE: it has no callers",
		"<nil>",
	}
	if strings.Join(said, "\n") != strings.Join(want, "\n") {
		t.Errorf("reported %q, want %q", said, want)
	}
}

// TestFileThatCannotBeRead checks that a file is tried again although nothing that stat returns has changed, as after a chmod. A folder
// stands for a file that cannot be read: root may read all files.
func TestFileThatCannotBeRead(t *testing.T) {
	t.Parallel()
	k := callers.NewKey()
	w := newWorld(t, callers.Options{}, entryOf(t, "first", k), "")
	local := bearer(callers.Connected(false, true), k.Text)
	if err := os.Remove(w.callers); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(w.callers, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.now = w.now.Add(time.Second)
		if got := w.ask(t, local); got != "first" {
			t.Errorf("while it cannot be read: %q, want first", got)
		}
	}
	if err := os.Remove(w.callers); err != nil {
		t.Fatal(err)
	}
	testenv.ReplaceFile(t, w.callers, entryOf(t, "second", k))
	w.now = w.now.Add(time.Second)
	if got := w.ask(t, local); got != "second" {
		t.Errorf("when it can be read: %q, want second", got)
	}
	if len(w.reloads) != 2 || w.reloads[0] == nil || w.reloads[1] != nil {
		t.Errorf("reported %v, want one error and one success", w.reloads)
	}
}

// TestCertificateBecomesValid checks that an open connection is not refused for longer than its certificate is not valid.
func TestCertificateBecomesValid(t *testing.T) {
	t.Parallel()
	ca := testenv.NewAuthority(t, start)
	w := newWorld(t, callers.Options{}, `callers: {map: {roles: [world], certificates: ["spiffe://game/world"]}}`, ca.PEM())
	early := testenv.URI(t, "spiffe://game/world")
	early.NotBefore, early.NotAfter = start.Add(10*time.Second), start.Add(time.Hour)
	c := callers.Credentials{Connection: callers.Connected(true, false, ca.Issue(t, early).Cert)}
	if got := w.ask(t, c); got != "IDENTITY_REFUSED: the certificate has expired or is not valid yet" {
		t.Errorf("too early: %q, want a refusal", got)
	}
	w.now = start.Add(10 * time.Second)
	if got := w.ask(t, c); got != "map" {
		t.Errorf("from its begin on: %q, want map", got)
	}
}
