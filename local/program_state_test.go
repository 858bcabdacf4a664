package main

import (
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/testenv"
)

// askWithKey returns the answer to a caller with a key, or to one without if it is empty.
func askWithKey(t *testing.T, method, url, key, body string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(all)
}

// wantState waits until the page has all parts, and returns it.
func wantState(t *testing.T, address, key string, parts ...string) (page string) {
	t.Helper()
	lacking := ""
	defer func() {
		if t.Failed() {
			t.Logf("the page lacks %q:\n%s", lacking, page)
		}
	}()
	eventually(t, "the page State", func() bool {
		var status int
		status, page = askWithKey(t, http.MethodGet, address+"/console/state", key, "")
		lacking = ""
		for _, part := range parts {
			if !strings.Contains(page, part) {
				lacking = part
			}
		}
		return status == http.StatusOK && lacking == ""
	})
	return page
}

// TestStatePage opens the page while everything works, and after Redis was killed.
func TestStatePage(t *testing.T) {
	t.Parallel()
	file, keys, _ := reportCallers(t)
	e := testenv.New(t, "plugins", "miniredis")
	p, admin := startWithAdmin(t, append(outside(e), "CALLERS_FILE="+file))
	askWithKey(t, http.MethodPost, p.url+"/twirp/osirose.database.v1.UserService/GetUser", keys["world"], `{}`) // refused: it is counted
	page := wantState(t, admin, keys["monitor"], "Ready.", "the schema is at version", "Redis answers", "served (9).", "9 in CALLERS_FILE", " of 16</strong>", `<th scope="row">UserService/GetUser</th><td>1</td><td>1</td>`)
	for _, secret := range []string{"postgres://", "redis://", keys["monitor"]} {
		if strings.Contains(page, secret) {
			t.Errorf("the page has %q", secret)
		}
	}
	if n := strings.Count(page, `<strong class="good">ok</strong>`); n != 5 {
		t.Errorf("%d parts are ok, want 5:\n%s", n, page)
	}
	if status, _ := askWithKey(t, http.MethodGet, admin+"/console/state", keys["support"], ""); status != http.StatusForbidden {
		t.Errorf("with the role support: %d, want 403", status)
	}
	if _, page := askWithKey(t, http.MethodGet, admin+"/console/state", "", ""); !strings.Contains(page, `name="key"`) || strings.Contains(page, "Readiness") {
		t.Errorf("without a key: %s, want the form to log in", page)
	}
	e.Redis.Stop(t)
	wantState(t, admin, keys["monitor"], "Ready.", "Redis does not answer", "Check REDIS_URL (127.0.0.1:", `<strong class="bad">not ok</strong>`)
	p.signal(t, syscall.SIGTERM)
	p.wantExit(t, 0)
}

// TestStatePageOfTheEmulator checks that the page says where the functions' figures are.
func TestStatePageOfTheEmulator(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	p := startEmulator(t, outside(e))
	page := wantState(t, p.url, "", "Ready.", "Redis answers", "Set CALLERS_FILE", "shows their figures", "any that reach the port")
	if strings.Contains(page, "<svg") {
		t.Error("the page has charts, but this process serves no requests")
	}
}
