package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

func TestGarbagePercent(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: 1030, 1 << 20: 1030, 40 << 20: 130, 400 << 20: 40, 1 << 40: 30} {
		if got := garbagePercent(live); got != want {
			t.Errorf("with %d live bytes the heap may grow by %d %%, want %d", live, got, want)
		}
	}
}

func percentNow() uint64 {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// TestCollectorIsTuned checks that each collection sets the percentage for the next one.
func TestCollectorIsTuned(t *testing.T) {
	debug.SetGCPercent(100)
	t.Setenv("GOGC", "100")
	tuneCollector()
	if got := percentNow(); got != 100 {
		t.Errorf("GOGC is set, and the percentage is %d, want 100", got)
	}
	t.Setenv("GOGC", "")
	tuneCollector()
	for range 3 {
		eventually(t, "another percentage", func() bool { return percentNow() != 100 })
		debug.SetGCPercent(100)
		runtime.GC()
	}
}
