package memory_test

import (
	"runtime"
	"strconv"
	"testing"

	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/cache/memory"
)

// The store keeps to its bound: what it reports, and what it takes of the heap. It is not parallel, because it measures the
// heap of the test's process.
func TestBound(t *testing.T) { //nolint:paralleltest // see above
	const bound = 8 << 20
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := memory.New(bound)
	for i := range 200_000 {
		s.Set(cache.Name{Prefix: "user:", ID: strconv.Itoa(1_000_000 + i)}, cache.Kept{})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := s.Bytes(); n > bound || n < bound/2 {
		t.Errorf("the store reports %d bytes of %d", n, bound)
	}
	if heap := int64(after.HeapAlloc) - int64(before.HeapAlloc); heap > bound*5/4 {
		t.Errorf("the store takes %d bytes of the heap, want about %d at most", heap, bound)
	}
	runtime.KeepAlive(s)
}

func TestStore(t *testing.T) {
	t.Parallel()
	s := memory.New(1 << 20)
	a, b, c := cache.Name{Prefix: "x:", ID: "1"}, cache.Name{Prefix: "x:", ID: "2"}, cache.Name{Prefix: "y:", ID: "1"}
	has := func(name cache.Name) bool { _, ok := s.Get(name); return ok }
	s.Set(a, cache.Kept{})
	s.Set(b, cache.Kept{})
	s.Set(c, cache.Kept{})
	s.Delete(a)
	if has(a) || !has(b) || !has(c) {
		t.Error("Delete deletes other than its name")
	}
	s.Clear()
	if has(b) || has(c) || s.Bytes() != 0 {
		t.Error("Clear leaves values")
	}
}
