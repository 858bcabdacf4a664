package rpcserver_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

func TestRequestID(t *testing.T) {
	t.Parallel()
	log := make(lines, 10)
	edge := rpcserver.New(slog.New(slog.NewJSONHandler(log, nil)))
	service := fake{getUser: func(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		return nil, errors.New("plain")
	}}
	handler := edge.Handler(databasev1.NewUserServiceServer(service, edge.Options()))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := request.With(r.Context(), &request.Record{ID: r.Header.Get("Id")})
		handler.ServeHTTP(w, r.WithContext(ctx))
	}))
	t.Cleanup(s.Close)
	for id, want := range map[string]string{"": `^[0-9a-f]{8}-[0-9]+$`, "8f507cfc-xmpl": `^8f507cfc-xmpl$`} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+getUserPath, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", asProtobuf)
		r.Header.Set("Id", id)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a := readAnswer(t, response)
		wantAnswer(t, "GetUser", a, twirp.Internal, "INTERNAL", "")
		got := log.next(t)
		if got.Request != a.Meta["request_id"] || !regexp.MustCompile(want).MatchString(got.Request) {
			t.Errorf("with id %q: logged %q, answered %q, want both %s", id, got.Request, a.Meta["request_id"], want)
		}
	}
}

// TestEarlierDeadline checks the deadline of a Lambda function that has less time than the budget.
func TestEarlierDeadline(t *testing.T) {
	t.Parallel()
	edge := rpcserver.New(slog.New(slog.DiscardHandler))
	for what, left := range map[string]time.Duration{"earlier": rpcserver.Budget / 2, "later": time.Hour} {
		ctx, cancel := context.WithTimeout(t.Context(), left)
		defer cancel()
		function, _ := ctx.Deadline()
		edge.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got, ok := r.Context().Deadline()
			if !ok || got.After(function) || got.Equal(function) != (what == "earlier") {
				t.Errorf("deadline = %v, %t, want the earlier of the budget's and %v", got, ok, function)
			}
		})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodPost, getUserPath, nil))
	}
}
