package main

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/testenv"
)

// TestPages sends what a web page could make a developer's browser send, to each address that has no login.
func TestPages(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs PostgreSQL, and -short is set")
	}
	admin := "127.0.0.1:" + freePort(t)
	demo := start(t, []string{"TMPDIR=" + openDir(t), "LISTEN_ADDR=", "ADMIN_ADDR=" + admin})
	eventually(t, "the log to name a local address", func() bool {
		return strings.Contains(demo.stderr.String(), `"msg":"listening","address":"127.0.0.1:`)
	})
	emulated := startEmulator(t, outside(testenv.New(t, "plugins", "miniredis")))
	const event = `{"version":"2.0","rawPath":"/healthz","requestContext":{"http":{"method":"GET","path":"/healthz"}}}`

	for _, address := range []struct{ name, method, url, body string }{
		{"the service with the embedded database", http.MethodPost, demo.url + "/twirp/osirose.database.v1.UserService/GetUserByUsername", `{"username":"alice"}`},
		{"the admin address", http.MethodGet, "http://" + admin + "/metrics", ""},
		{"the emulator's Invoke API", http.MethodPost, emulated.url + "/2015-03-31/functions/UserFunction/invocations", event},
	} {
		t.Run(address.name, func(t *testing.T) {
			u, err := url.Parse(address.url)
			if err != nil {
				t.Fatal(err)
			}
			port := ":" + u.Port()
			for what, test := range map[string]struct {
				host, origin, site string
				reason             string // empty: answered
			}{
				"a program":                     {},
				"localhost":                     {host: "localhost" + port},
				"a name under localhost":        {host: "api.localhost" + port},
				"an address":                    {host: "[::1]" + port},
				"a page of the address itself":  {origin: "http://127.0.0.1" + port, site: "same-origin"},
				"a name in the DNS":             {host: "evil.example" + port, reason: "FOREIGN_HOST"},
				"a name that looks like an IP":  {host: "127.0.0.1.evil.example" + port, reason: "FOREIGN_HOST"},
				"a name that ends in localhost": {host: "evillocalhost" + port, reason: "FOREIGN_HOST"},
				"a page of another origin":      {origin: "https://evil.example", site: "cross-site", reason: "FOREIGN_PAGE"},
				"an old browser":                {origin: "https://evil.example", reason: "FOREIGN_PAGE"},
				"a page of another port":        {origin: "http://127.0.0.1:1", site: "same-site", reason: "FOREIGN_PAGE"},
			} {
				reason := test.reason
				if address.method == http.MethodGet && reason == "FOREIGN_PAGE" {
					reason = "" // the browser keeps the answer from the page, because no header allows it
				}
				r, err := http.NewRequestWithContext(t.Context(), address.method, address.url, strings.NewReader(address.body))
				if err != nil {
					t.Fatal(err)
				}
				r.Host = test.host
				r.Header.Set("Content-Type", "application/json")
				for name, value := range map[string]string{"Origin": test.origin, "Sec-Fetch-Site": test.site} {
					if value != "" {
						r.Header.Set(name, value)
					}
				}
				response, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				text, _ := io.ReadAll(response.Body)
				response.Body.Close()
				want := http.StatusOK
				if reason != "" {
					want = http.StatusForbidden
				}
				if response.StatusCode != want || !strings.Contains(string(text), reason) || response.Header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s: %d %.200s, want %d %s", what, response.StatusCode, text, want, reason)
				}
			}
		})
	}
}
