package lambdahttp

import (
	"bytes"
	"context"
	"encoding/base64"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// prefix begins all paths of the handler.
const prefix = "/twirp/"

// body is the body of a request.
type body struct{ bytes.Reader }

// Close implements io.Closer.
func (*body) Close() error { return nil }

// request returns the request for the handler. It reports false if the body is not the base64 that the event says it is.
func (e *event) request(ctx context.Context) (*http.Request, bool) {
	content := []byte(e.body)
	if e.base64 {
		var ok bool
		if content, ok = decodeBase64(e.body); !ok {
			return nil, false
		}
	}
	r := &http.Request{
		Method: e.method, URL: e.url(), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: e.header(),
		Body: http.NoBody, ContentLength: int64(len(content)), Host: e.domain,
	}
	if len(content) > 0 {
		b := &body{}
		b.Reset(content)
		r.Body = b
	}
	r.RequestURI = r.URL.RequestURI()
	if host := r.Header["Host"]; len(host) > 0 {
		r.Host = host[0]
		delete(r.Header, "Host") // as net/http does
	}
	if e.sourceIP != "" {
		r.RemoteAddr = net.JoinHostPort(e.sourceIP, "0")
	}
	return r.WithContext(ctx), true
}

var strict = base64.StdEncoding.Strict()

// decodeBase64 refuses line breaks, too: the decoder skips them even if it is strict.
func decodeBase64(s string) ([]byte, bool) {
	b, err := strict.DecodeString(s)
	return b, err == nil && !strings.ContainsAny(s, "\r\n")
}

// url removes what precedes the handler's prefix: the name of a stage, or the base path of a domain. If the path does not
// parse, the gateway has decoded it (HTTP APIs do that). Then url keeps the path as it is; no service has such a path.
func (e *event) url() *url.URL {
	raw := e.path
	if !strings.HasPrefix(raw, "/") {
		raw = "/" + raw
	}
	path, err := url.PathUnescape(raw)
	if err != nil {
		return &url.URL{Path: raw, RawQuery: e.query}
	}
	if i := strings.Index(raw, prefix); i > 0 {
		raw = raw[i:]
		path, _ = url.PathUnescape(raw) // cannot fail: a part of a path that parsed
	}
	u := &url.URL{Path: path, RawQuery: e.query}
	if u.EscapedPath() != raw {
		u.RawPath = raw // net/url ignores RawPath if it does not encode Path
	}
	return u
}

// rawQuery returns the query string. API Gateway decodes names and values; a load balancer does not.
func rawQuery(t *top, decoded bool) string {
	raw := t.query
	if isFilled(t.multiQuery) {
		raw = t.multiQuery
	}
	var query []byte
	members(raw, func(name, value string) {
		if decoded {
			name = url.QueryEscape(name)
		}
		texts(value, func(value string) {
			if decoded {
				value = url.QueryEscape(value)
			}
			if len(query) > 0 {
				query = append(query, '&')
			}
			query = append(append(append(query, name...), '='), value...)
		})
	})
	return string(query)
}

// header returns the headers. It never splits a value: dates and signatures contain commas.
func (e *event) header() http.Header {
	n := 0
	members(e.headers, func(string, string) { n++ })
	h := make(http.Header, n+1)
	values := make([]string, 0, n+1) // shared, as most headers have one
	members(e.headers, func(name, value string) {
		name = http.CanonicalHeaderKey(name)
		texts(value, func(value string) {
			if h[name] == nil {
				values = append(values, value)
				h[name] = values[len(values)-1 : len(values) : len(values)]
			} else {
				h[name] = append(h[name], value)
			}
		})
	})
	var cookies []string
	texts(e.cookies, func(cookie string) { cookies = append(cookies, cookie) })
	if len(cookies) > 0 {
		h["Cookie"] = []string{strings.Join(cookies, "; ")}
	}
	strip(h)
	return h
}
