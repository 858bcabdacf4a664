package lambdahttp

import (
	"encoding/json"
	"strings"
)

// The functions of this file take apart JSON without copying it: a value is the part of the event that holds it. Only what
// is asked for is looked at closely, which is most of why an invocation costs less than with encoding/json. What is
// skipped is not checked: Lambda did that.

// members calls f with the name and the value of each member of an object. It tells whether there was an object.
func members(raw string, f func(name, value string)) bool {
	rest, ok := strings.CutPrefix(raw, "{")
	if !ok {
		return false
	}
	if rest = trim(rest); strings.HasPrefix(rest, "}") {
		return trim(rest[1:]) == ""
	}
	for {
		name, after, ok := value(rest)
		if after = trim(after); !ok || name[0] != '"' || !strings.HasPrefix(after, ":") {
			return false
		}
		v, after, ok := value(trim(after[1:]))
		if after = trim(after); !ok || after == "" {
			return false
		}
		f(text(name), v)
		switch rest = trim(after[1:]); after[0] {
		case ',':
		case '}':
			return rest == ""
		default:
			return false
		}
	}
}

// items calls f with each value of an array.
func items(raw string, f func(value string)) {
	rest, ok := strings.CutPrefix(raw, "[")
	if !ok {
		return
	}
	for rest = trim(rest); ; {
		v, after, ok := value(rest)
		if !ok {
			return
		}
		f(v)
		if rest, ok = strings.CutPrefix(trim(after), ","); !ok {
			return
		}
		rest = trim(rest)
	}
}

// value splits s after its first value.
func value(s string) (v, rest string, ok bool) {
	end := 0
	switch {
	case s == "":
	case s[0] == '"':
		end = quoted(s)
	case s[0] == '{' || s[0] == '[':
		end = nested(s)
	default:
		if end = strings.IndexAny(s, ",:]}\" \t\r\n"); end < 0 {
			end = len(s)
		}
	}
	return s[:end], s[end:], end > 0
}

// quoted is the length of the string that s begins with; 0: it has no end.
func quoted(s string) int {
	for end := 1; ; end++ {
		next := strings.IndexByte(s[end:], '"')
		if next < 0 {
			return 0
		}
		end += next
		escapes := 0
		for s[end-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return end + 1
		}
	}
}

// nested is the length of the object or array that s begins with; 0: it has no end.
func nested(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			n := quoted(s[i:])
			if n == 0 {
				return 0
			}
			i += n - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// text is the text of a string; empty for any other value, and for one with wrong escapes.
func text(raw string) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	if strings.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	var s string
	if json.Unmarshal([]byte(raw), &s) != nil {
		return ""
	}
	return s
}

func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\n' || s[0] == '\r' || s[0] == '\t') {
		s = s[1:]
	}
	return s
}

func isObject(raw string) bool { return strings.HasPrefix(raw, "{") }

// isFilled tells whether raw is an object with members.
func isFilled(raw string) bool { return isObject(raw) && trim(raw[1:]) != "}" }

// texts calls f with the text of a string, or of each string of an array.
func texts(raw string, f func(text string)) {
	if strings.HasPrefix(raw, "[") {
		items(raw, func(value string) { f(text(value)) })
	} else if strings.HasPrefix(raw, `"`) {
		f(text(raw))
	}
}
