//go:build e2e

package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/osirose-new/database-service/shared/testenv"
)

var updateScreenshots = flag.Bool("update-screenshots", false, "write local/console/screenshots anew")

// inBrowser runs a script of scripts/browser with Chromium.
func inBrowser(t *testing.T, script string, env []string, args ...string) {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err, ": install Debian's chromium")
	}
	c := exec.Command("node", append([]string{script, chromium}, args...)...)
	c.Dir, c.Env = "../scripts/browser", append(os.Environ(), env...)
	if *updateScreenshots {
		dir, err := filepath.Abs("console/screenshots")
		if err != nil {
			t.Fatal(err)
		}
		c.Env = append(c.Env, "SCREENSHOTS="+dir)
	}
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("scripts/browser/%s: %v\n%s", script, err, out)
	}
}

// TestConsolePages opens the pages in Chromium: light, dark, on a phone, and enlarged. scripts/browser says what it looks for.
func TestConsolePages(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", testenv.RedisKinds()[0])
	p, admin := startWithAdmin(t, outside(e))
	inBrowser(t, "pages.mjs", nil, "front="+p.url+"/", "reference="+admin+"/console/api/")
}

// TestSupportPages opens the pages of support staff, and does their work.
func TestSupportPages(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t)
	alice := w.env.AddUser(t, "Alice")
	first, second, third := w.hero(t, alice, "Aldebaran"), w.hero(t, alice, "Betelgeuse"), w.hero(t, alice, "Capella")
	w.lose(t, alice, first, atOnce)
	w.lose(t, alice, second, atOnce)
	key := []string{"KEY=" + w.keys["rex"]}
	inBrowser(t, "pages.mjs", key, "players="+w.console+"/players?q=alde", "player="+w.console+query("player", "id", alice),
		"character="+w.console+query("character", "id", third), "change="+w.console+query("change", "action", "undelete", "user", alice, "id", first),
		"audit="+w.console+"/audit")
	inBrowser(t, "pages.mjs", nil, "login="+w.console+"/login")
	inBrowser(t, "support.mjs", key, w.console+"/", "Aldebaran", "Betelgeuse")
}

// TestDeveloperPages opens the pages of developers in the emulator, and does their work.
func TestDeveloperPages(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis", testenv.AlsoStaff)
	p := startEmulator(t, outside(e))
	console := p.url + "/console"
	inBrowser(t, "developer.mjs", nil, console)
	inBrowser(t, "pages.mjs", nil, "calls="+console+"/calls?own=1", "call="+console+"/call?number=1", "try="+console+"/try?rpc=StaffService/FindPlayers",
		"emulator="+console+"/emulator", "event="+console+"/emulator/event?number=1", "function="+console+"/emulator/function?id=UserFunction")
}

// TestStatePageInBrowser opens the page State while its figures change.
func TestStatePageInBrowser(t *testing.T) {
	t.Parallel()
	file, keys, _ := reportCallers(t)
	_, admin := startWithAdmin(t, append(outside(testenv.New(t, "plugins", "miniredis")), "CALLERS_FILE="+file))
	inBrowser(t, "pages.mjs", []string{"KEY=" + keys["monitor"]}, "state="+admin+"/console/state")
}
