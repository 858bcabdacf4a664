package cache_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/faultproxy"
	"github.com/osirose-new/database-service/shared/testenv"
)

// numbers is a kind of entities whose value is their id, so that a reply that reaches the wrong reader is seen.
type numbers struct {
	*testenv.Env
	program *app.Program
	cache   *cache.Cache
	kind    *cache.Kind
}

const readersAtOnce = 100 // more than two calls take

func newNumbers(t *testing.T, e *testenv.Env) *numbers {
	t.Helper()
	p := e.Open(t, func(o *app.Options) { o.Budgets.Redis.Call = testenv.Patience })
	n := &numbers{e, p, p.Cache, p.Cache.Kind("number:", format("v1"), func(_ context.Context, id string) (cache.Entry, error) {
		return cache.Entry{Bytes: []byte(id), Now: time.Now()}, nil
	})}
	for i := range readersAtOnce {
		n.read(t, i)
		n.wantIdle(t)
	}
	return n
}

func (n *numbers) read(t *testing.T, i int) {
	t.Helper()
	id := fmt.Sprint(i)
	if e, err := n.kind.Get(context.Background(), id); err != nil || string(e.Bytes) != id {
		t.Errorf("Get(%s) = %q, %v", id, e.Bytes, err)
	}
}

// together has all readers look into Redis at once. It calls release when two calls are under way and all others wait.
func (n *numbers) together(t *testing.T, release func()) {
	t.Helper()
	n.RDProxy.Hold()
	all := n.begin(t, func() {})
	release()
	all.Wait()
	n.wantIdle(t)
}

// begin starts all readers, and returns when two calls are under way and the others wait. Each reader calls done at its end.
func (n *numbers) begin(t *testing.T, done func()) *sync.WaitGroup {
	t.Helper()
	var all sync.WaitGroup
	for i := range readersAtOnce {
		all.Go(func() {
			n.read(t, i)
			done()
		})
	}
	for end := time.Now().Add(testenv.Patience); ; runtime.Gosched() {
		calls, waiting := n.cache.Lookups()
		switch {
		case calls == 2 && waiting == readersAtOnce-calls:
			return &all
		case calls > 2, time.Now().After(end):
			t.Fatalf("%d calls, and %d lookups that wait; want two calls, and that the others wait", calls, waiting)
		}
	}
}

func (n *numbers) wantIdle(t *testing.T) {
	t.Helper()
	if calls, waiting := n.cache.Lookups(); calls != 0 || waiting != 0 {
		t.Fatalf("no reader is left, %d calls are under way, and %d lookups wait", calls, waiting)
	}
}

// TestBatches checks that many lookups share few calls and connections, and that each reader gets its own reply.
func TestBatches(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		n := newNumbers(t, e)
		for range 20 { // on a busy machine a watermark may be too old for a hit
			before, connections := n.cache.Stats().Hits, e.RDProxy.Accepted()
			n.together(t, e.RDProxy.Release)
			if n.cache.Stats().Hits-before < readersAtOnce {
				continue
			}
			if more := e.RDProxy.Accepted() - connections; more > 10 { // a sync needs some
				t.Errorf("%d readers needed %d connections more", readersAtOnce, more)
			}
			return
		}
		t.Error("no time every lookup was a hit")
	})
}

// TestBatchIsCut checks that a connection that breaks in the middle of a batch gives no reader the reply of another.
func TestBatchIsCut(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		n := newNumbers(t, e)
		for _, after := range []int{1, 50, 200, 700, 1500, 3000, 5000} {
			n.together(t, func() {
				e.RDProxy.CutAfter(faultproxy.Received, after)
				e.RDProxy.Release()
			})
		}
	})
}

var errHookPanics = errors.New("the call panics")

// failing is a hook of go-redis. While it is on, each call with lookups waits until the test sends an error, and ends with it.
type failing struct {
	on    atomic.Bool
	calls chan chan error
}

// newFailing returns numbers that Redis has, with a hook that is on.
func newFailing(t *testing.T) (*numbers, *failing) {
	t.Helper()
	n := newNumbers(t, testenv.New(t, "plugins", "miniredis"))
	hook := &failing{calls: make(chan chan error, readersAtOnce)}
	n.program.Redis.AddHook(hook)
	hook.on.Store(true)
	return n, hook
}

// DialHook implements redis.Hook.
func (*failing) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (*failing) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (f *failing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		if !f.on.Load() {
			return next(ctx, commands)
		}
		end := make(chan error)
		f.calls <- end
		err := <-end
		if errors.Is(err, errHookPanics) {
			panic(err)
		}
		for _, c := range commands {
			c.SetErr(err)
		}
		return err
	}
}

// TestBatchesWithoutReplies checks that a call that gets no reply is one failure, however many readers share it, and that no reader waits
// for a second one.
func TestBatchesWithoutReplies(t *testing.T) {
	t.Parallel()
	n, hook := newFailing(t)
	before := n.cache.Stats().RedisErrors
	done := make(chan struct{}, readersAtOnce)
	all := n.begin(t, func() { done <- struct{}{} })
	first, last := <-hook.calls, <-hook.calls
	first <- syscall.ECONNRESET
	shared := <-hook.calls
	shared <- os.ErrDeadlineExceeded
	for range readersAtOnce - 1 { // all but the one of the last call
		select {
		case <-done:
		case <-hook.calls:
			t.Fatal("readers that waited for a call without a reply wait for another one")
		}
	}
	if failed := n.cache.Stats().RedisErrors - before; failed != 2 {
		t.Errorf("%d failures, want 2", failed)
	}
	last <- syscall.ECONNRESET
	all.Wait()
	n.wantIdle(t)
}

// TestBatchPanics checks that a call that panics is a failed call for all readers that wait for it.
func TestBatchPanics(t *testing.T) {
	t.Parallel()
	n, hook := newFailing(t)
	before := n.cache.Stats().RedisErrors
	all := n.begin(t, func() {})
	first, last := <-hook.calls, <-hook.calls
	first <- syscall.ECONNRESET
	(<-hook.calls) <- errHookPanics
	(<-hook.calls) <- syscall.ECONNRESET
	last <- syscall.ECONNRESET
	all.Wait()
	n.wantIdle(t)
	if failed := n.cache.Stats().RedisErrors - before; failed != 4 {
		t.Errorf("%d failures, want 4", failed)
	}
}
