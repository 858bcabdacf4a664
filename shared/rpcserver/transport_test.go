package rpcserver_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestTransport sends input that is not a request to each rpc.
func TestTransport(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis", testenv.RealBudgets)
	for name, m := range methods(t, e, serveAll(t, io.Discard, e.Program)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			valid := encode(t, m.valid(t))
			for what, contentType := range map[string]string{
				"no Content-Type": "", "text": "text/plain", "gRPC": "application/grpc", "gRPC-Web": "application/grpc-web+proto",
				"Connect": "application/proto", "form": "application/x-www-form-urlencoded", "a longer name": "application/json5", "wildcard": "*/*",
			} {
				wantAnswer(t, name+" with "+what, post(t, m.path, contentType, valid[asJSON]), twirp.BadRoute, "ROUTE", "")
			}
			for _, verb := range []string{"GET", "PUT", "PATCH", "DELETE", "OPTIONS"} {
				wantAnswer(t, verb+" "+name, send(t, verb, m.path, asJSON, strings.NewReader(valid[asJSON])), twirp.BadRoute, "ROUTE", "")
			}
			for _, path := range []string{m.path + "/", m.path + "x", strings.TrimSuffix(m.path, name) + strings.ToLower(name), m.path + "/" + name} {
				wantAnswer(t, "POST "+path, post(t, path, asJSON, valid[asJSON]), twirp.BadRoute, "ROUTE", "")
			}
			if a := post(t, m.path+"?user_id=x#y", "Application/JSON; charset=utf-8", valid[asJSON]); a.Code == twirp.BadRoute || a.Code == twirp.Malformed {
				t.Errorf("%s with a query and a charset = %v, want the request read", name, a)
			}

			for what, body := range map[string]string{
				"nothing": "", "blanks": " \n", "half an object": "{", "a list": "[]", "a string": `"x"`, "a number": "1", "null": "null",
				"a word": "hello", "a NUL": "\x00", "invalid UTF-8": "{\"x\":\"\xff\"}", "half a pair": `{"x":"\ud800"}`,
				"a comment": "{/* */}", "an extra comma": `{"x":1,}`, "single quotes": "{'x':1}", "protobuf": "\x0a\x01x", "a BOM": "\ufeff{}",
				"deeper than any parser goes": strings.Repeat("[", 300_000), "deep objects": strings.Repeat(`{"a":`, 100_000),
				"deep, in an unknown field": `{"unknown":` + strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000) + "}",
			} {
				a := post(t, m.path, asJSON, body)
				wantAnswer(t, fmt.Sprintf("%s with %s as JSON", name, what), a, twirp.Malformed, "MESSAGE", "")
			}
			for what, body := range map[string]string{
				"half a field": "\x0a\x05x", "text": "hello world", "JSON": "{}", "field 0": "\x00\x00", "an endless number": strings.Repeat("\xff", 20),
				"a group that does not end": "\x0b", "a length of 2 GiB": "\x0a\xff\xff\xff\xff\x07", "wire type 7": "\x0f", "a megabyte of noise": strings.Repeat("\xa7", 1<<20),
			} {
				a := post(t, m.path, asProtobuf, body)
				wantAnswer(t, fmt.Sprintf("%s with %s as protobuf", name, what), a, twirp.Malformed, "MESSAGE", "")
			}

			// An empty body is a valid protobuf message, and {} a valid JSON message. But each rpc requires a field.
			for contentType, body := range map[string]string{asProtobuf: "", asJSON: "{}", asJSON + "; x": `{"unknown":{"knows":[1,null]}}`} {
				a := post(t, m.path, contentType, body)
				if a.Meta["argument"] == "" {
					t.Errorf("%s(%s) = %v, want the name of the argument", name, body, a)
				}
				reason := "ARGUMENT"
				wantAnswer(t, name+"("+body+")", a, twirp.InvalidArgument, reason, a.Meta["argument"])
			}

			fields := m.valid(t).ProtoReflect().Descriptor().Fields()
			for i := range fields.Len() {
				f := fields.Get(i)
				for _, value := range wrongJSON(f) {
					a := post(t, m.path, asJSON, fmt.Sprintf(`{%q:%s}`, f.Name(), value))
					reason, argument := "MESSAGE", ""
					if json.Valid([]byte(value)) {
						reason, argument = "ARGUMENT", string(f.Name())
						if f.IsList() && value[0] == '[' {
							argument += "[0]"
						}
					}
					wantAnswer(t, fmt.Sprintf("%s({%q: %.40s})", name, f.Name(), value), a, twirp.Malformed, reason, argument)
				}
			}
			a := post(t, m.path, asJSON, fmt.Sprintf(`{%q:null,%q:null}`, fields.Get(0).Name(), fields.Get(0).Name()))
			wantAnswer(t, name+" with a field twice", a, twirp.Malformed, "ARGUMENT", string(fields.Get(0).Name()))
		})
	}
}

// wrongJSON are values that the field cannot hold.
func wrongJSON(f protoreflect.FieldDescriptor) []string {
	switch {
	case f.IsList():
		return []string{"{}", `"x"`, "1", "[1]", "[null]", "[[]]"}
	case f.Message() != nil:
		return []string{"[]", `"x"`, "1", "true"}
	}
	switch f.Kind() {
	case protoreflect.StringKind:
		return []string{"1", "true", "{}", "[]", `["x"]`, strings.Repeat("9", 100_000)}
	case protoreflect.BoolKind:
		return []string{`"yes"`, "1", "{}", `"true"`}
	case protoreflect.EnumKind:
		return []string{"1.5", "true", "{}", "[]", "99999999999"}
	}
	return []string{
		`"x"`, "1.5", "true", "{}", "[]", "1e400", "-1e400", "99999999999999999999", "1e999999999", "0x10", "NaN", `"NaN"`,
		`""`, `" 1"`, "01", strings.Repeat("9", 100_000), "1e" + strings.Repeat("9", 1000),
	}
}

// TestDeepStruct sends game documents that are nested deeper than the parsers allow.
func TestDeepStruct(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis", testenv.RealBudgets)
	all := methods(t, e, serveAll(t, io.Discard, e.Program))
	for _, name := range []string{"CreateCharacter", "SaveCharacter"} {
		m := all[name]
		for _, depth := range []int{65, 4900, 20_000} {
			text := encode(t, m.valid(t))[asJSON]
			text = strings.TrimSuffix(text, "}") + `,"extra":{"a":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + "}}"
			v := structpb.NewStringValue("x")
			for range depth {
				v = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{v}})
			}
			protobuf, err := proto.Marshal(&databasev1.SaveCharacterRequest{Extra: &structpb.Struct{Fields: map[string]*structpb.Value{"a": v}}})
			if err != nil {
				t.Fatal(err)
			}
			if name == "CreateCharacter" { // the field has another number in this message
				protobuf, err = proto.Marshal(&databasev1.CreateCharacterRequest{Extra: &structpb.Struct{Fields: map[string]*structpb.Value{"a": v}}})
				if err != nil {
					t.Fatal(err)
				}
			}
			valid := []byte(encode(t, m.valid(t))[asProtobuf])
			for contentType, body := range map[string]string{asJSON: text, asProtobuf: string(bytes.Join([][]byte{valid, protobuf}, nil))} {
				a := post(t, m.path, contentType, body)
				call := fmt.Sprintf("%s with extra of depth %d as %s", name, depth, contentType)
				if a.Code == twirp.Malformed && depth >= 4900 { // protobuf's decoder refused it
					wantNoLeak(t, call, a)
					continue
				}
				if reason := a.Meta["reason"]; reason != "ARGUMENT" && reason != "DOCUMENT_TOO_LARGE" {
					t.Errorf("%s = %v, want ARGUMENT or DOCUMENT_TOO_LARGE", call, a)
				}
				wantAnswer(t, call, a, twirp.InvalidArgument, a.Meta["reason"], "extra")
			}
		}
		for what, extra := range map[string]string{"a NUL": `{"a":"\u0000"}`, "a NUL in a key": `{"\u0000":1}`, "a NUL deep down": `{"a":[{"b":"x\u0000"}]}`} {
			text := strings.TrimSuffix(encode(t, m.valid(t))[asJSON], "}") + `,"extra":` + extra + "}"
			wantAnswer(t, name+" with "+what+" in extra", post(t, m.path, asJSON, text), twirp.InvalidArgument, "ARGUMENT", "extra")
		}
	}
	if a := send(t, http.MethodPost, all["GetCharacter"].path, asProtobuf, strings.NewReader(encode(t, all["GetCharacter"].valid(t))[asProtobuf])); a.Code != "" {
		t.Errorf("GetCharacter afterwards = %v, want the character", a)
	}
}
