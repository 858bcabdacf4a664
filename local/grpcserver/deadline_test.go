package grpcserver_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestDeadline checks that a method has its caller's deadline, but at most the budget of a request.
func TestDeadline(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct{ callers, want time.Duration }{
		"none":             {0, rpcserver.Budget},
		"longer":           {time.Hour, rpcserver.Budget},
		"a little longer":  {rpcserver.Budget + 20*time.Millisecond, rpcserver.Budget},
		"shorter":          {rpcserver.Budget / 2, rpcserver.Budget / 2},
		"over immediately": {time.Nanosecond, 0},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			testDeadline(t, test.callers, test.want)
		})
	}
}

// testDeadline calls a method that waits for the end of its context. callers is the caller's timeout; 0 means none.
func testDeadline(t *testing.T, callers, want time.Duration) {
	has, entered := time.Time{}, make(chan time.Time, 1)
	d, log := serveFakeWithin(t, rpcserver.Budget, func(ctx context.Context, _ *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		has, _ = ctx.Deadline()
		entered <- time.Now()
		<-ctx.Done()
		return nil, ctx.Err()
	})
	// Connect first, so that connecting does not use up the deadline.
	if _, err := healthv1.NewHealthClient(d.conn).Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := t.Context(), func() {}
	if callers > 0 {
		ctx, cancel = context.WithTimeout(ctx, callers)
	}
	defer cancel()
	began := time.Now()
	a := get(ctx, d.conn, "")
	serverFirst := want == rpcserver.Budget && (callers == 0 || callers > 2*want) // otherwise client and server both run out of time
	switch {
	case a.Code() != codes.DeadlineExceeded:
		t.Errorf("GetUser = %v, want %s", a, codes.DeadlineExceeded)
	case serverFirst:
		wantAnswer(t, "GetUser", a, codes.DeadlineExceeded, "DEADLINE_EXCEEDED")
	case want == 0:
		return // the request did not reach the server
	}
	var at time.Time
	select {
	case at = <-entered:
	case <-time.After(patience):
		t.Fatal("the method was not called")
	}
	if has.Before(began) || has.After(at.Add(want)) {
		t.Errorf("the method's deadline is %v after its start, want at most %v", has.Sub(at), want)
	}
	// The caller cancels when its deadline has passed, so the server may see the cancel first.
	if got := log.next(t); got.Code != "deadline_exceeded" && (got.Code != "canceled" || serverFirst) {
		t.Errorf("GetUser logged %s, want deadline_exceeded", got.raw)
	}
}

// silent opens a stream of GetUser and sends only the headers.
func silent(ctx context.Context, t *testing.T, d *protocol) grpc.ClientStream {
	t.Helper()
	stream, err := d.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, getUser)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func TestMissingMessage(t *testing.T) {
	t.Parallel()
	d, log := serveFakeWithin(t, rpcserver.Budget, func(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		t.Error("the method was called")
		return nil, errors.New("not to be called")
	})
	began := time.Now()
	// The caller sends no deadline. The timeout here only ends the test if the server never answers.
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(10*rpcserver.Budget, cancel).Stop()
	stream := silent(ctx, t, d)
	a := answerOf(stream.RecvMsg(&databasev1.GetUserResponse{}))
	wantAnswer(t, "GetUser", a, codes.DeadlineExceeded, "")
	if took := time.Since(began); took < rpcserver.Budget {
		t.Errorf("GetUser took %v, want at least %v", took, rpcserver.Budget)
	}
	wantLine(t, "GetUser", log.next(t), "WARN", "UserService/GetUser", "deadline_exceeded")

	ctx, cancel = context.WithCancel(t.Context())
	stream = silent(ctx, t, d)
	cancel()
	wantAnswer(t, "GetUser", answerOf(stream.RecvMsg(&databasev1.GetUserResponse{})), codes.Canceled, "")
	wantLine(t, "GetUser", log.next(t), "INFO", "UserService/GetUser", "canceled")
}

func TestCallerCancels(t *testing.T) {
	t.Parallel()
	entered, ended := make(chan struct{}), make(chan error, 1)
	d, log := serveFakeWithin(t, rpcserver.Budget, func(ctx context.Context, _ *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		close(entered)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	wantAnswer(t, "GetUser", get(ctx, d.conn, ""), codes.Canceled, "")
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the method's context: %v, want it canceled", err)
	}
	wantLine(t, "GetUser", log.next(t), "INFO", "UserService/GetUser", "canceled")
}

// stalled makes a request that waits for its statement: the proxy in front of the database holds the answer back.
func stalled(ctx context.Context, t *testing.T, log io.Writer) (d *protocol, ended <-chan answer) {
	t.Helper()
	e := testenv.New(t, testenv.Variants[0], "miniredis")
	_, token := e.AddSession(t, e.AddUser(t, "Alice"), time.Hour)
	arrived, released := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(released) })
	var once sync.Once
	e.PGProxy.OnSend(func(b []byte) {
		if bytes.Contains(b, []byte("session_by_token")) {
			once.Do(func() { close(arrived) })
			<-released
		}
	})
	d = serve(t, edgeWithin(rpcserver.Budget, log), always, all(e.Program)...)
	answers := make(chan answer, 1)
	go func() {
		request := &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: token}}
		answers <- answerOf(d.conn.Invoke(ctx, pkg+"SessionService/GetSession", request, &databasev1.GetSessionResponse{}))
	}()
	select {
	case <-arrived:
	case a := <-answers:
		answers <- a // it was not sent: the machine is under load
	}
	return d, answers
}

// A caller that leaves ends the wait for a statement.
func TestCallerCancelsAStatement(t *testing.T) {
	t.Parallel()
	for try := 0; ; try++ { // on a machine under load the statement may time out first
		log := make(lines, 10)
		ctx, cancel := context.WithCancel(t.Context())
		_, answers := stalled(ctx, t, log)
		cancel()
		a, got := <-answers, log.next(t)
		if (got.Code == "unavailable" || got.Code == "deadline_exceeded") && try < 5 {
			continue
		}
		wantAnswer(t, "GetSession", a, codes.Canceled, "")
		wantLine(t, "GetSession", got, "INFO", "SessionService/GetSession", "canceled")
		return
	}
}

// If the database does not answer, all reads and writes say so within the budget.
func TestSlowDatabase(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis", testenv.RealBudgets)
	valid := requests(t, e)
	bodies := map[string]proto.Message{}
	for name, request := range valid {
		bodies[name] = request(t)
	}
	log := make(lines, 100)
	d := serve(t, edgeWithin(rpcserver.Budget, log), always, all(e.Program)...)
	e.PGProxy.Hold()
	defer e.PGProxy.Release()
	var wg sync.WaitGroup
	for _, m := range contract(t) {
		wg.Go(func() {
			began := time.Now()
			a := answerOf(d.conn.Invoke(t.Context(), pathOf(m), bodies[string(m.Name())], &databasev1.GetUserResponse{}))
			wantAnswer(t, pathOf(m), a, codes.Unavailable, "DATABASE_UNAVAILABLE")
			if took := time.Since(began); took > 5*rpcserver.Budget {
				t.Errorf("%s took %v, want less than %v", pathOf(m), took, rpcserver.Budget)
			}
		})
	}
	wg.Wait()
	for range contract(t) {
		if got := log.next(t); got.Code != "unavailable" || *got.MS > 5000 {
			t.Errorf("logged %s, want unavailable", got.raw)
		}
	}
}
