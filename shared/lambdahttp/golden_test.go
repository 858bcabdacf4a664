package lambdahttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

var update = flag.Bool("update", false, "write the files in testdata/golden anew")

// golden is the result of an event in testdata/events.
type golden struct {
	Request  *goldenRequest `json:"request,omitempty"`  // missing: the handler is not called
	Caller   string         `json:"caller,omitempty"`   // in the log
	Response map[string]any `json:"response,omitempty"` // a JSON body is decoded
	Error    string         `json:"error,omitempty"`
}

type goldenRequest struct {
	Method        string      `json:"method"`
	Host          string      `json:"host"`
	RequestURI    string      `json:"request_uri"`
	RemoteAddr    string      `json:"remote_addr"`
	Header        http.Header `json:"header"`
	ContentLength int64       `json:"content_length"`
	Body          string      `json:"body"`
}

// TestGolden runs recorded events of the gateways through a generated Twirp server.
func TestGolden(t *testing.T) {
	t.Parallel()
	edge := rpcserver.New(slog.New(slog.DiscardHandler))
	twirp := edge.Handler(databasev1.NewUserServiceServer(service{
		getUser: func(_ context.Context, r *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
			return &databasev1.GetUserResponse{User: &databasev1.User{Id: r.UserId, Name: "Zoë"}}, nil
		},
	}, edge.Options()))
	for _, file := range eventFiles(t) {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			got, _ := json.MarshalIndent(runGolden(t, readEvent(t, file), twirp), "", "  ")
			name := filepath.Join("testdata", "golden", file)
			if *update {
				if err := os.WriteFile(name, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if diff := cmp.Diff(string(want), string(got)+"\n"); err != nil || diff != "" {
				t.Errorf("%v; the result differs from %s (-want +got):\n%s", err, name, diff)
			}
		})
	}
}

func runGolden(t *testing.T, event []byte, twirp http.Handler) (g golden) {
	t.Helper()
	i := invocation{}
	i.handler = func(w http.ResponseWriter, r *http.Request) {
		g.Request = &goldenRequest{r.Method, r.Host, r.RequestURI, r.RemoteAddr, r.Header.Clone(), r.ContentLength, string(i.saw.body)}
		g.Caller = callers.ShortARN(request.From(r.Context()).Identity())
		r.Body = io.NopCloser(bytes.NewReader(i.saw.body))
		twirp.ServeHTTP(w, r)
	}
	a, err := i.run(t, event)
	if err != nil {
		g.Error = err.Error()
		return g
	}
	raw, _ := json.Marshal(a)
	if err := json.Unmarshal(raw, &g.Response); err != nil {
		t.Fatal(err)
	}
	for name, value := range g.Response {
		if value == nil || value == "" && name == "statusDescription" {
			delete(g.Response, name)
		}
	}
	var decoded any
	if json.Unmarshal(a.Body, &decoded) == nil {
		g.Response["body"] = decoded
	}
	return g
}

func eventFiles(t testing.TB) (names []string) {
	t.Helper()
	files, err := os.ReadDir("testdata/events")
	if err != nil || len(files) == 0 {
		t.Fatalf("no events in testdata: %v", err)
	}
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names
}

func readEvent(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "events", file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
