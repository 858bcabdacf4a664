package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// The heap may grow by garbageRoom bytes, and by garbageShare percent of what is live, until garbage is collected. By Go's usual rule,
	// 100 percent, a small heap is collected 40 times a second under load, and thousands of connections leave garbage as large as all they use.
	garbageRoom  = 40 << 20
	garbageShare = 30
	// leastLive is the least that counts as live, in bytes: the percentage has a limit.
	leastLive = 4 << 20
)

// tuneCollector sets how long garbage waits, unless GOGC does.
func tuneCollector() {
	if os.Getenv("GOGC") == "" {
		tune(&collection{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}})
	}
}

// collection is what the last collection found. It is garbage itself, so its finalizer runs after each collection.
type collection [2]metrics.Sample

func tune(last *collection) {
	metrics.Read(last[:])
	debug.SetGCPercent(garbagePercent(last[0].Value.Uint64() + last[1].Value.Uint64()))
	runtime.SetFinalizer(last, tune)
}

// garbagePercent returns how much the heap may grow, in percent of what is live.
func garbagePercent(live uint64) int {
	return garbageShare + int(garbageRoom*100/max(live, leastLive))
}
