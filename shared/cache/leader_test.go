package cache_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/testenv"
)

// Two readers wait for the load of a third, and then share one. The caller of whichever makes it gives up: the other one's
// has not.
func TestSharedLoadIsGivenUp(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	type cancelKey struct{}
	inside, release := make(chan struct{}), make(chan struct{})
	var loads atomic.Int64
	k := e.Program.Cache.Kind("thing:", format("v1"), func(ctx context.Context, _ string) (cache.Entry, error) {
		switch loads.Add(1) {
		case 1:
			close(inside)
			<-release
		case 2:
			ctx.Value(cancelKey{}).(context.CancelFunc)()
			return cache.Entry{}, ctx.Err()
		}
		return cache.Entry{Bytes: []byte("ok"), Now: time.Now()}, nil
	})
	errs := make(chan error, 3)
	get := func() {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		_, err := k.Get(context.WithValue(ctx, cancelKey{}, cancel), "1")
		errs <- err
	}
	e.RDProxy.Refuse() // all readers load
	go get()
	<-inside
	go get()
	go get()
	for waiting := uint64(0); waiting < 3; {
		s := e.Program.Cache.Stats()
		waiting = s.Untrusted + s.Bypassed
		time.Sleep(time.Millisecond)
	}
	close(release)
	var failed int
	for range 3 {
		if err := <-errs; err != nil {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d of 3 readers failed after %d loads, want the one whose caller gave up", failed, loads.Load())
	}
}

// A reader that comes while another's load is running loads itself: what that one reads may be from before a write that
// this reader must see.
func TestReaderDoesNotJoinARunningLoad(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	x := newEntity(t, e)
	e.RDProxy.Refuse() // so that only the coalescer can help
	asked := func() uint64 { s := e.Program.Cache.Stats(); return s.Untrusted + s.Bypassed }
	for round := range int64(10) { // the second reader is counted just before it joins
		second := make(chan int64, 1)
		x.during(func() {
			x.value.Add(1)
			before := asked()
			go func() {
				entry, err := x.kind.Get(context.Background(), "1")
				if err != nil {
					t.Errorf("Get: %v", err)
					close(second)
					return
				}
				second <- int64(entry.Bytes[0] - '0')
			}()
			for asked() == before {
				time.Sleep(time.Millisecond)
			}
		})
		x.value.Store(0)
		if got := read(t, x.kind); got != 0 {
			t.Errorf("round %d: the first reader read %d, want 0", round, got)
		}
		if got := <-second; got != 1 {
			t.Errorf("round %d: the reader that began after the write read %d, want 1", round, got)
		}
	}
}
