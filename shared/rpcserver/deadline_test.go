package rpcserver_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

func TestDeadline(t *testing.T) {
	t.Parallel()
	for what, err := range map[string]error{"the context's error": nil, "another error": errors.New(canary)} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			url, log := serveFake(t, func(ctx context.Context, _ *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
				<-ctx.Done()
				if err != nil {
					return nil, err
				}
				return nil, ctx.Err()
			})
			wantAnswer(t, "GetUser", postOnce(t, url, asProtobuf, ""), twirp.DeadlineExceeded, "DEADLINE_EXCEEDED", "")
			wantLine(t, "GetUser", log.next(t), "WARN", "UserService/GetUser", twirp.DeadlineExceeded)
		})
	}
}

// TestDeadlineWithoutConnection checks the request of a function, which has no connection whose read deadline would end it, too.
func TestDeadlineWithoutConnection(t *testing.T) {
	t.Parallel()
	edge := rpcserver.New(slog.New(slog.DiscardHandler))
	edge.SetBudget(10 * time.Millisecond)
	service := fake{getUser: func(ctx context.Context, _ *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		select {
		case <-ctx.Done():
		case <-time.After(patience):
			t.Error("the request's context does not end")
		}
		return nil, ctx.Err()
	}}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, getUserPath, strings.NewReader(""))
	r.Header.Set("Content-Type", asProtobuf)
	edge.Handler(databasev1.NewUserServiceServer(service, edge.Options())).ServeHTTP(w, r)
	if w.Code != http.StatusRequestTimeout || !strings.Contains(w.Body.String(), "DEADLINE_EXCEEDED") {
		t.Errorf("%d %s, want 408 with DEADLINE_EXCEEDED", w.Code, w.Body)
	}
}

// TestCallerCancels lets the method return before or after the request's deadline. On a starved machine the connection's read
// deadline, which follows the request's, cancels a request whose caller is there: that is no cancel of the caller's.
func TestCallerCancels(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		tooLate bool
		level   string
		code    twirp.ErrorCode
	}{
		"before the deadline": {false, "INFO", twirp.Canceled},
		"after the deadline":  {true, "WARN", twirp.DeadlineExceeded},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			entered := make(chan struct{})
			url, log := serveFake(t, func(ctx context.Context, _ *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
				close(entered)
				<-ctx.Done()
				if test.tooLate {
					end, _ := ctx.Deadline()
					late, stop := context.WithDeadline(context.WithoutCancel(ctx), end)
					defer stop()
					<-late.Done()
				}
				return nil, fmt.Errorf("wait: %w", ctx.Err())
			})
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-entered
				cancel()
			}()
			c := databasev1.NewUserServiceProtobufClient(strings.TrimSuffix(url, getUserPath), http.DefaultClient)
			if _, err := c.GetUser(ctx, &databasev1.GetUserRequest{}); !errors.Is(err, context.Canceled) {
				t.Errorf("GetUser = %v, want canceled", err)
			}
			wantLine(t, "GetUser", log.next(t), test.level, "UserService/GetUser", test.code)
		})
	}
}
