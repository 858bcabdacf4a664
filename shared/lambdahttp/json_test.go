package lambdahttp

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"
)

// FuzzJSON compares the reader with encoding/json, on input that encoding/json accepts.
func FuzzJSON(f *testing.F) {
	files, _ := filepath.Glob("testdata/events/*.json")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, s := range []string{
		`{"a\"b\\":"\\\"","c":"\ud83d\ude00\ud800x","a\"b\\":[[],{},[1,-2.5e+3,true,null]]}`, ` { "a" : [ 1 , "]" ] , "b" : { } } `,
		`{"a":"\\"}`, `[]`, `{"":""}`, `"\u0000\/"`, "1", `{"a":{"b":"}"},"c":["{",[]]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var want any
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		if !utf8.Valid(b) || !json.Valid(b) || d.Decode(&want) != nil {
			tree(strings.TrimSpace(string(b))) // must end
			return
		}
		if got := tree(strings.TrimSpace(string(b))); !cmp.Equal(want, got) {
			t.Errorf("%q is read as %v (-want +got):\n%s", b, got, cmp.Diff(want, got))
		}
	})
}

// tree decodes a value with the functions of json.go.
func tree(raw string) any {
	switch {
	case isObject(raw):
		m := map[string]any{}
		members(raw, func(name, value string) { m[name] = tree(value) })
		return m
	case len(raw) > 0 && raw[0] == '[':
		l := []any{}
		gjson.Parse(raw).ForEach(func(_, value gjson.Result) bool { l = append(l, tree(value.Raw)); return true })
		return l
	case len(raw) > 0 && raw[0] == '"':
		return text(raw)
	case raw == "null":
		return nil
	case raw == "true", raw == "false":
		return raw == "true"
	}
	return json.Number(raw)
}

func FuzzString(f *testing.F) {
	f.Add("ü \"\\\n\r\t\b\x00\x7f\u2028\U0001f600</script>")
	f.Add("\xff\xc3(")
	f.Fuzz(func(t *testing.T, s string) {
		var got, want string
		reference, _ := json.Marshal(s)
		if err := json.Unmarshal(reference, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil || utf8.ValidString(s) && got != want {
			t.Errorf("%q is encoded as %q, %v, want %q", s, got, err, want)
		}
	})
}
