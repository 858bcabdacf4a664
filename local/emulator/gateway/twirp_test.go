package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

// constantSessions responds according to the token.
type constantSessions struct{ databasev1.SessionService }

func (constantSessions) GetSession(_ context.Context, in *databasev1.GetSessionRequest) (*databasev1.GetSessionResponse, error) {
	switch in.GetToken() {
	case "none":
		return nil, twirp.NotFoundError("no such session ☃ <&>").WithMeta("reason", "SESSION_NOT_FOUND")
	case "busy":
		return nil, twirp.NewError(twirp.Unavailable, "try again").WithMeta("reason", "DATABASE_UNAVAILABLE")
	case "broken":
		return nil, twirp.InternalError("internal error")
	case "panic":
		panic("a bug")
	case "":
		return &databasev1.GetSessionResponse{}, nil
	}
	return &databasev1.GetSessionResponse{Session: &databasev1.Session{
		Id: in.GetToken(), UserId: "użytkownik ☃ <&> \u2028", CreatedAt: &timestamppb.Timestamp{Seconds: 1795338487, Nanos: 654e6}, ExpiresInSeconds: 1 << 40, Impersonated: true,
	}}, nil
}

// TestGatewayTwirp calls a service with the generated clients, through each gateway and directly, and compares the results.
func TestGatewayTwirp(t *testing.T) {
	t.Parallel()
	server := databasev1.NewSessionServiceServer(constantSessions{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { _ = recover() }() // Twirp responds, then panics again
		server.ServeHTTP(w, r)
	})
	direct := httptest.NewServer(handler)
	t.Cleanup(direct.Close)
	gatewayed := "http://" + serve(t, Config{
		Routes:      map[Kind][]Route{HTTPAPI: {{"POST", "/twirp/osirose.database.v1.SessionService/{method}", adapted(handler), "SessionFunction"}}},
		Stages:      map[Kind]string{HTTPAPI: "live"},
		BinaryTypes: []string{"application/protobuf"},
	})
	clients := map[string]func(string, databasev1.HTTPClient, ...twirp.ClientOption) databasev1.SessionService{
		"protobuf": databasev1.NewSessionServiceProtobufClient, "JSON": databasev1.NewSessionServiceJSONClient,
	}
	for _, kind := range allKinds() {
		for form, client := range clients {
			t.Run(string(kind)+" "+form, func(t *testing.T) {
				t.Parallel()
				want := client(direct.URL, http.DefaultClient)
				got := client(gatewayed+"/_gateway/"+string(kind), http.DefaultClient)
				byHeader := client(gatewayed, withHeader{kindHeader, string(kind)})
				for _, token := range []string{"", "a", "short", strings.Repeat("long é ", 20_000), "none", "busy", "broken", "panic"} {
					in := &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: token}}
					if token == "" {
						in.Session = nil // an empty message has no bytes
					}
					w := callSession(t, want, in)
					for name, c := range map[string]databasev1.SessionService{"path": got, "header": byHeader} {
						if diff := cmp.Diff(w, callSession(t, c, in), protocmp.Transform()); diff != "" {
							t.Errorf("GetSession(%.10q) by %s differs from a direct call:\n%.2000s", token, name, diff)
						}
					}
				}
			})
		}
	}
}

// sessionAnswer is the response or the error of a call.
type sessionAnswer struct {
	Session proto.Message
	Code    twirp.ErrorCode
	Message string
	Meta    map[string]string
}

func callSession(t *testing.T, c databasev1.SessionService, in *databasev1.GetSessionRequest) sessionAnswer {
	t.Helper()
	out, err := c.GetSession(t.Context(), in)
	if err == nil {
		return sessionAnswer{Session: out}
	}
	twerr, ok := errors.AsType[twirp.Error](err)
	if !ok {
		t.Fatalf("GetSession: %v, want a Twirp error", err)
	}
	return sessionAnswer{Code: twerr.Code(), Message: twerr.Msg(), Meta: twerr.MetaMap()}
}

// withHeader sends a header with each request.
type withHeader struct{ name, value string }

// Do implements the generated HTTPClient.
func (h withHeader) Do(r *http.Request) (*http.Response, error) {
	r.Header.Set(h.name, h.value)
	return http.DefaultClient.Do(r)
}
