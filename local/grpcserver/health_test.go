package grpcserver_test

import (
	"context"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/osirose-new/database-service/local/grpcserver"
)

const (
	serving    = healthv1.HealthCheckResponse_SERVING
	notServing = healthv1.HealthCheckResponse_NOT_SERVING
)

// serveHealth serves all services. The services themselves do not work; only health does.
func serveHealth(t *testing.T, ready func() bool) (*protocol, healthv1.HealthClient) {
	t.Helper()
	d := serve(t, edgeTo(io.Discard), ready, grpcserver.Users(fake{}), grpcserver.Sessions(nil), grpcserver.Characters(nil), grpcserver.Staff(nil))
	return d, healthv1.NewHealthClient(d.conn)
}

// healthNames returns the names that the health service knows.
func healthNames(t *testing.T) []string {
	t.Helper()
	names := map[string]bool{"": true}
	for _, m := range contract(t) {
		names[string(m.Parent().FullName())] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func TestHealth(t *testing.T) {
	t.Parallel()
	var ready atomic.Bool
	d, client := serveHealth(t, ready.Load)
	wantAll := func(when string, want healthv1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		list, err := client.List(t.Context(), &healthv1.HealthListRequest{})
		if got := slices.Sorted(maps.Keys(list.GetStatuses())); err != nil || !slices.Equal(got, healthNames(t)) {
			t.Errorf("%s: List = %q, %v, want %q", when, got, err, healthNames(t))
		}
		for _, name := range healthNames(t) {
			got, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{Service: name})
			if err != nil || got.Status != want || list.Statuses[name].GetStatus() != want {
				t.Errorf("%s: Check(%q) = %v, %v, List has %v; want %s", when, name, got, err, list.Statuses[name], want)
			}
		}
	}
	wantAll("not ready", notServing)
	ready.Store(true)
	wantAll("ready", serving)
	d.NotServing()
	d.NotServing() // a second call is allowed
	wantAll("after NotServing", notServing)
	if a := get(t.Context(), d.conn, ""); a.Code() != codes.Internal { // Internal: the fake was called, which has no method
		t.Errorf("GetUser after NotServing = %v, want it still served", a)
	}
	for _, name := range []string{"UserService", "osirose.database.v1", "osirose.database.v1.userservice", "grpc.health.v1.Health"} {
		if a := answerOf(func() error {
			_, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{Service: name})
			return err
		}()); a.Code() != codes.NotFound {
			t.Errorf("Check(%q) = %v, want %s", name, a, codes.NotFound)
		}
	}
}

// next returns the next status that a watcher gets.
func next(t *testing.T, stream healthv1.Health_WatchClient) healthv1.HealthCheckResponse_ServingStatus {
	t.Helper()
	r, err := stream.Recv()
	if err != nil {
		t.Fatalf("Watch: %v", err)
	}
	return r.Status
}

// watch watches a service.
func watch(t *testing.T, client healthv1.HealthClient, name string) healthv1.Health_WatchClient {
	t.Helper()
	stream, err := client.Watch(t.Context(), &healthv1.HealthCheckRequest{Service: name})
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func TestWatchDrain(t *testing.T) {
	t.Parallel()
	d, client := serveHealth(t, always)
	var streams []healthv1.Health_WatchClient
	for _, name := range healthNames(t) {
		streams = append(streams, watch(t, client, name))
		if got := next(t, streams[len(streams)-1]); got != serving {
			t.Errorf("the first status of Watch(%q) is %s, want %s", name, got, serving)
		}
	}
	d.NotServing()
	for _, s := range streams {
		if got := next(t, s); got != notServing {
			t.Errorf("Watch after NotServing: %s, want %s", got, notServing)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if !d.Shutdown(ctx) {
		t.Error("Shutdown cut off the watchers")
	}
	for _, s := range streams {
		if r, err := s.Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("Watch after Shutdown: %v, %v, want %s", r, err, codes.Unavailable)
		}
	}
}

func TestWatchShutdown(t *testing.T) {
	t.Parallel()
	d, client := serveHealth(t, always)
	stream := watch(t, client, "")
	next(t, stream)
	d.Shutdown(t.Context())
	// The status of the shutdown may arrive first.
	r, err := stream.Recv()
	if err == nil && r.Status == notServing {
		r, err = stream.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("Watch after Shutdown: %v, %v, want %s", r, err, codes.Unavailable)
	}
}

func TestWatchReadiness(t *testing.T) {
	t.Parallel()
	var ready atomic.Bool
	_, client := serveHealth(t, ready.Load)
	stream := watch(t, client, "osirose.database.v1.UserService")
	for _, is := range []bool{false, true, false} {
		want := map[bool]healthv1.HealthCheckResponse_ServingStatus{true: serving, false: notServing}[is]
		ready.Store(is)
		if got := next(t, stream); got != want {
			t.Errorf("Watch with ready %t: %s, want %s", is, got, want)
		}
	}
}

func TestWatchUnknown(t *testing.T) {
	t.Parallel()
	d, client := serveHealth(t, always)
	stream := watch(t, client, "nobody")
	if got := next(t, stream); got != healthv1.HealthCheckResponse_SERVICE_UNKNOWN {
		t.Errorf("Watch(nobody) = %s, want SERVICE_UNKNOWN", got)
	}
	d.Shutdown(t.Context())
	if r, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("Watch(nobody) after Shutdown: %v, %v, want %s", r, err, codes.Unavailable)
	}
}

func TestWatchCanceled(t *testing.T) {
	t.Parallel()
	_, client := serveHealth(t, always)
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := client.Watch(ctx, &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	next(t, stream)
	cancel()
	if _, err := stream.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("Watch after its caller cancels: %v, want %s", err, codes.Canceled)
	}
}

// TestTooManyWatches checks that streams without an end are bounded (finding A7): 5,000 of them held 57 MB.
func TestTooManyWatches(t *testing.T) {
	t.Parallel()
	d, client := serveHealth(t, always)
	clients := []healthv1.HealthClient{client}
	for len(clients)*grpcserver.MaxStreams <= int(grpcserver.MaxEndless) {
		clients = append(clients, healthv1.NewHealthClient(d.dial(t)))
	}
	ctx, leave := context.WithCancel(t.Context())
	for i := range int(grpcserver.MaxEndless) {
		stream, err := clients[i%len(clients)].Watch(ctx, &healthv1.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if got := next(t, stream); got != serving {
			t.Fatalf("watch %d: %s, want %s", i, got, serving)
		}
	}
	_, err := watch(t, clients[len(clients)-1], "").Recv()
	wantAnswer(t, "one watch too many", answerOf(err), codes.ResourceExhausted, "OVERLOADED")
	if _, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
		t.Errorf("Check = %v, want it served", err)
	}
	leave()
	for end := time.Now().Add(patience); d.Streams() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d streams are left", d.Streams())
		}
	}
	if got := next(t, watch(t, client, "")); got != serving {
		t.Errorf("Watch afterwards: %s, want %s", got, serving)
	}
}

// A health check whose message does not come ends with the time of a request. It had no end.
func TestHealthCheckWithoutMessage(t *testing.T) {
	t.Parallel()
	d := serve(t, edgeWithin(50*time.Millisecond, io.Discard), always)
	r := dialRaw(t, d)
	r.open(t, 1, healthv1.Health_Check_FullMethodName)
	r.await(t, func(f http2.Frame) bool {
		h, ok := f.(*http2.HeadersFrame)
		return ok && h.StreamEnded()
	})
}

// TestOldConnections checks that a client loses no call when its connection reaches its age.
func TestOldConnections(t *testing.T) {
	t.Parallel()
	d := serveServer(t, grpcserver.NewAged(edgeTo(io.Discard), 20*time.Millisecond, grpcserver.Users(fake{getUser: nothing})))
	var used sync.Map
	var calls sync.WaitGroup
	for range 4 {
		calls.Go(func() {
			for n := 0; n < 10; { // connections
				var from peer.Peer
				if a := get(t.Context(), d.conn, "", grpc.Peer(&from)); a.Code() != codes.OK {
					t.Errorf("GetUser = %v, want OK", a)
					return
				}
				n = 0
				used.Store(from.LocalAddr.String(), true)
				used.Range(func(any, any) bool { n++; return true })
			}
		})
	}
	calls.Wait()
}
