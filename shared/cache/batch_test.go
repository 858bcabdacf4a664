package cache_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/faultproxy"
	"github.com/osirose-new/database-service/shared/testenv"
)

// numbers is a kind of entities whose value is their id, so that a reply that reaches the wrong reader is seen.
type numbers struct {
	*testenv.Env
	cache *cache.Cache
	kind  *cache.Kind
}

const readersAtOnce = 100 // more than two calls take

func newNumbers(t *testing.T, e *testenv.Env, call time.Duration) *numbers {
	t.Helper()
	c := e.Open(t, func(o *app.Options) { o.Budgets.Redis.Call = call }).Cache
	n := &numbers{e, c, c.Kind("number:", format("v1"), func(_ context.Context, id string) (cache.Entry, error) {
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

// together has all readers look into Redis at once. It calls release when two calls are under way and all others wait, or when the first
// reader of a Redis that hangs has given up.
func (n *numbers) together(t *testing.T, release func()) {
	t.Helper()
	n.RDProxy.Hold()
	var all sync.WaitGroup
	var done atomic.Int64
	for i := range readersAtOnce {
		all.Go(func() {
			n.read(t, i)
			done.Add(1)
		})
	}
	await := func() bool {
		calls, waiting := n.cache.Lookups()
		return calls == 2 && waiting == readersAtOnce-calls || done.Load() > 0
	}
	for end := time.Now().Add(testenv.Patience); !await(); {
		if time.Now().After(end) {
			t.Fatal("the readers do not share two calls")
		}
		time.Sleep(time.Millisecond)
	}
	release()
	all.Wait()
	n.wantIdle(t)
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
		n := newNumbers(t, e, testenv.Patience)
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
		n := newNumbers(t, e, testenv.Patience)
		for _, after := range []int{1, 50, 200, 700, 1500, 3000, 5000} {
			n.together(t, func() {
				e.RDProxy.CutAfter(faultproxy.Received, after)
				e.RDProxy.Release()
			})
		}
	})
}

// TestBatchesOfARedisThatHangs checks that a call that gets no reply is one failure, however many readers share it, and that no reader
// waits for a second one. The connections of the first calls break, and those of the next ones hang.
func TestBatchesOfARedisThatHangs(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	n := newNumbers(t, e, time.Second)
	before := n.cache.Stats().RedisErrors
	n.together(t, e.RDProxy.Reset)
	if failed := n.cache.Stats().RedisErrors - before; failed > readersAtOnce/4 {
		t.Errorf("%d readers of a Redis that hangs counted as %d failures, want one for each call", readersAtOnce, failed)
	}
	e.RDProxy.Reset()
	e.RDProxy.Release()
	n.read(t, 1)
}
