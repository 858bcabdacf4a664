package main

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/osirose-new/database-service/shared/testenv"
)

// TestConsoleConcurrently opens pages while requests come. It is for the race detector, which the program has if the tests have it.
func TestConsoleConcurrently(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis", testenv.AlsoStaff)
	emulated := &consoleWorld{program: startEmulator(t, outside(e)), env: e}
	emulated.console = emulated.url + "/console"
	served := newConsoleWorld(t)
	alice := e.AddUser(t, "Alice")
	form := url.Values{"rpc": {"UserService/GetUser"}, "field.user_id": {alice}, "protocol": {"protobuf"}, "gateway": {"v1"}}
	people := map[*consoleWorld]person{emulated: emulated.visitor(t), served: served.login(t, "mona")}
	var all sync.WaitGroup
	for w, p := range people {
		for range 3 {
			all.Go(func() {
				for i := range 12 {
					ask(t, w.url, w.keys["world"], badToken)
					n := strconv.Itoa(i)
					for _, path := range []string{"/calls?own=1", "/call?number=" + n, "/state", "/emulator", "/emulator/event?number=" + n, "/emulator/function?id=UserFunction"} {
						if a := p.get(path); a.status == http.StatusInternalServerError {
							t.Errorf("%s: %d\n%s", path, a.status, a.text)
						}
					}
					if w == emulated {
						p.post("/emulator/replay", url.Values{"number": {"1"}})
						for _, a := range []page{p.post("/try", form), p.get(query("player", "id", alice))} {
							if a.status != http.StatusOK || !strings.Contains(a.text, "Alice") {
								t.Errorf("%d, want Alice:\n%s", a.status, a.text)
							}
						}
					}
				}
			})
		}
	}
	all.Wait()
	for w := range people {
		if strings.Contains(w.stderr.String(), "DATA RACE") || strings.Contains(w.stderr.String(), "panic") {
			t.Errorf("the program has a race or a panic:\n%s", w.stderr.String())
		}
	}
}
