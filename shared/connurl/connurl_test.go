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
	const front, list, invisible = "in front of", "a list of names", "not visible"
	check(t, "CheckText", func(raw string) error { return connurl.CheckText(raw, "x://y") }, map[string]string{
		"x://u:p@h/d": "", "": "is empty", "'x://y'": "quotes", "x://y\n": "line break", "psql x://y": "a command",
		"$DATABASE_URL": variable, "${DATABASE_URL}": variable, "$(cat url)": variable, "$_": variable, "$1": "", "$": "",
		"DATABASE_URL=x://y": assignment, "export DATABASE_URL=x://y": assignment, "A=": assignment, "A1_=x": assignment,
		"host=h": "", "Host=h": "", "=h": "", "1A=h": "", "A-B=h": "", "A B=h": "", "export A": "", "export a=h": "",
		"a redis://y": front, "a: valkeys://y": front, "-e A=POSTGRES://y": front, "${A:-redis://y}": front, "redis://y": "", "redis+x://y": "", "jdbc:redis://y": "", "xredis://y": "", "é redis://y": front,
		"a=b;c=d": list, "A b=c; d=e;": list, "a=b;c": "", "a=b c=d;e=f": "", "a=b c='d;e=f'": "", "x://y;a=b": "",
		"\ufeffx://y": invisible, "x://\u00a0y": invisible, "x://y\u200b": invisible, "\u201cx://y": "quotes", "x://y\u201d": "quotes", "x://\u201dy": "", "x://y\x85z": "", "x://y\u0085z": "control",
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
		"=1": broken, "1a=1": broken, "_a=1": broken, "a-b=1": broken, "a=b;c=1": "between parameters", "a=b;c": "", "a=b;;": "", "a": broken, "a=1&": broken, "a=%": broken, "ä=1": broken,
	})
}

func TestCheckHost(t *testing.T) {
	t.Parallel()
	const character, address, port = "a character in its host", "no IPv6 address", "a port that"
	check(t, "CheckHost", connurl.CheckHost, map[string]string{
		"": "", "h": "", "h:1": "", "h:": "", "h_1.x-y": "", "hä": "", "%2Ftmp:1": "", "[::1]": "", "[::1]:65535": "", "[fe80::1%25eth0]": "", "1.2.3.4": "",
		"$h": character, "h;a=b": character, "h&a": character, "h=1": character, "<h>": character, "h%0A": character, "h'": character, "a,b": character,
		"[]": address, "[h]": address, "[1:2]": address, "[1.2.3.4]": address, "[::1": "[ without ]", "::1": "several colons", "h:0": port, "h:65536": port, "h:+1": port, "[::1]x": port,
	})
}
