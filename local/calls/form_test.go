package calls_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/osirose-new/database-service/local/calls"
)

// TestForms: each rpc has a form, and a form without values makes an empty request.
func TestForms(t *testing.T) {
	t.Parallel()
	all := calls.RPCs()
	if first, last := all[0].String(), all[len(all)-1].String(); first != "CharacterDbService/GetCharacter" || last != "UserService/GetUserBySession" {
		t.Errorf("the rpcs are %s to %s", first, last)
	}
	for _, rpc := range all {
		form, err := calls.FormOf(rpc.String())
		if err != nil || form.RPC != rpc || len(form.Fields) == 0 {
			t.Errorf("FormOf(%s) = %+v, %v, want fields", rpc, form, err)
		}
		empty := map[string]string{}
		for _, f := range form.Fields {
			empty[f.Name] = ""
			if (f.Kind == calls.Enum) != (len(f.Values) > 0) || f.Type == "" || f.Kind == "" {
				t.Errorf("%s has the field %+v", rpc, f)
			}
		}
		if body, err := calls.Build(rpc.String(), empty); err != nil || string(body) != "{}" {
			t.Errorf("Build(%s) = %s, %v, want {}", rpc, body, err)
		}
	}
	for _, rpc := range []string{"", "UserService", "UserService/", "UserService/Nothing", "User/GetUser", "GetUserRequest/x", "../GetUser", "a b/c"} {
		if _, err := calls.FormOf(rpc); err == nil {
			t.Errorf("FormOf(%q) has no error", rpc)
		}
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	for rpc, want := range map[string][]calls.Field{
		"StaffService/ListAudit": {
			{Name: "user_id", Kind: calls.Text, Type: "string", OneOf: "of"},
			{Name: "character_id", Kind: calls.Number, Type: "int64", OneOf: "of"},
			{Name: "who", Kind: calls.Text, Type: "string", OneOf: "of"},
			{Name: "limit", Kind: calls.Number, Type: "int32"},
			{Name: "before", Kind: calls.Number, Type: "int64"},
		},
		"StaffService/FindPlayers": {
			{Name: "query", Kind: calls.Text, Type: "string"},
			{Name: "by", Kind: calls.Enum, Type: "PlayerField", Values: []string{
				"PLAYER_FIELD_UNSPECIFIED", "PLAYER_FIELD_USER_ID", "PLAYER_FIELD_USERNAME", "PLAYER_FIELD_EMAIL", "PLAYER_FIELD_CHARACTER_NAME", "PLAYER_FIELD_SESSION_ID",
			}},
			{Name: "match", Kind: calls.Enum, Type: "PlayerMatch", Values: []string{"PLAYER_MATCH_UNSPECIFIED", "PLAYER_MATCH_EXACT", "PLAYER_MATCH_PREFIX"}},
			{Name: "limit", Kind: calls.Number, Type: "int32"},
		},
		"StaffService/UndeleteCharacter": {
			{Name: "character_id", Kind: calls.Number, Type: "int64"},
			{Name: "new_name", Kind: calls.Text, Type: "string"},
			{Name: "slot", Kind: calls.Number, Type: "int32", Optional: true},
			{Name: "reason", Kind: calls.Text, Type: "string"},
			{Name: "request_id", Kind: calls.Text, Type: "string"},
		},
	} {
		form, err := calls.FormOf(rpc)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, form.Fields); diff != "" {
			t.Errorf("%s (-want +got):\n%s", rpc, diff)
		}
	}
	form, err := calls.FormOf("CharacterDbService/SaveCharacter")
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]calls.Kind{}
	for _, f := range form.Fields {
		types[f.Type] = f.Kind
	}
	if types["google.protobuf.Struct"] != calls.JSON {
		t.Errorf("the types of SaveCharacter are %v, want a Struct as JSON", types)
	}
}

type values = map[string]string

func TestBuild(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rpc    string
		values values
		want   string
	}{
		{getUser, values{"user_id": `it's "quoted" <&> é`}, `{"user_id":"it's \"quoted\" <&> é"}`},
		{getUser, values{"user_id": `x","other":"y`}, `{"user_id":"x\",\"other\":\"y"}`},
		{"StaffService/ListAudit", values{"character_id": " 9007199254740993 ", "limit": "5", "user_id": ""}, `{"character_id":"9007199254740993","limit":5}`},
		{"StaffService/UndeleteCharacter", values{"character_id": "2", "slot": "0"}, `{"character_id":"2","slot":0}`},
		{"StaffService/FindPlayers", values{"query": "a", "by": "PLAYER_FIELD_EMAIL"}, `{"query":"a","by":"PLAYER_FIELD_EMAIL"}`},
		{"CharacterDbService/SaveCharacter", values{"user_id": "u", "extra": ` {"a": [1, null]} `}, `{"user_id":"u","extra":{"a":[1,null]}}`},
	} {
		got, err := calls.Build(test.rpc, test.values)
		if err != nil || string(got) != test.want {
			t.Errorf("Build(%s, %v) = %s, %v, want %s", test.rpc, test.values, got, err, test.want)
			continue
		}
		back, err := calls.Values(test.rpc, got)
		if err != nil {
			t.Errorf("Values(%s, %s): %v", test.rpc, got, err)
		}
		if again, err := calls.Build(test.rpc, back); err != nil || string(again) != test.want {
			t.Errorf("Build(%s, %v) = %s, %v, want %s again", test.rpc, back, again, err, test.want)
		}
	}
}

func TestBuildErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rpc    string
		values values
		want   string
	}{
		{"UserService/Nothing", nil, `unknown rpc "UserService/Nothing" (example: UserService/GetUser)`},
		{getUser, values{"id": "x"}, "id is not a field of GetUserRequest"},
		{"StaffService/ListAudit", values{"limit": "many"}, "limit is not a valid int32"},
		{"StaffService/ListAudit", values{"limit": "2147483648"}, "limit is not a valid int32"},
		{"StaffService/ListAudit", values{"character_id": "1,\"limit\":2"}, "character_id is not a valid int64"},
		{"StaffService/ListAudit", values{"character_id": "1", "who": "x"}, "character_id and who exclude each other: give one of them"},
		{"StaffService/FindPlayers", values{"by": "EMAIL"}, "by is not a valid PlayerField"},
		{"CharacterDbService/SaveCharacter", values{"extra": `{}, "name": "x"`}, "extra is not a valid google.protobuf.Struct: it is not JSON"},
		{"CharacterDbService/SaveCharacter", values{"extra": `[]`}, "extra is not a valid google.protobuf.Struct: "},
	} {
		got, err := calls.Build(test.rpc, test.values)
		if err == nil || !strings.HasPrefix(err.Error(), test.want) || (!strings.HasSuffix(test.want, ": ") && err.Error() != test.want) {
			t.Errorf("Build(%s, %v) = %s, %v, want the error %s", test.rpc, test.values, got, err, test.want)
		}
	}
}

// TestDecode reads bodies in protobuf.
func TestDecode(t *testing.T) {
	t.Parallel()
	if got, err := calls.Decode(getUser, []byte("\x0a\x03ada"), false); err != nil || got != "{\n  \"user_id\": \"ada\"\n}" {
		t.Errorf("a request: got %s, %v, want ada", got, err)
	}
	if got, err := calls.Decode(getUser, nil, true); err != nil || got != "{\n  \"user\": null\n}" {
		t.Errorf("an empty answer: got %s, %v, want all fields", got, err)
	}
	if got, err := calls.Decode(getUser, []byte("\xff4711"), false); err == nil || !strings.Contains(err.Error(), "is not a GetUserRequest") {
		t.Errorf("no protobuf: got %s, %v, want an error with the message's name", got, err)
	}
	if got, err := calls.Decode("UserService/Nothing", nil, false); err == nil {
		t.Errorf("an unknown rpc: got %s, want an error", got)
	}
}
