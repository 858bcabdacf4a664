package main

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// call makes the i-th request of a load.
type call func(ctx context.Context, i int) error

// newHTTPClient returns a client that keeps at most n connections.
func newHTTPClient(n int) *http.Client {
	return &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: n, MaxConnsPerHost: n, DisableCompression: true},
	}
}

// spread makes n calls from that many workers and returns the first error.
func spread(ctx context.Context, workers, n int, do call) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
