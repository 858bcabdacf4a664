package app

import (
	"io"
	"sync"
	"time"
)

const (
	logFlushEvery = 100 * time.Millisecond
	logFlushSize  = 32 << 10
)

// LogBuffer collects log lines and writes them ten times a second: a system call for each request's line is a
// twentieth of what a cached read costs. A process that is killed loses its last 100 ms of lines. It has a goroutine, so
// it is not for a function that is frozen between requests.
type LogBuffer struct {
	mu   sync.Mutex
	w    io.Writer
	buf  []byte
	stop chan struct{}
	done chan struct{}
}

// NewLogBuffer returns a LogBuffer in front of w. Close it, so that the last lines are written.
func NewLogBuffer(w io.Writer) *LogBuffer {
	b := &LogBuffer{w: w, stop: make(chan struct{}), done: make(chan struct{})}
	go b.run()
	return b
}

func (b *LogBuffer) run() {
	defer close(b.done)
	tick := time.NewTicker(logFlushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			b.Flush()
		case <-b.stop:
			b.Flush()
			return
		}
	}
}

// Write implements io.Writer.
func (b *LogBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf = append(b.buf, line...)
	if len(b.buf) >= logFlushSize {
		b.flush()
	}
	return len(line), nil
}

// Flush writes what was collected.
func (b *LogBuffer) Flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flush()
}

func (b *LogBuffer) flush() {
	if len(b.buf) > 0 {
		_, _ = b.w.Write(b.buf) // a log that cannot be written has nowhere to say so
		b.buf = b.buf[:0]
	}
}

// Close writes the rest.
func (b *LogBuffer) Close() {
	close(b.stop)
	<-b.done
}
