package rpcserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
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

// TestCanceledTooLate cancels a request and lets the method return after its deadline. On a starved machine the connection's
// read deadline, which follows the request's, cancels it so, although the caller is there.
func TestCanceledTooLate(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	url, log := serveFake(t, func(ctx context.Context, _ *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		close(entered)
		<-ctx.Done()
		end, _ := ctx.Deadline()
		time.Sleep(time.Until(end))
		return nil, ctx.Err()
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
	wantLine(t, "GetUser", log.next(t), "WARN", "UserService/GetUser", twirp.DeadlineExceeded)
}

func TestCallerCancels(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	url, log := serveFake(t, func(ctx context.Context, _ *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		close(entered)
		<-ctx.Done()
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
	wantLine(t, "GetUser", log.next(t), "INFO", "UserService/GetUser", twirp.Canceled)
}
