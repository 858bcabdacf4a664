package calls_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/local/calls"
	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/testenv"
)

// countdown is the field of a session that differs between two calls.
var countdown = regexp.MustCompile(`"expires_in_seconds": "[0-9]+"`)

// TestSend sends the same requests by each protocol: the results are the same, and the recorder has them.
func TestSend(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis")
	user := e.AddUser(t, "Player1")
	_, token := e.AddSession(t, user, time.Hour)
	sender := serve(t, e.Program)
	recorder := calls.NewRecorder(e.Program.Edge(), calls.Options{Payloads: true, Always: true})
	for _, test := range []struct {
		rpc    string
		values values
		code   twirp.ErrorCode
		reason string
		want   string // a part of the answer, or the message
	}{
		{getUser, values{"user_id": user}, "ok", "", `"username": "player1"`},
		{getUser, values{"user_id": "nobody"}, twirp.NotFound, "USER_NOT_FOUND", "no such user"},
		{getUser, nil, twirp.InvalidArgument, "ARGUMENT", "user_id is required"},
		{"UserService/GetUserBySession", values{"token": token}, "ok", "", `"ban_expires_at": null`},
		{"SessionService/GetSession", values{"token": token}, "ok", "", user},
		{"CharacterDbService/GetCharacterList", values{"user_id": user}, "ok", "", `"characters": []`},
		{"StaffService/FindPlayers", values{"query": "player1"}, "ok", "", `"found_by": "PLAYER_FIELD_USERNAME"`},
	} {
		body, err := calls.Build(test.rpc, test.values)
		if err != nil {
			t.Fatal(err)
		}
		var first calls.Result
		for i, protocol := range sender.Protocols() {
			got := send(t, sender, calls.Request{RPC: test.rpc, Protocol: protocol, JSON: body})
			if got.Code != test.code || got.Reason != test.reason || !strings.Contains(got.Answer+got.Message, test.want) || got.Took <= 0 || got.Status == "" {
				t.Errorf("%s %s by %s = %+v, want %s %s %s", test.rpc, body, protocol, got, test.code, test.reason, test.want)
			}
			if newest := recorder.List(calls.Filter{})[0]; newest.RPC() != test.rpc || newest.Protocol != protocol || newest.Code != test.code || newest.Reason != test.reason {
				t.Errorf("recorded %+v for %s by %s", newest, test.rpc, protocol)
			} else if d, _ := recorder.Get(newest.Number); d.Answer.Text != got.Answer || d.Message != got.Message || !cmp.Equal(d.Meta, got.Meta) || d.Request.Text == "" {
				t.Errorf("recorded %+v for %+v", d, got)
			}
			got.Answer = countdown.ReplaceAllString(got.Answer, `"expires_in_seconds": "#"`)
			if i == 0 {
				first = got
			}
			if diff := cmp.Diff(first, got, cmpopts.IgnoreFields(calls.Result{}, "Took", "Status")); diff != "" {
				t.Errorf("%s by %s (-json +%s):\n%s", test.rpc, protocol, protocol, diff)
			}
		}
	}
}

// TestSendStatus checks the status of each protocol.
func TestSendStatus(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis")
	sender := serve(t, e.Program)
	for protocol, want := range map[request.Protocol]string{request.JSON: "404 Not Found", request.Protobuf: "404 Not Found", request.GRPC: "NotFound"} {
		got := send(t, sender, calls.Request{RPC: getUser, Protocol: protocol, JSON: []byte(`{"user_id":"nobody"}`)})
		if got.Status != want {
			t.Errorf("by %s: status %q, want %q", protocol, got.Status, want)
		}
	}
}

// TestSendMalformed: JSON goes out as it is; the other protocols need a request. The connection of gRPC may be missing.
func TestSendMalformed(t *testing.T) {
	t.Parallel()
	r := record(t, calls.Options{}, fake{})
	got, err := r.Send(t.Context(), calls.Request{RPC: getUser, Protocol: request.JSON, JSON: []byte("{")})
	if err != nil || got.Code != twirp.Malformed || got.Status != "400 Bad Request" || got.Answer != "" {
		t.Errorf("Send = %+v, %v, want malformed", got, err)
	}
	if got := r.Protocols(); !cmp.Equal(got, []request.Protocol{request.JSON, request.Protobuf}) {
		t.Errorf("Protocols() = %q, want gRPC left out", got)
	}
	for _, bad := range []calls.Request{
		{RPC: getUser, Protocol: request.Protobuf, JSON: []byte("{")},
		{RPC: getUser, Protocol: request.Protobuf, JSON: []byte(`{"name":"x"}`)},
		{RPC: getUser, Protocol: request.GRPC, JSON: []byte("{}")},
		{RPC: getUser, Protocol: "soap", JSON: []byte("{}")},
		{RPC: "UserService/Nothing", Protocol: request.JSON, JSON: []byte("{}")},
	} {
		if got, err := r.Send(t.Context(), bad); err == nil {
			t.Errorf("Send(%+v) = %+v, want an error", bad, got)
		}
	}
}

// TestSendToAnother checks answers that are no Twirp error, as a gateway or a proxy gives them.
func TestSendToAnother(t *testing.T) {
	t.Parallel()
	s := calls.Sender{HTTP: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no route", http.StatusBadGateway) })}
	want := calls.Result{Status: "502 Bad Gateway", Code: twirp.Unknown, Message: "no route\n"}
	got, err := s.Send(t.Context(), calls.Request{RPC: getUser, Protocol: request.Protobuf, JSON: []byte("{}")})
	got.Took = 0
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Send: %v (-want +got):\n%s", err, diff)
	}
	s.HTTP = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })
	if got, err := s.Send(t.Context(), calls.Request{RPC: getUser, Protocol: request.JSON, JSON: []byte("{}")}); err == nil {
		t.Errorf("Send = %+v, want an error for an answer that is not JSON", got)
	}
}
