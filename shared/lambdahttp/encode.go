package lambdahttp

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
)

// encode returns the response in the form of a kind of gateway.
func (w *response) encode(k kind) []byte {
	w.finish()
	text := w.text()
	size := len(w.body) + 16
	if !text {
		size = base64.StdEncoding.EncodedLen(len(w.body))
	}
	for name, values := range w.sent {
		for _, value := range values {
			size += len(name) + len(value) + 8
		}
	}
	out := make([]byte, 0, size+128)
	out = append(out, `{"statusCode":`...)
	out = strconv.AppendInt(out, int64(w.status), 10)
	if k == alb || k == albMulti {
		out = append(out, `,"statusDescription":`...)
		out = appendString(out, strings.TrimSpace(strconv.Itoa(w.status)+" "+http.StatusText(w.status)))
	}
	if k == v1 || k == albMulti {
		out = w.appendMulti(out)
	} else {
		out = w.appendSingle(out, k)
	}
	out = append(out, `,"body":`...)
	if text {
		out = appendString(out, string(w.body))
	} else {
		out = append(out, '"')
		out = base64.StdEncoding.AppendEncode(out, w.body)
		out = append(out, '"')
	}
	out = append(out, `,"isBase64Encoded":`...)
	out = strconv.AppendBool(out, !text)
	return append(out, '}')
}

func (w *response) appendMulti(out []byte) []byte {
	out = append(out, `,"multiValueHeaders":{`...)
	first := true
	for name, values := range w.sent {
		if len(values) == 0 || dropped(name) {
			continue
		}
		out = appendName(out, name, &first)
		out = appendList(out, values)
	}
	return append(out, '}')
}

// appendSingle joins the values of a header. It does not join cookies, because a comma would break them: API Gateway gets
// them in a list of their own, a load balancer that takes single values gets the last one.
func (w *response) appendSingle(out []byte, k kind) []byte {
	out = append(out, `,"headers":{`...)
	first := true
	for name, values := range w.sent {
		if len(values) == 0 || dropped(name) || k != alb && name == "Set-Cookie" {
			continue
		}
		out = appendName(out, name, &first)
		value := values[len(values)-1]
		if name != "Set-Cookie" && len(values) > 1 {
			value = strings.Join(values, ", ")
		}
		out = appendString(out, oneLine(value))
	}
	out = append(out, '}')
	if cookies := w.sent["Set-Cookie"]; k != alb && len(cookies) > 0 {
		out = append(out, `,"cookies":`...)
		out = appendList(out, cookies)
	}
	return out
}

// dropped reports whether a header is left out: the gateway makes it, or its name is not valid.
func dropped(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Content-Length", "Connection", "Transfer-Encoding", "Date", "":
		return true
	}
	return strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) })
}

func appendName(out []byte, name string, first *bool) []byte {
	if !*first {
		out = append(out, ',')
	}
	*first = false
	return append(appendString(out, name), ':')
}

func appendList(out []byte, values []string) []byte {
	for i, value := range values {
		out = append(out, "[,"[min(i, 1)])
		out = appendString(out, oneLine(value))
	}
	return append(out, ']')
}

// oneLine removes line breaks, which would turn one header into two. net/http does the same.
func oneLine(value string) string {
	if strings.ContainsAny(value, "\r\n") {
		value = strings.NewReplacer("\r", " ", "\n", " ").Replace(value)
	}
	return strings.TrimSpace(value)
}

// appendString appends s as a JSON string. gjson.AppendJSONString would also escape <, > and &, which makes bodies longer.
func appendString(out []byte, s string) []byte {
	const hex = "0123456789abcdef"
	s = strings.ToValidUTF8(s, "\ufffd")
	out = append(out, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		out = append(out, s[from:i]...)
		from = i + 1
		if at := bytes.IndexByte([]byte("\"\\\n\r\t"), c); at >= 0 {
			out = append(out, '\\', `"\nrt`[at])
		} else {
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(out, s[from:]...), '"')
}
