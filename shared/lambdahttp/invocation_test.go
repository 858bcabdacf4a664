package lambdahttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/lambdahttp"
	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// service is a UserService whose GetUser a test provides.
type service struct {
	databasev1.UserService
	getUser func(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error)
}

func (s service) GetUser(ctx context.Context, r *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
	return s.getUser(ctx, r)
}

func TestRule07PathThatDoesNotParse(t *testing.T) {
	t.Parallel()
	edge := rpcserver.New(slog.New(slog.DiscardHandler))
	handler := edge.Handler(databasev1.NewUserServiceServer(service{}, edge.Options()))
	for _, sent := range []string{"/100%", "/%zz" + getUser, getUser + "%", getUser + "%2", "", "/", "twirp", "/\x00", getUser + "/"} {
		v2, v1, alb := v2Event(), v1Event(), albEvent()
		v2.RawPath, v1.Path, alb.Path = sent, sent, sent
		for kind, event := range map[string]any{"v2": v2, "v1": v1, "alb": alb} {
			a, _ := invoke(t, event, handler.ServeHTTP)
			wantTwirp(t, kind+" "+sent, a, http.StatusNotFound, "bad_route", "ROUTE")
		}
	}
}

func TestRule09Panic(t *testing.T) {
	t.Parallel()
	const canary = "canary-4711"
	for what, value := range map[string]any{"a string": canary, "an error": errors.New(canary), "aborted": http.ErrAbortHandler} {
		for kind, event := range kinds() {
			i := invocation{handler: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-A", "1")
				panic(value)
			}}
			a, err := i.run(t, event)
			if err != nil {
				t.Fatalf("%s, %s: %v", kind, what, err)
			}
			wantTwirp(t, kind+" "+what, a, http.StatusInternalServerError, "internal", "INTERNAL")
			log := i.log.String()
			if strings.Count(log, "\n") != 1 || !strings.Contains(log, "invocation_test.go:") || !strings.Contains(log, requestID) || strings.Contains(log, canary) {
				t.Errorf("%s, %s: logged %s, want one line with the source position and the request id, without the value", kind, what, log)
			}
			if !strings.Contains(string(a.Body), requestID) || strings.Contains(string(a.Body), canary) || a.Headers["X-A"] != "" {
				t.Errorf("%s, %s: %+v, want the request id, and nothing that the handler wrote", kind, what, a)
			}
		}
		a, _ := invoke(t, v2Event(), func(w http.ResponseWriter, r *http.Request) {
			_ = twirp.WriteError(w, twirp.NotFoundError("written").WithMeta("reason", "WRITTEN"))
			panic(value)
		})
		wantTwirp(t, what+" after the response", a, http.StatusNotFound, "not_found", "WRITTEN")
	}
	a, _ := invoke(t, v2Event(), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(42) })
	wantTwirp(t, "a status that is none", a, http.StatusInternalServerError, "internal", "INTERNAL")
}

func TestRule10Deadline(t *testing.T) {
	t.Parallel()
	t.Run("less a margin", func(t *testing.T) {
		t.Parallel()
		deadline := time.Now().Add(time.Hour)
		ctx, cancel := context.WithDeadline(t.Context(), deadline)
		defer cancel()
		i := invocation{ctx: ctx}
		if _, err := i.run(t, v2Event()); err != nil {
			t.Fatal(err)
		}
		if got, ok := i.saw.Context().Deadline(); !ok || !got.Equal(deadline.Add(-200*time.Millisecond)) {
			t.Errorf("deadline = %v, %t, want 200 ms before %v", got, ok, deadline)
		}
		if err := i.saw.Context().Err(); !errors.Is(err, context.Canceled) {
			t.Errorf("after the response the context's error is %v, want it canceled", err)
		}
	})
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		_, saw := invoke(t, v2Event(), nil)
		if _, ok := saw.Context().Deadline(); ok {
			t.Error("the context has a deadline, want none")
		}
	})
	t.Run("past at the start", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithDeadline(context.WithValue(t.Context(), http.ServerContextKey, "kept"), time.Unix(0, 0))
		defer cancel()
		var log buffer
		calls := 0
		adapter := lambdahttp.New(slog.New(slog.NewJSONHandler(&log, nil)), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			calls++
			_, ok := r.Context().Deadline()
			if ok || r.Context().Err() != nil || r.Context().Value(http.ServerContextKey) != "kept" {
				t.Errorf("deadline: %t, error %v, want neither, and the values", ok, r.Context().Err())
			}
		}))
		for range 3 {
			if _, err := adapter.Invoke(ctx, []byte(`{"version":"2.0"}`)); err != nil {
				t.Fatal(err)
			}
		}
		if calls != 3 || strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "WARN") {
			t.Errorf("%d calls, logged %s, want 3 and one warning", calls, log.String())
		}
	})
}

// TestRule11Caller checks the caller's name. Some events have identities in members that a client can fill.
func TestRule11Caller(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct{ event, want string }{
		"v2, IAM": {`{"version":"2.0","requestContext":{"stage":"prod","requestId":"r","http":{"sourceIp":"192.0.2.1"},
			"identity":{"userArn":"arn:aws:iam::1:user/x"},"authorizer":{"iam":{"userArn":"arn:aws:iam::1:user/a\u0062c"},"claims":{"x":"x"}}}}`, "user/abc"},
		"v2, JWT":               {`{"version":"2.0","requestContext":{"authorizer":{"jwt":{"claims":{"sub":"a\"b","userArn":"arn:aws:iam::1:user/x"},"scopes":null}}}}`, ""},
		"v2, Lambda authorizer": {`{"version":"2.0","requestContext":{"authorizer":{"lambda":{"iam":{"userArn":"arn:aws:iam::1:user/x"},"jwt":"x"}}}}`, ""},
		"v1, IAM": {`{"httpMethod":"POST","requestContext":{"stage":"prod","requestId":"r","identity":{"sourceIp":"192.0.2.1","userArn":"arn:aws:iam::1:user/abc"},
			"http":{"sourceIp":"x","method":"GET"},"authorizer":{"iam":{"userArn":"arn:aws:iam::1:user/x"},"jwt":{"claims":{"x":"x"}}}}}`, "user/abc"},
		"v1, claims":            {`{"httpMethod":"POST","requestContext":{"authorizer":{"claims":{"sub":"s","userArn":"arn:aws:iam::1:user/x"}}}}`, ""},
		"v1, Lambda authorizer": {`{"httpMethod":"POST","requestContext":{"authorizer":{"principalId":"p","iam":{"userArn":"arn:aws:iam::1:user/x"},"jwt":1}}}`, ""},
		"v1, no load balancer":  {`{"httpMethod":"POST","requestContext":{"elb":null,"identity":{"userArn":"arn:aws:iam::1:user/abc"}}}`, "user/abc"},
		"alb": {`{"httpMethod":"POST","requestContext":{"elb":{},"requestId":"x","stage":"x","identity":{"userArn":"arn:aws:iam::1:user/x"},
			"authorizer":{"iam":{"userArn":"arn:aws:iam::1:user/x"}}}}`, ""},
	} {
		a, saw := invoke(t, []byte(test.event), nil)
		if got := callers.ShortARN(request.From(saw.Context()).Identity()); got != test.want || a.StatusCode != 200 {
			t.Errorf("%s: status %d, caller %q, want 200 and %q", what, a.StatusCode, got, test.want)
		}
	}
}

func TestRule11StrippedHeaders(t *testing.T) {
	t.Parallel()
	claims := map[string]string{"accept": "kept", "x-forwarded-proto": "kept", "x-amz-date": "kept", "x-api-key": "kept"}
	for _, name := range []string{
		"X-Forwarded-For", "forwarded", "x-real-ip", "x-forwarded-user", "X-AMZN-REQUESTID", "x-request-id", "x-amz-cf-id", "x-amzn-oidc-data",
		"x-amzn-oidc-identity", "x-apigateway-api-id", "x-amzn-request-context", "x-amzn-lambda-context", "x-amzn-trace-id",
		"x-client-ip", "true-client-ip", "x-correlation-id", "remote-user", "x-forwarded-client-cert",
	} {
		claims[name] = "claimed"
	}
	multi := map[string][]string{}
	for name, value := range claims {
		multi[name] = []string{value}
	}
	v2, v1, alb, albMulti := v2Event(), v1Event(), albEvent(), albMultiEvent()
	v2.Headers, v1.MultiValueHeaders, alb.Headers, albMulti.MultiValueHeaders = claims, multi, claims, multi
	for kind, event := range map[string]any{"v2": v2, "v1": v1, "alb": alb, "alb multi": albMulti} {
		_, saw := invoke(t, event, nil)
		want := http.Header{"Accept": {"kept"}, "X-Forwarded-Proto": {"kept"}, "X-Amz-Date": {"kept"}, "X-Api-Key": {"kept"}}
		if diff := cmp.Diff(want, saw.Header); diff != "" {
			t.Errorf("%s: the handler's headers (-want +got):\n%s", kind, diff)
		}
	}
}

// TestRule11RequestID checks that an internal error and its log line have the same request id.
func TestRule11RequestID(t *testing.T) {
	t.Parallel()
	var log buffer
	edge := rpcserver.New(slog.New(slog.NewJSONHandler(&log, nil)))
	handler := edge.Handler(databasev1.NewUserServiceServer(service{
		getUser: func(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
			return nil, errors.New("plain")
		},
	}, edge.Options()))
	e := v2Event()
	e.Headers = map[string]string{"content-type": "application/protobuf"}
	a, _ := invoke(t, e, handler.ServeHTTP)
	wantTwirp(t, "GetUser", a, http.StatusInternalServerError, "internal", "INTERNAL")
	var line struct{ Request string }
	if err := json.Unmarshal([]byte(log.String()), &line); err != nil || line.Request != requestID || !strings.Contains(string(a.Body), requestID) {
		t.Errorf("logged %s, answered %s, want request id %s in both", log.String(), a.Body, requestID)
	}
}
