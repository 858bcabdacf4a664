package calls

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Transport sends the requests of an http.Client to a handler of this program. It returns when the handler does, with the whole answer in
// memory.
type Transport struct{ Handler http.Handler }

var _ http.RoundTripper = Transport{}

// RoundTrip implements http.RoundTripper. It fails if the handler panics with http.ErrAbortHandler. Other panics reach the caller.
func (t Transport) RoundTrip(r *http.Request) (response *http.Response, err error) {
	in := r.Clone(r.Context())
	in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:0"
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	defer in.Body.Close()
	defer func() {
		if p := recover(); p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it, too
			response, err = nil, errAborted
		} else if p != nil {
			panic(p)
		}
	}()
	w := &answerWriter{header: http.Header{}}
	t.Handler.ServeHTTP(w, in)
	w.WriteHeader(http.StatusOK) // if it has not written anything
	return &http.Response{
		Status: fmt.Sprint(w.status, " ", http.StatusText(w.status)), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

var errAborted = errors.New("the handler cut off the answer")

// answerWriter keeps an answer in memory.
type answerWriter struct {
	header, sent http.Header
	status       int
	body         bytes.Buffer
}

// Header implements http.ResponseWriter.
func (w *answerWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *answerWriter) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK { // a status below 200 is followed by another
		w.status, w.sent = status, w.header.Clone()
	}
}

// Write implements http.ResponseWriter.
func (w *answerWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}
