package main

import (
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/osirose-new/database-service/shared/testenv"
)

// TestShutdownReachesWatchers checks that a load balancer that watches the program's health gets NOT_SERVING while the
// program still answers on open connections. So calls that are already under way are not lost.
func TestShutdownReachesWatchers(t *testing.T) {
	t.Parallel()
	const watchers, reaction = 10, 50 * time.Millisecond
	for try := 1; ; try++ { // on a busy machine a call may miss the 250 ms that the program gives callers
		p := start(t, outside(testenv.New(t, "plugins", "miniredis")))
		health := healthv1.NewHealthClient(p.dial(t))
		var late atomic.Int64
		var done sync.WaitGroup
		for range watchers {
			stream := watchServing(t, health)
			done.Go(func() {
				if r, err := stream.Recv(); err != nil || r.Status != healthv1.HealthCheckResponse_NOT_SERVING {
					t.Errorf("Watch after the signal: %v, %v, want NOT_SERVING", r, err)
				}
				time.Sleep(reaction)
				if _, err := health.Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
					late.Add(1)
				}
			})
			// The program checks the state for each watcher once a second. The pause spreads these checks over that
			// second, so that not all of them follow the signal at once.
			time.Sleep(time.Second / watchers)
		}
		p.signal(t, syscall.SIGTERM)
		done.Wait()
		p.wantExit(t, 0)
		switch n := late.Load(); {
		case n == 0:
			return
		case try == 5:
			t.Fatalf("%d of %d watchers got NOT_SERVING too late to make one more call", n, watchers)
		}
	}
}

// watchServing returns a watch of the program's health after it has returned SERVING.
func watchServing(t *testing.T, health healthv1.HealthClient) healthv1.Health_WatchClient {
	t.Helper()
	stream, err := health.Watch(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		r, err := stream.Recv() // under load the first status may be NOT_SERVING
		if err != nil {
			t.Fatal(err)
		}
		if r.Status == healthv1.HealthCheckResponse_SERVING {
			return stream
		}
	}
}
