package grpcserver_test

import (
	"context"
	"errors"
	"fmt"
	"go/build"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twitchtv/twirp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// wantCodes maps all of Twirp's codes.
var wantCodes = map[twirp.ErrorCode]codes.Code{
	twirp.Canceled: codes.Canceled, twirp.Unknown: codes.Unknown, twirp.InvalidArgument: codes.InvalidArgument,
	twirp.Malformed: codes.InvalidArgument, twirp.DeadlineExceeded: codes.DeadlineExceeded, twirp.NotFound: codes.NotFound,
	twirp.BadRoute: codes.Unimplemented, twirp.AlreadyExists: codes.AlreadyExists, twirp.PermissionDenied: codes.PermissionDenied,
	twirp.Unauthenticated: codes.Unauthenticated, twirp.ResourceExhausted: codes.ResourceExhausted,
	twirp.FailedPrecondition: codes.FailedPrecondition, twirp.Aborted: codes.Aborted, twirp.OutOfRange: codes.OutOfRange,
	twirp.Unimplemented: codes.Unimplemented, twirp.Internal: codes.Internal, twirp.Unavailable: codes.Unavailable,
	twirp.DataLoss: codes.DataLoss,
}

// TestDeclaredErrors checks that every error that a service declares arrives with its code, message, reason and meta.
func TestDeclaredErrors(t *testing.T) {
	t.Parallel()
	d, log := serveFake(t, func(_ context.Context, r *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		return nil, rpcserver.Error(twirp.ErrorCode(r.UserId), "A_REASON", "the words").WithMeta("argument", "user_id").WithMeta("limit", "5")
	})
	met := map[codes.Code]bool{}
	for from, want := range wantCodes {
		a := get(t.Context(), d.conn, string(from))
		wantAnswer(t, string(from), a, want, "A_REASON")
		if diff := cmp.Diff(map[string]string{"argument": "user_id", "limit": "5"}, a.Info.GetMetadata()); diff != "" || a.Message() != "the words" {
			t.Errorf("%s = %v, want the message, and the meta without the reason: %s", from, a, diff)
		}
		if (a.Retry != nil) != (want == codes.ResourceExhausted) {
			t.Errorf("%s = %v, want a RetryInfo with RESOURCE_EXHAUSTED only", from, a)
		}
		if got := log.next(t); got.Code != string(from) {
			t.Errorf("%s logged %s, want the code", from, got.raw)
		}
		met[want] = true
	}
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		if !met[code] {
			t.Errorf("no Twirp code is mapped to %s", code)
		}
	}
}

// TestEveryCode fails if Twirp adds a code that wantCodes does not have.
func TestEveryCode(t *testing.T) {
	t.Parallel()
	twirpIs, err := build.Import("github.com/twitchtv/twirp", ".", build.FindOnly)
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(twirpIs.Dir, "errors.go"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, found := range regexp.MustCompile(`(?m)^\s*\w+ ErrorCode = "(\w+)"$`).FindAllSubmatch(source, -1) {
		n++
		if _, ok := wantCodes[twirp.ErrorCode(found[1])]; !ok {
			t.Errorf("the gRPC code for Twirp's %s is not tested", found[1])
		}
	}
	if n != len(wantCodes) {
		t.Errorf("%d codes found in Twirp, want %d", n, len(wantCodes))
	}
}

// TestReasonTrailer checks that a client without ErrorInfo can tell the reasons of one code apart.
func TestReasonTrailer(t *testing.T) {
	t.Parallel()
	d, log := serveFake(t, func(_ context.Context, r *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		switch r.UserId {
		case "":
			return &databasev1.GetUserResponse{}, nil
		case "RETRY":
			return nil, postgres.ErrRetry
		}
		return nil, rpcserver.Error(twirp.Aborted, r.UserId, "the words")
	})
	for _, test := range []struct {
		method, user, reason string
		code                 codes.Code
	}{
		{getUser, "VERSION_MISMATCH", "VERSION_MISMATCH", codes.Aborted},
		{getUser, "RETRY", "RETRY", codes.Aborted},
		{getUser, "", "", codes.OK},
		{getUser, strings.Repeat("x", rpcserver.MaxBody), "BODY_TOO_LARGE", codes.InvalidArgument},
		{getUser + "x", "", "ROUTE", codes.Unimplemented},
	} {
		var trailer metadata.MD
		request := &databasev1.GetUserRequest{UserId: test.user}
		a := answerOf(d.conn.Invoke(t.Context(), test.method, request, &databasev1.GetUserResponse{}, grpc.Trailer(&trailer)))
		if got := strings.Join(trailer.Get("error-reason"), ","); a.Code() != test.code || got != test.reason {
			t.Errorf("%s(%.20s) = %v with the trailer error-reason %q, want %s with %q", test.method, test.user, a, got, test.code, test.reason)
		}
		log.next(t)
	}
}

func TestErrorsWithoutReason(t *testing.T) {
	t.Parallel()
	d, log := serveFake(t, func(_ context.Context, r *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		return nil, twirp.NewError(twirp.ErrorCode(r.UserId), "the words").WithMeta("argument", "user_id")
	})
	wantAnswer(t, "without a reason", get(t.Context(), d.conn, string(twirp.NotFound)), codes.NotFound, "")
	log.next(t)
}

// TestAnswerThatCannotBeEncoded sends a text that is not UTF-8. protobuf permits none.
func TestAnswerThatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	d, log := serveFake(t, func(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		return &databasev1.GetUserResponse{User: &databasev1.User{Name: canary + "\xff"}}, nil
	})
	a := get(t.Context(), d.conn, "x")
	wantAnswer(t, "GetUser", a, codes.Internal, "INTERNAL")
	wantNoLeak(t, "GetUser", a, canary)
	got := log.next(t)
	wantLine(t, "GetUser", got, "ERROR", "UserService/GetUser", "internal")
	wantNoneIn(t, "logged", got.raw, canary)
}

type customError struct{ secret string }

func (e customError) Error() string { return e.secret }

// TestOtherErrors checks that an undeclared error is logged without data, and that the caller gets a constant text.
func TestOtherErrors(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		err    error
		code   codes.Code
		reason string
		level  string
		logged twirp.ErrorCode
	}{
		"plain":                      {errors.New("SELECT 1 FROM game.users: pgx at 127.0.0.1: " + canary), codes.Internal, "INTERNAL", "ERROR", twirp.Internal},
		"custom type":                {customError{canary}, codes.Internal, "INTERNAL", "ERROR", twirp.Internal},
		"declared, wrapped":          {fmt.Errorf("look at %s: %w", canary, twirp.NotFoundError("x")), codes.Internal, "INTERNAL", "ERROR", twirp.Internal},
		"database unavailable":       {fmt.Errorf("dial 127.0.0.1 for %s: %w", canary, postgres.ErrUnavailable), codes.Unavailable, "DATABASE_UNAVAILABLE", "WARN", twirp.Unavailable},
		"database overloaded":        {fmt.Errorf("wait for %s: %w", canary, postgres.ErrOverloaded), codes.ResourceExhausted, "OVERLOADED", "INFO", twirp.ResourceExhausted},
		"database asks for a retry":  {fmt.Errorf("save %s: %w", canary, postgres.ErrRetry), codes.Aborted, "RETRY", "INFO", twirp.Aborted},
		"neither one nor a response": {nil, codes.Internal, "INTERNAL", "ERROR", twirp.Internal},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d, log := serveFake(t, func(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
				return nil, test.err
			})
			a := get(t.Context(), d.conn, "")
			wantAnswer(t, "GetUser", a, test.code, test.reason)
			wantNoLeak(t, "GetUser", a, canary, "customError")
			got := log.next(t)
			wantLine(t, "GetUser", got, test.level, "UserService/GetUser", string(test.logged))
			if !strings.Contains(got.raw, `"reason":"`+test.reason+`"`) {
				t.Errorf("logged %s, want reason %s", got.raw, test.reason)
			}
			wantNoneIn(t, "logged", got.raw, canary, "127.0.0.1")
			if id := a.Info.GetMetadata()["request_id"]; (test.code == codes.Internal) != (id == got.Request) {
				t.Errorf("GetUser = %v, want request_id %s with INTERNAL only", a, got.Request)
			}
			if test.reason == "OVERLOADED" && a.Retry.GetRetryDelay().AsDuration() != time.Second {
				t.Errorf("GetUser = %v, want a retry delay of 1 s", a)
			}
		})
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	var nowhere *databasev1.GetUserResponse
	for what, cause := range map[string]func(){
		"a string":       func() { panic(canary) },
		"an error":       func() { panic(customError{canary}) },
		"a Twirp error":  func() { panic(twirp.NotFoundError(canary)) },
		"of the runtime": func() { nowhere.User = nil },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d, log := serveFake(t, func(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
				cause()
				return nil, nil
			})
			for range 2 { // the process continues after a panic
				a := get(t.Context(), d.conn, "")
				wantAnswer(t, "GetUser", a, codes.Internal, "INTERNAL")
				wantNoLeak(t, "GetUser", a, canary)
				got := log.next(t)
				wantLine(t, "GetUser", got, "ERROR", "UserService/GetUser", string(twirp.Internal))
				if a.Message() != "internal error" || a.Info.GetMetadata()["request_id"] != got.Request {
					t.Errorf("GetUser = %v, want the constant text and request_id %s", a, got.Request)
				}
				wantNoneIn(t, "logged", got.raw, canary)
			}
		})
	}
}
