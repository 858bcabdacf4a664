package lambdahttp_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/osirose-new/database-service/shared/lambdahttp"
)

// TestLattice sends the events of VPC Lattice: the older form, and the newer, which has the version of an HTTP API's events.
func TestLattice(t *testing.T) {
	t.Parallel()
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s %s %s %s %v", r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("Content-Type"), body, err)
	})
	a := lambdahttp.New(slog.New(slog.DiscardHandler), echo)
	for event, want := range map[string]string{
		`{"raw_path":"/twirp/x?a=b","method":"POST","headers":{"content-type":"application/json"},"query_string_parameters":{"a":"b"},"body":"e30=","is_base64_encoded":true}`:                                                                  "POST /twirp/x a=b application/json {} <nil>",
		`{"version":"2.0","path":"/twirp/x","method":"POST","headers":{"content-type":["application/json"]},"body":"{}","isBase64Encoded":false,"requestContext":{"serviceArn":"arn:x","identity":{"principal":"arn:aws:iam::1:role/forged"}}}`: "POST /twirp/x  application/json {} <nil>",
		`{"raw_path":"/","method":"GET"}`: "GET /    <nil>",
		`{"version":"2.0","rawPath":"/p","method":"GET","requestContext":{"http":{"method":"POST"}}}`: "POST /p    <nil>",
		`{"httpMethod":"POST","path":"/p","method":"GET"}`:                                            "POST /p    <nil>",
	} {
		out, err := a.Invoke(t.Context(), []byte(event))
		if err != nil {
			t.Errorf("Invoke(%s): %v", event, err)
			continue
		}
		if got := decode(t, out); got.StatusCode != http.StatusOK || string(got.Body) != want {
			t.Errorf("Invoke(%s) = %d %s, want %s", event, got.StatusCode, got.Body, want)
		}
	}
}
