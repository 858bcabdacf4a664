package main

import (
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/osirose-new/database-service/shared/testenv"
)

// A load balancer that watches the health of a program gets NOT_SERVING before the program ends its stream.
func TestWatchersAtTheEnd(t *testing.T) {
	t.Parallel()
	// On a busy machine the program may not get to its watchers in the 250 ms that it gives callers.
	for try := 1; ; try++ {
		p := start(t, outside(testenv.New(t, "plugins", "miniredis")))
		health := healthv1.NewHealthClient(p.dial(t))
		var streams []healthv1.Health_WatchClient
		for range 20 {
			streams = append(streams, watchServing(t, health))
			// The program checks the state of each watcher once a second. The checks of these watchers spread over that
			// second, so that they do not all happen to see the signal.
			time.Sleep(50 * time.Millisecond)
		}
		p.signal(t, syscall.SIGTERM)
		missed := 0
		for _, s := range streams {
			r, err := s.Recv()
			if err != nil {
				missed++
				continue
			}
			if r.Status != healthv1.HealthCheckResponse_NOT_SERVING {
				t.Errorf("Watch after the signal: %s, want NOT_SERVING", r.Status)
			}
			if r, err := s.Recv(); status.Code(err) != codes.Unavailable {
				t.Errorf("Watch after NOT_SERVING: %v, %v, want %s", r, err, codes.Unavailable)
			}
		}
		p.wantExit(t, 0)
		if missed == 0 {
			return
		}
		if try == 5 {
			t.Fatalf("%d of %d watchers were cut off without NOT_SERVING", missed, len(streams))
		}
	}
}

// watchServing watches the health of the program and returns once it is SERVING.
func watchServing(t *testing.T, health healthv1.HealthClient) healthv1.Health_WatchClient {
	t.Helper()
	stream, err := health.Watch(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		r, err := stream.Recv() // a busy machine may say NOT_SERVING first
		if err != nil {
			t.Fatal(err)
		}
		if r.Status == healthv1.HealthCheckResponse_SERVING {
			return stream
		}
	}
}
