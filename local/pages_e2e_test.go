//go:build e2e

package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/services"
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
	w.equip(t, third)
	key := []string{"KEY=" + w.keys["rex"]}
	inBrowser(t, "pages.mjs", key, "players="+w.console+"/players?q=alde", "player="+w.console+query("player", "id", alice),
		"character="+w.console+query("character", "id", third), "change="+w.console+query("change", "action", "undelete", "user", alice, "id", first),
		"audit="+w.console+"/audit")
	inBrowser(t, "pages.mjs", nil, "login="+w.console+"/login")
	inBrowser(t, "support.mjs", key, w.console+"/", "Aldebaran", "Betelgeuse")
}

// equip gives a character some items.
func (w *consoleWorld) equip(t *testing.T, id string) {
	t.Helper()
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	sword := &databasev1.Item{Slot: 7, Type: 8, ItemId: 21, Count: 1, Grade: 3, Durability: 80}
	bag := &databasev1.Inventory{Capacity: 24, Items: []*databasev1.Item{{Slot: 0, Type: 10, ItemId: 5, Count: 12}, {Slot: 9, Type: 11, ItemId: 301, Count: 1, Gem: 2}}}
	_, err = services.New(w.env.Program).Characters.SaveCharacter(t.Context(), &databasev1.SaveCharacterRequest{
		CharacterId: n, ExpectedVersion: 1, Equipment: &databasev1.EquipmentSet{Items: []*databasev1.Item{sword}}, Inventory: bag,
		Skills: &databasev1.SkillBook{Skills: []*databasev1.Skill{{SkillId: 11, Level: 2, Slot: 0}}},
	})
	if err != nil {
		t.Fatal(err)
	}
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

// TestStatePageInBrowser opens the page State while its figures change, and finds the slowest rpc.
func TestStatePageInBrowser(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t)
	ask(t, w.url, w.keys["world"], badToken)
	key := []string{"KEY=" + w.keys["mona"]}
	inBrowser(t, "state.mjs", key, w.console, "SessionService/GetSession")
	inBrowser(t, "pages.mjs", key, "state="+w.console+"/state")
}
