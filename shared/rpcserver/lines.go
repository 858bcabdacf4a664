package rpcserver

import (
	"log/slog"
	"sync"
	"time"

	"github.com/twitchtv/twirp"
)

// line is what the log lines of many requests share.
type line struct {
	service, method string // empty as far as the request was not routed
	code            twirp.ErrorCode
}

// lines writes one log line a request. There are few different ones, so what they share is formatted once. The time is
// in whole microseconds, since slog sends a fraction through encoding/json: together that halves the cost of a line,
// which is the largest part of a cached read that is ours.
type lines struct {
	log     slog.Handler
	mu      sync.RWMutex
	started map[line]slog.Handler
}

func (l *lines) write(c *call, start time.Time) {
	level := slog.LevelInfo
	switch c.line.code {
	case twirp.NoError:
		c.line.code = "ok"
	case twirp.Internal, twirp.Unknown, twirp.DataLoss:
		level = slog.LevelError
	case twirp.Unavailable, twirp.DeadlineExceeded, twirp.Aborted:
		level = slog.LevelWarn
	}
	if !l.log.Enabled(c, level) {
		return
	}
	now := time.Now()
	record := slog.NewRecord(now, level, "request", 0)
	record.AddAttrs(slog.Int64("us", now.Sub(start).Microseconds()), slog.String("request", c.id()))
	if c.cause != "" {
		record.AddAttrs(slog.String("cause", c.cause))
	}
	_ = l.start(c.line).Handle(c, record) // as slog's own methods do
}

// start returns the handler that has the line's begin.
func (l *lines) start(of line) slog.Handler {
	l.mu.RLock()
	h := l.started[of]
	l.mu.RUnlock()
	if h != nil {
		return h
	}
	rpc := ""
	if of.service != "" {
		rpc = of.service + "/" + of.method
	}
	h = l.log.WithAttrs([]slog.Attr{slog.String("rpc", rpc), slog.String("code", string(of.code))})
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.started == nil {
		l.started = map[line]slog.Handler{}
	}
	l.started[of] = h
	return h
}
