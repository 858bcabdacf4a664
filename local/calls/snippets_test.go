package calls_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/osirose-new/database-service/local/calls"
	"github.com/osirose-new/database-service/local/emulator/gateway"
	"github.com/osirose-new/database-service/shared/request"
)

const path = "osirose.database.v1.UserService/GetUser"

// words runs a command in a shell where curl and grpcurl print their arguments.
func words(t *testing.T, command string) []string {
	t.Helper()
	const stub = `list() { for word; do printf '%s\0' "$word"; done; }; curl() { list curl "$@"; }; grpcurl() { list grpcurl "$@"; }; `
	shell := exec.CommandContext(t.Context(), "sh", "-c", stub+command)
	shell.Env = append(os.Environ(), "KEY=the key's $value")
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

// TestSnippets gives the commands to a shell, with text that has a meaning in a shell.
func TestSnippets(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"ada", "it's", "'", "''; exit 1; '", `"$(exit 1)" $KEY ` + "`exit 1`", `back\slash\`, "@file", "!!", "a\nb\x00c", "-d", "%s é", "<&>"} {
		body, err := json.Marshal(map[string]string{"user_id": id})
		if err != nil {
			t.Fatal(err)
		}
		text := string(body)
		for _, test := range []struct {
			calls.Targets
			curl, grpcurl []string
		}{
			{calls.Targets{Twirp: "http://127.0.0.1:50052", GRPC: "http://127.0.0.1:50052"},
				[]string{"curl", "-sS", "http://127.0.0.1:50052/twirp/" + path, "-H", "Content-Type: application/json", "--data-raw", text},
				[]string{"grpcurl", "-plaintext", "-d", text, "127.0.0.1:50052", path}},
			{calls.Targets{Twirp: "https://db's.example.com/", GRPC: "https://db's.example.com:443/"},
				[]string{"curl", "-sS", "https://db's.example.com/twirp/" + path, "-H", "Content-Type: application/json", "--data-raw", text},
				[]string{"grpcurl", "-d", text, "db's.example.com:443", path}},
		} {
			s, err := calls.SnippetsOf(getUser, append([]byte("\n "), body...), test.Targets)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.curl, words(t, s.Curl)); diff != "" {
				t.Errorf("%s\n(-want +got):\n%s", s.Curl, diff)
			}
			if diff := cmp.Diff(test.grpcurl, words(t, s.GRPCurl)); diff != "" {
				t.Errorf("%s\n(-want +got):\n%s", s.GRPCurl, diff)
			}
			var event struct{ Body string }
			if err := json.Unmarshal([]byte(s.Event), &event); err != nil || event.Body != text {
				t.Errorf("the event has the body %s, %v, want %s", event.Body, err, text)
			}
		}
	}
}

func TestSnippetsLeftOut(t *testing.T) {
	t.Parallel()
	s, err := calls.SnippetsOf(getUser, []byte("{}"), calls.Targets{})
	if err != nil || s.Curl != "" || s.GRPCurl != "" || s.Event == "" {
		t.Errorf("SnippetsOf without targets = %+v, %v, want the event only", s, err)
	}
	if s, err := calls.SnippetsOf(getUser, []byte("{"), calls.Targets{}); err == nil {
		t.Errorf("SnippetsOf({) = %+v, want an error", s)
	}
	if s, err := calls.SnippetsOf("UserService/Nothing", []byte("{}"), calls.Targets{}); err == nil {
		t.Errorf("SnippetsOf(UserService/Nothing) = %+v, want an error", s)
	}
}

func decode(t *testing.T, text []byte) (v map[string]any) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// TestSnippetEvents makes each event in scripts/events from its body.
func TestSnippetEvents(t *testing.T) {
	t.Parallel()
	for _, rpc := range calls.RPCs() {
		want, err := os.ReadFile(filepath.Join("../../scripts/events", rpc.Method+".json"))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := decode(t, want)["body"].(string)
		s, err := calls.SnippetsOf(rpc.String(), []byte(body), calls.Targets{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(decode(t, want), decode(t, []byte(s.Event))); diff != "" {
			t.Errorf("%s (-scripts/events +snippet):\n%s", rpc, diff)
		}
	}
}

// TestSnippetOfGateway compares an event with that of the emulator's gateway for the same request.
func TestSnippetOfGateway(t *testing.T) {
	t.Parallel()
	const body = `{"user_id":"it's <ada>"}`
	s, err := calls.SnippetsOf(getUser, []byte(body), calls.Targets{})
	if err != nil {
		t.Fatal(err)
	}
	want, got := decode(t, gatewayEvent(t, body)), decode(t, []byte(s.Event))
	for _, of := range []map[string]any{want, got} {
		context, _ := of["requestContext"].(map[string]any)
		of["http"], of["stage"], of["contextRoute"] = context["http"], context["stage"], context["routeKey"]
		of["time"] = len(context["time"].(string))
		if http, ok := of["http"].(map[string]any); ok {
			delete(http, "sourceIp")
			delete(http, "userAgent")
		}
		delete(of, "requestContext") // the account, and its names
		headers, _ := of["headers"].(map[string]any)
		for _, name := range []string{"host", "user-agent", "x-forwarded-for", "x-amzn-trace-id"} {
			delete(headers, name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the events differ (-gateway +snippet):\n%s", diff)
	}
}

// gatewayEvent returns the event of a JSON request to GetUser.
func gatewayEvent(t *testing.T, body string) (event []byte) {
	t.Helper()
	answer := func(_ context.Context, _ gateway.Kind, _ string, e []byte) gateway.Result {
		event = e
		return gateway.Result{Payload: []byte(`{"statusCode":200,"headers":{"content-type":"application/json"},"body":"{}"}`)}
	}
	s := calls.Sender{HTTP: gateway.New(gateway.Config{Routes: map[gateway.Kind][]gateway.Route{
		gateway.HTTPAPI: {{Method: "POST", Path: "/twirp/osirose.database.v1.UserService/{method}", Function: answer}},
	}})}
	got, err := s.Send(t.Context(), calls.Request{RPC: getUser, Protocol: request.JSON, JSON: []byte(body)})
	if err != nil || got.Code != "ok" {
		t.Fatalf("Send = %+v, %v, want ok", got, err)
	}
	return event
}
