package console

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

// rpcs are clients of the services. A page asks for nothing that its caller could not ask for: each call has the caller's
// credentials, and the services check them, limit them, log them and audit them.
type rpcs struct {
	staff      databasev1.StaffService
	characters databasev1.CharacterDbService
}

func newRPCs(services http.Handler) rpcs {
	client := &http.Client{Transport: transport{services}}
	return rpcs{
		databasev1.NewStaffServiceProtobufClient("http://console", client), databasev1.NewCharacterDbServiceProtobufClient("http://console", client),
	}
}

// ctx returns the context of the page's calls.
func (v *visit) ctx() context.Context {
	h := v.proof.Clone()
	if h == nil {
		h = http.Header{}
	}
	h.Set("User-Agent", "console")
	ctx, err := twirp.WithHTTPRequestHeaders(v.Context(), h)
	if err != nil { // only for headers that Twirp sets
		return v.Context()
	}
	return ctx
}

// transport calls a handler in this process.
type transport struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	w := &recorder{header: http.Header{}, status: http.StatusOK}
	t.handler.ServeHTTP(w, r)
	return &http.Response{StatusCode: w.status, Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r}, nil
}

// recorder is an http.ResponseWriter that keeps the answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (w *recorder) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) { w.status = status }

// Write implements http.ResponseWriter.
func (w *recorder) Write(b []byte) (int, error) { return w.body.Write(b) }
