package main

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

const badToken = `{"token":"no-such-token"}`

// ask calls GetSession in JSON.
func ask(t *testing.T, url, key, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+databasev1.SessionServicePathPrefix+"GetSession", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "asker/1")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = a.Body.Close() // only the record matters
}

// TestConsoleCalls looks at calls as a developer does: they have their content, can be sent again, and say why they were refused.
func TestConsoleCalls(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs PostgreSQL, and -short is set")
	}
	server, admin := startWithAdmin(t, nil)
	w := &consoleWorld{program: server, console: admin + "/console"}
	token := regexp.MustCompile(`Token +(\w+)`).FindStringSubmatch(server.stdout.String())
	if token == nil {
		t.Fatal("the greeting has no token")
	}
	p := w.visitor(t)
	ask(t, server.url, "", badToken)
	ask(t, server.url, "", `{"token":`)
	p.want(p.get("/calls"), http.StatusOK, "SessionService/GetSession", "not_found SESSION_NOT_FOUND", ">malformed ", "asker/1", "json")
	p.want(p.get(query("calls", "code", "malformed")), http.StatusOK, ">malformed ")
	for _, filter := range [][]string{{"code", "ok"}, {"rpc", "SaveCharacter"}, {"caller", "other"}, {"protocol", "grpc"}, {"ms", "100000"}} {
		p.want(p.get(query("calls", filter...)), http.StatusOK, "No call matches yet.")
	}
	call := p.want(p.get(query("call", "number", "1")), http.StatusOK, "unknown, revoked, of a removed user, or with a wrong signature", `"token": "no-such-token"`,
		"curl -sS", "grpcurl -plaintext", `"rawPath": "/twirp/osirose.database.v1.SessionService/GetSession"`, "Send it again")
	p.want(p.get(query("call", "number", "2")), http.StatusOK, "The body is not a message", `{"token":`)
	p.want(p.get(query("call", "number", "999")), http.StatusUnprocessableEntity, "not kept any more")

	again := regexp.MustCompile(`/try\?[^"]+`).FindString(call.text)
	p.want(p.get(strings.ReplaceAll(again, "&amp;", "&")), http.StatusOK, `value="no-such-token"`)
	for _, protocol := range []string{"json", "protobuf", "grpc"} {
		form := url.Values{"rpc": {"SessionService/GetSession"}, "field.token": {"no-such-token"}, "protocol": {protocol}}
		p.want(p.post("/try", form), http.StatusOK, "not_found SESSION_NOT_FOUND", "curl -sS")
		form.Set("field.token", token[1])
		p.want(p.post("/try", form), http.StatusOK, `"expires_in_seconds"`)
	}
	p.want(p.get(query("calls", "own", "1", "protocol", "grpc")), http.StatusOK, "console", "grpc")
	p.want(p.post("/try", url.Values{"rpc": {"CharacterDbService/GetCharacter"}, "field.character_id": {"one"}}), http.StatusUnprocessableEntity, "character_id")
	p.want(p.get(query("try", "rpc", "No/Such")), http.StatusUnprocessableEntity, "No/Such")
}

// TestConsoleCallsOfOthers looks at calls of a server that is no developer's: their content is not kept.
func TestConsoleCallsOfOthers(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t)
	p := w.login(t, "mona")
	ask(t, w.url, w.keys["world"], badToken)
	p.want(p.get("/calls"), http.StatusOK, "No call matches yet.", "only while someone has this page open")
	ask(t, w.url, w.keys["world"], badToken)
	p.want(p.get("/calls"), http.StatusOK, "not_found SESSION_NOT_FOUND", "world")
	one := p.want(p.get(query("call", "number", "1")), http.StatusOK, "unknown, revoked", "The contents of requests and answers are not kept")
	if strings.Contains(one.text, "no-such-token") {
		t.Errorf("the page has the content of a request:\n%s", one.text)
	}
	p.want(p.get("/try"), http.StatusNotFound)
	ask(t, w.url, w.keys["mona"], badToken)
	p.want(p.get(query("call", "number", "2")), http.StatusOK, "NOT_ALLOWED", "meta.missing_right</dt><dd>GetSession")
	rex := w.login(t, "rex") // the console's own calls are not those of callers
	rex.want(rex.get(query("players", "q", "nobody")), http.StatusOK)
	if all := p.want(p.get("/calls"), http.StatusOK); strings.Contains(all.text, "FindPlayers") {
		t.Errorf("the page has the console's own calls:\n%s", all.text)
	}
	p.want(p.get(query("calls", "own", "1")), http.StatusOK, "FindPlayers", "rex")
	sue := w.login(t, "sue")
	sue.want(sue.get("/calls"), http.StatusForbidden, "metrics")
}

// TestConsoleGateways calls an rpc through each kind of gateway.
func TestConsoleGateways(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis", testenv.AlsoStaff)
	w := &consoleWorld{program: startEmulator(t, outside(e)), env: e}
	w.console = w.url + "/console"
	p := w.visitor(t)
	for _, gateway := range []string{"v2", "v1", "furl", "alb", "alb-multi"} {
		for _, protocol := range []string{"json", "protobuf"} {
			form := url.Values{"rpc": {"SessionService/GetSession"}, "field.token": {"no-such-token"}, "protocol": {protocol}, "gateway": {gateway}}
			a := p.want(p.post("/try", form), http.StatusOK, "not_found SESSION_NOT_FOUND", w.url+"/_gateway/"+gateway+"/twirp/")
			if strings.Contains(a.text, "grpcurl") {
				t.Errorf("the emulator has no gRPC, but the page has a line for it:\n%s", a.text)
			}
		}
		p.want(p.get("/emulator"), http.StatusOK, "<td>"+gateway+"</td>")
	}
	p.want(p.get(query("calls", "own", "1")), http.StatusOK, "SESSION_NOT_FOUND", "protobuf")
}
