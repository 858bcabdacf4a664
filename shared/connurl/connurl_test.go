package connurl_test

import (
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/connurl"
)

// check calls a function with texts and compares a part of each error; "" means no error.
func check(t *testing.T, name string, f func(string) error, want map[string]string) {
	t.Helper()
	for raw, part := range want {
		err := f(raw)
		if (err == nil) != (part == "") || err != nil && !strings.Contains(err.Error(), part) {
			t.Errorf("%s(%q) = %v, want %q", name, raw, err, part)
		}
	}
}

func TestCheckText(t *testing.T) {
	t.Parallel()
	const variable, assignment = "a variable", "begins with a variable's name"
	check(t, "CheckText", func(raw string) error { return connurl.CheckText(raw, "x://y") }, map[string]string{
		"x://u:p@h/d": "", "": "is empty", "'x://y'": "quotes", "x://y\n": "line break", "psql x://y": "a command",
		"$DATABASE_URL": variable, "${DATABASE_URL}": variable, "$(cat url)": variable, "$_": variable, "$1": "", "$": "",
		"DATABASE_URL=x://y": assignment, "export DATABASE_URL=x://y": assignment, "A=": assignment, "A1_=x": assignment,
		"host=h": "", "Host=h": "", "=h": "", "1A=h": "", "A-B=h": "", "A B=h": "", "export A": "", "export a=h": "",
	})
}

func TestCheckEscapes(t *testing.T) {
	t.Parallel()
	const broken = "begins no escape"
	check(t, "CheckEscapes", connurl.CheckEscapes, map[string]string{
		"": "", "a": "", "%40": "", "%fF%Aa": "", "%25%32%35": "", "%2500": "",
		"%": broken, "%4": broken, "%4g": broken, "%g4": broken, "%%40": broken, "%40%": broken, "%/0": broken, "%:0": broken, "%@0": broken, "%`0": broken,
		"%00": "NUL", "%41%00": "NUL", "%00%": "NUL", "%%00": broken,
	})
}

func TestParams(t *testing.T) {
	t.Parallel()
	const broken = "not name=value"
	check(t, "Params", func(raw string) error { _, err := connurl.Params(raw); return err }, map[string]string{
		"": "", "a=": "", "a=1&B.c_2=3": "", "a=%20": "",
		"=1": broken, "1a=1": broken, "_a=1": broken, "a-b=1": broken, "a": broken, "a=1&": broken, "a=%": broken, "ä=1": broken,
	})
}
