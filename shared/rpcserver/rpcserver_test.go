package rpcserver_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/testenv"
)

// fake is a UserService whose GetUser a test provides.
type fake struct {
	databasev1.UserService
	getUser func(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error)
}

func (f fake) GetUser(ctx context.Context, r *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
	return f.getUser(ctx, r)
}

const getUserPath = "/twirp/osirose.database.v1.UserService/GetUser"

// serveFake returns the URL of the method, and the log. At the end of the test the log must be empty.
func serveFake(t *testing.T, getUser func(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error)) (string, lines) {
	t.Helper()
	log := make(lines, 1000)
	t.Cleanup(func() { // after the server has closed
		for len(log) > 0 {
			t.Errorf("an extra line in the log: %s", <-log)
		}
	})
	url := testenv.ServeLog(t, log, rpcserver.Budget, func(o twirp.ServerOption) []databasev1.TwirpServer {
		return []databasev1.TwirpServer{databasev1.NewUserServiceServer(fake{getUser: getUser}, o)}
	})
	return url + getUserPath, log
}

const canary = "canary-4711@example.com"

type customError struct{ Secret string }

func (e customError) Error() string { return e.Secret }

// TestError checks the answer and the log line for every kind of error that a method can return.
func TestError(t *testing.T) {
	t.Parallel()
	declared := rpcserver.Error(twirp.NotFound, "USER_NOT_FOUND", "no such user")
	for what, test := range map[string]struct {
		err    error
		code   twirp.ErrorCode
		reason string
		level  string
		cause  bool // whether the log has a cause
	}{
		"declared":                  {declared, twirp.NotFound, "USER_NOT_FOUND", "INFO", false},
		"declared, aborted":         {rpcserver.Error(twirp.Aborted, "VERSION_MISMATCH", "the character has changed"), twirp.Aborted, "VERSION_MISMATCH", "INFO", false},
		"declared, wrapped":         {fmt.Errorf("look at %s: %w", canary, declared), twirp.Internal, "INTERNAL", "ERROR", true},
		"plain":                     {errors.New("SELECT 1 FROM game.users: pgx at 127.0.0.1: " + canary), twirp.Internal, "INTERNAL", "ERROR", true},
		"custom type":               {customError{canary}, twirp.Internal, "INTERNAL", "ERROR", true},
		"a pointer to a custom one": {&customError{canary}, twirp.Internal, "INTERNAL", "ERROR", true},
		"database unavailable":      {fmt.Errorf("dial 127.0.0.1 for %s: %w", canary, postgres.ErrUnavailable), twirp.Unavailable, "DATABASE_UNAVAILABLE", "WARN", true},
		"database asks for a retry": {fmt.Errorf("save %s: %w", canary, postgres.ErrRetry), twirp.Aborted, "RETRY", "INFO", true},
		"an internal deadline":      {fmt.Errorf("wait for %s: %w", canary, context.DeadlineExceeded), twirp.DeadlineExceeded, "DEADLINE_EXCEEDED", "WARN", true},
		"an internal cancellation":  {fmt.Errorf("wait for %s: %w", canary, context.Canceled), twirp.Internal, "INTERNAL", "ERROR", true},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			url, log := serveFake(t, func(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
				return nil, test.err
			})
			for _, contentType := range []string{asProtobuf, asJSON} {
				a := postOnce(t, url, contentType, map[string]string{asProtobuf: "", asJSON: "{}"}[contentType])
				wantAnswer(t, "GetUser", a, test.code, test.reason, "")
				wantNoLeak(t, "GetUser", a, canary, "customError")
				got := log.next(t)
				wantLine(t, "GetUser", got, test.level, "UserService/GetUser", test.code)
				if got.Reason != test.reason {
					t.Errorf("logged %s, want reason %s", got.raw, test.reason)
				}
				if (got.Cause != "") != test.cause || strings.Contains(got.raw, canary) || strings.Contains(got.raw, "127.0.0.1") {
					t.Errorf("logged %s, want a cause: %t, and nothing of the error's text", got.raw, test.cause)
				}
				if test.code == twirp.Internal && (a.Msg != "internal error" || a.Meta["request_id"] != got.Request) {
					t.Errorf("GetUser = %v, want the constant text and request_id %s", a, got.Request)
				}
				if test.code != twirp.Internal && a.Meta["request_id"] != "" {
					t.Errorf("GetUser = %v, want no request_id", a)
				}
			}
		})
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	var nowhere *databasev1.GetUserResponse
	for what, cause := range map[string]func(){
		"a string":      func() { panic(canary) },
		"an error":      func() { panic(customError{canary}) },
		"a Twirp error": func() { panic(twirp.NotFoundError(canary)) },
		"nil":           func() { panic(nil) },
		"of the runtime": func() {
			nowhere.User = nil
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			url, log := serveFake(t, func(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
				cause()
				return nil, nil
			})
			for range 2 { // the process continues after a panic
				a := postOnce(t, url, asProtobuf, "")
				wantAnswer(t, "GetUser", a, twirp.Internal, "INTERNAL", "")
				wantNoLeak(t, "GetUser", a, canary)
				got := log.next(t)
				wantLine(t, "GetUser", got, "ERROR", "UserService/GetUser", twirp.Internal)
				if a.Meta["request_id"] != got.Request {
					t.Errorf("GetUser = %v, want request_id %s", a, got.Request)
				}
				if !strings.Contains(got.Cause, "rpcserver_test.go:") || strings.Contains(got.raw, canary) {
					t.Errorf("logged %s, want the source position, and nothing of the panic's value", got.raw)
				}
			}
		})
	}
}

func TestNoResponse(t *testing.T) {
	t.Parallel()
	url, log := serveFake(t, func(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		return nil, nil
	})
	a := postOnce(t, url, asProtobuf, "")
	wantAnswer(t, "GetUser", a, twirp.Internal, "INTERNAL", "")
	if got := log.next(t); got.Cause == "" || got.Request != a.Meta["request_id"] {
		t.Errorf("logged %s, want a cause, and the request_id of %v", got.raw, a)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	url, log := serveFake(t, func(_ context.Context, r *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		if r.UserId != "" {
			return nil, rpcserver.InvalidArgument("user_id", "is not to our taste")
		}
		return &databasev1.GetUserResponse{}, nil
	})
	base := strings.TrimSuffix(url, getUserPath)
	for what, test := range map[string]struct {
		method, path, contentType, body string
		level, rpc                      string
		code                            twirp.ErrorCode
	}{
		"a success":         {"POST", getUserPath, asJSON, "{}", "INFO", "UserService/GetUser", "ok"},
		"a refusal":         {"POST", getUserPath, asJSON, `{"user_id":"x"}`, "INFO", "UserService/GetUser", twirp.InvalidArgument},
		"broken JSON":       {"POST", getUserPath, asJSON, "{", "INFO", "UserService/GetUser", twirp.Malformed},
		"broken protobuf":   {"POST", getUserPath, asProtobuf, "\x0a\x05x", "INFO", "UserService/GetUser", twirp.Malformed},
		"GET":               {"GET", getUserPath, "", "", "INFO", "UserService/", twirp.BadRoute},
		"unknown method":    {"POST", getUserPath + "x", asJSON, "{}", "INFO", "UserService/", twirp.BadRoute},
		"wrong type":        {"POST", getUserPath, "text/plain", "{}", "INFO", "UserService/", twirp.BadRoute},
		"too large a body":  {"POST", getUserPath, asJSON, strings.Repeat(" ", 1<<20+1), "INFO", "", twirp.Malformed},
		"the canary's path": {"POST", getUserPath + "/" + canary, asJSON, `{"user_id":"` + canary + `"}`, "INFO", "UserService/", twirp.BadRoute},
	} {
		send(t, test.method, base+test.path, test.contentType, strings.NewReader(test.body))
		got := log.next(t)
		wantLine(t, what, got, test.level, test.rpc, test.code)
		if strings.Contains(got.raw, canary) {
			t.Errorf("%s logged %s, which contains data of the request", what, got.raw)
		}
	}

	t.Run("unknown service", func(t *testing.T) {
		for _, path := range []string{"/twirp/osirose.database.v1.NoService/Get", "/", "/twirp", "/GetUser"} {
			r, err := http.Post(base+path, asJSON, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
			if r.StatusCode != http.StatusNotFound {
				t.Errorf("POST %s = %s, want 404", path, r.Status)
			}
			wantLine(t, path, log.next(t), "INFO", "", twirp.BadRoute)
		}
	})
}

// TestAnswerThatCannotBeEncoded sends a text that is not UTF-8. protobuf permits none.
func TestAnswerThatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	url, log := serveFake(t, func(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		return &databasev1.GetUserResponse{User: &databasev1.User{Name: canary + "\xff"}}, nil
	})
	for contentType, body := range map[string]string{asProtobuf: "", asJSON: "{}"} {
		a := postOnce(t, url, contentType, body)
		wantAnswer(t, contentType, a, twirp.Internal, "INTERNAL", "")
		wantNoLeak(t, contentType, a, canary)
		got := log.next(t)
		wantLine(t, contentType, got, "ERROR", "UserService/GetUser", twirp.Internal)
		if a.Meta["request_id"] == "" || a.Meta["request_id"] != got.Request || strings.Contains(got.raw, canary) {
			t.Errorf("by %s: %v, and logged %s; want the id of the line, and no text of the answer", contentType, a, got.raw)
		}
	}
}

func TestConcurrentRequests(t *testing.T) {
	t.Parallel()
	const callers, each = 8, 20
	url, log := serveFake(t, func(_ context.Context, r *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		return nil, errors.New("plain")
	})
	var wg sync.WaitGroup
	var mu sync.Mutex
	sent := map[string]bool{}
	for range callers {
		wg.Go(func() {
			for range each {
				a := postOnce(t, url, asProtobuf, "")
				mu.Lock()
				sent[a.Meta["request_id"]] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	logged := map[string]bool{}
	for range callers * each {
		logged[log.next(t).Request] = true
	}
	if len(sent) != callers*each || len(logged) != callers*each {
		t.Errorf("%d request ids sent, %d logged, want %d of each", len(sent), len(logged), callers*each)
	}
	for id := range sent {
		if !logged[id] {
			t.Errorf("request_id %q was sent but not logged", id)
		}
	}
}

// TestWithoutHandler mounts a service without [rpcserver.Server.Handler]. That mistake must not leak an error.
func TestWithoutHandler(t *testing.T) {
	t.Parallel()
	log := make(lines, 10)
	edge := rpcserver.New(slog.New(slog.NewJSONHandler(log, nil)))
	service := fake{getUser: func(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		return nil, errors.New(canary)
	}}
	s := httptest.NewServer(databasev1.NewUserServiceServer(service, edge.Options()))
	t.Cleanup(s.Close)
	a := postOnce(t, s.URL+getUserPath, asProtobuf, "")
	wantAnswer(t, "GetUser", a, twirp.Internal, "", "")
	wantNoLeak(t, "GetUser", a, canary)
	wantAnswer(t, "GET", send(t, http.MethodGet, s.URL+getUserPath, "", nil), twirp.BadRoute, "", "")
}
