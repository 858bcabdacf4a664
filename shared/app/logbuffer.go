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

// LogBuffer collects log lines and writes them ten times a second. One system call for each request's line would take a
// twentieth of the CPU time of a cached read. A process that is killed loses the lines of its last 100 ms. LogBuffer
// has a goroutine, so a function, which is frozen between requests, must not use it.
type LogBuffer struct {
	mu   sync.Mutex
	w    io.Writer
	buf  []byte
	stop chan struct{}
	done chan struct{}
}

// NewLogBuffer returns a LogBuffer that writes to w. Close writes the last lines.
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

// Flush writes the collected lines.
func (b *LogBuffer) Flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flush()
}

func (b *LogBuffer) flush() {
	if len(b.buf) > 0 {
		_, _ = b.w.Write(b.buf) // there is no other place to report an error of the log
		b.buf = b.buf[:0]
	}
}

// Close writes the remaining lines.
func (b *LogBuffer) Close() {
	close(b.stop)
	<-b.done
}
