package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/testenv"
)

// TestFrontPage asks for / as a browser and as a program does, of the server and of the emulator.
func TestFrontPage(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	server, admin := startWithAdmin(t, outside(e))
	emulator := startEmulator(t, outside(e))
	const browser = "text/html,application/xhtml+xml,*/*;q=0.8"
	for name, test := range map[string]struct {
		url, accept string
		status      int
		want        string
	}{
		"the server, a browser":        {server.url + "/", browser, http.StatusOK, `href="` + admin + `/console/api/"`},
		"the server, curl":             {server.url + "/", "*/*", http.StatusOK, "<h1>osirose database-service</h1>"},
		"the emulator, a browser":      {emulator.url + "/", browser, http.StatusOK, `href="/console/api/"`},
		"the emulator, curl":           {emulator.url + "/", "*/*", http.StatusNotFound, "message"}, // the gateway's answer
		"the emulator's API reference": {emulator.url + "/console/api/", browser, http.StatusOK, "UndeleteCharacter"},
		"the API reference":            {admin + "/console/api/", browser, http.StatusOK, "UndeleteCharacter"},
		"the API reference, no slash":  {admin + "/console/api", browser, http.StatusOK, "UndeleteCharacter"},
		"the OpenAPI document":         {admin + "/console/api/openapi.json", "*/*", http.StatusOK, `"openapi": "3.1.0"`},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, test.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", test.accept)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close() // all was read
		if err != nil || answer.StatusCode != test.status || !strings.Contains(string(body), test.want) {
			t.Errorf("%s: %d %.300s, %v, want %d with %q", name, answer.StatusCode, body, err, test.status, test.want)
		}
	}
}
