package cache_test

import (
	"context"
	"testing"

	"github.com/osirose-new/database-service/shared/testenv"
)

// A reader's lease is deleted by a write, and another process takes the next one. The first reader comes back in the
// meantime: it must not fill under that lease.
func TestFillUnderTheNextLease(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		other := newEntity(t, e) // the same key, as another process reads it
		other.kind = other.open(e.Open(t), "v1")
		read(t, x.open(e.Program, "other")) // a watermark
		inside, release, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
		other.during(func() {
			close(inside)
			<-release
		})
		x.during(func() {
			x.value.Add(1)
			other.value.Add(1)
			e.Program.Cache.Invalidate(t.Context(), x.key)
			go func() {
				defer close(done)
				if _, err := other.kind.Get(context.Background(), "1"); err != nil {
					t.Errorf("Get: %v", err)
				}
			}()
			<-inside
		})
		if got := read(t, x.kind); got != 0 {
			t.Errorf("the reader that began before the write read %d, want 0", got)
		}
		close(release)
		<-done
		if got := read(t, x.kind); got != 1 {
			t.Errorf("after the write: read %d, want 1", got)
		}
		if s := e.Program.Cache.Stats(); s.RefusedFills != 1 {
			t.Errorf("refused fills: %d, want the first reader's (%+v)", s.RefusedFills, s)
		}
	})
}
