package rpcserver_test

import (
	"io"
	"strings"
	"testing"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/testenv"
)

// TestJSONFields sends JSON with unknown enum names, unknown fields and values of the wrong type.
func TestJSONFields(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis", testenv.RealBudgets)
	all := methods(t, e, serveAll(t, io.Discard, e.Program))
	secret := strings.Repeat("canary", 20)
	for _, test := range []struct {
		rpc, fields string
		code        twirp.ErrorCode // empty: no error
		argument    string
	}{
		{"GetCharacter", `"view":"FULL"`, twirp.InvalidArgument, "view"},
		{"GetCharacter", `"view":"character_view_full"`, twirp.InvalidArgument, "view"},
		{"GetCharacter", `"view":""`, twirp.InvalidArgument, "view"},
		{"GetCharacter", `"view":true`, twirp.Malformed, "view"},
		{"GetCharacter", `"view":"CHARACTER_VIEW_FULL"`, "", ""},
		{"GetCharacter", `"view":2`, "", ""},
		{"GetCharacter", `"view":null`, "", ""},
		{"GetCharacter", `"view":"FULL","unknown":1`, twirp.InvalidArgument, "view"},
		{"GetCharacter", `"unknown":{"a":["canary"]}`, "", ""},
		{"GetCharacterList", `"view":"canary"`, twirp.InvalidArgument, "view"},
		{"GetUser", `"later":1`, "", ""},
		{"GetSession", `"later":1`, "", ""},

		{"DeleteCharacter", `"mode":"IMMEDIATE"`, twirp.InvalidArgument, "mode"},
		{"DeleteCharacter", `"expected_nme":"canary"`, twirp.InvalidArgument, "expected_nme"},
		{"DeleteCharacter", `"expectedNme":null`, twirp.InvalidArgument, "expectedNme"},
		{"DeleteCharacter", `"` + secret + `":1`, twirp.InvalidArgument, "request"},
		{"DeleteCharacter", `"canary@example.com":1`, twirp.InvalidArgument, "request"},
		{"DeleteCharacter", `"":1`, twirp.InvalidArgument, "request"},
		{"RestoreCharacter", `"later":1`, twirp.InvalidArgument, "later"},
		{"CreateCharacter", `"stats":{"power":1}`, twirp.InvalidArgument, "stats.power"},
		{"CreateCharacter", `"equipment":[{},{"uuid":"canary"}]`, twirp.InvalidArgument, "equipment[1].uuid"},
		{"RefreshSession", `"later":1`, twirp.InvalidArgument, "later"},
		{"SaveCharacter", `"later":{}`, twirp.InvalidArgument, "later"},
		{"SaveCharacter", `"inventory":{"items":[{"count":1},{"count":"canary"}]}`, twirp.Malformed, "inventory.items[1].count"},
		{"SaveCharacter", `"inventory":{"items":[{"count":1},{"cuont":1}]}`, twirp.InvalidArgument, "inventory.items[1].cuont"},
		{"SaveCharacter", `"inventory":{"items":{"count":1}}`, twirp.Malformed, "inventory.items"},
		{"SaveCharacter", `"inventory":{"items":[null]}`, twirp.Malformed, "inventory.items[0]"},
		{"SaveCharacter", `"stats":"canary"`, twirp.Malformed, "stats"},
		{"SaveCharacter", `"stats":{"hp":2147483648}`, twirp.Malformed, "stats.hp"},
		{"SaveCharacter", `"position":{"reviveX":"canary"}`, twirp.Malformed, "position.revive_x"},
		{"SaveCharacter", `"extra":{"any":{"thing":["canary"]}}`, "", ""},
		{"GetCharacter", `"view":0,"view":"CHARACTER_VIEW_FULL"`, twirp.Malformed, "view"},
		{"GetCharacter", `"userId":"canary"`, twirp.Malformed, "user_id"},
		{"GetCharacter", `"userId":null`, twirp.Malformed, "user_id"},
		{"GetCharacter", `"later":1,"later":2`, "", ""},
		{"GetSession", `"sessionId":"canary"`, twirp.Malformed, "token"},
		{"GetSession", `"sessionId":null`, "", ""},
		{"SaveCharacter", `"inventory":{"items":[{},{"count":1,"count":2}]}`, twirp.Malformed, "inventory.items[1].count"},
		{"SaveCharacter", `"stats":{"hp":1},"stats":{"hp":2}`, twirp.Malformed, "stats"},
		{"SaveCharacter", `"extra":{"a":1,"a":2}`, twirp.Malformed, "extra"},
		{"SaveCharacter", `"extra":"canary"`, twirp.Malformed, "extra"},
	} {
		m := all[test.rpc]
		body := strings.TrimSuffix(encode(t, m.valid(t))[asJSON], "}") + "," + test.fields + "}"
		for _, contentType := range []string{asJSON, "Application/JSON ; charset=utf-8"} {
			call := test.rpc + " with " + test.fields
			a := post(t, m.path, contentType, body)
			if test.code == "" && a.Code != "" {
				t.Errorf("%s = %v, want no error", call, a)
			}
			if test.code != "" {
				wantAnswer(t, call, a, test.code, "ARGUMENT", test.argument)
			}
			wantNoLeak(t, call, a, "canary")
			if test.code == "" && test.rpc == "SaveCharacter" {
				break // the version has changed
			}
		}
	}
}

// TestJSONReadsStayTolerant sends a field of a newer client to reads whose names do not begin with Get.
func TestJSONReadsStayTolerant(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis")
	url := serveAll(t, io.Discard, e.Program)
	for _, rpc := range []string{"FindPlayers", "ListNotes", "ListAudit", "GetPlayer"} {
		a := post(t, url+"/twirp/osirose.database.v1.StaffService/"+rpc, asJSON, `{"later":1}`)
		if a.Meta["argument"] == "later" {
			t.Errorf("%s with an unknown field = %v, want it ignored", rpc, a)
		}
	}
	a := post(t, url+"/twirp/osirose.database.v1.StaffService/AddNote", asJSON, `{"later":1}`)
	wantAnswer(t, "AddNote with an unknown field", a, twirp.InvalidArgument, "ARGUMENT", "later")
}
