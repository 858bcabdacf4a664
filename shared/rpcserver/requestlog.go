package rpcserver

import (
	"log/slog"
	"sync"
	"time"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/request"
)

// ok is the code of a request without an error.
const ok = "ok"

// requestLog writes one log line for each request, and passes the request to the observer. Of this repository's code,
// the log line is the most expensive part of a cached read. So the part of a line that all requests of a class share is
// formatted once; there are few classes. Of failed requests it writes a sample; see sample.
type requestLog struct {
	log      slog.Handler
	observer Observer
	sample   sample
	mu       sync.RWMutex
	byClass  map[request.Class]*classLog
}

// classLog holds the parts of a log line that all requests of a class share.
type classLog struct {
	level   slog.Level
	log     slog.Handler // has the attributes of the class
	observe func(time.Duration)
}

func (l *requestLog) write(c *call, now time.Time) {
	r := c.record
	class := l.class(r.Class)
	if class.observe != nil {
		class.observe(r.Took)
	}
	if !l.log.Enabled(c, class.level) {
		return
	}
	l.logLeftOut(now)
	if r.Class.Code != ok && !l.sample.take(string(r.Class.Code), now) {
		return
	}
	line := slog.NewRecord(now, class.level, "request", 0)
	line.AddAttrs(slog.Float64("ms", float64(r.Took.Microseconds())/1000), slog.String("request", c.id()), slog.String("caller", c.callerName()))
	if c.traceID != "" {
		line.AddAttrs(slog.String("trace", c.traceID))
	}
	if c.reason != "" {
		line.AddAttrs(slog.String("reason", c.reason))
	}
	if c.cause != "" {
		line.AddAttrs(slog.String("cause", c.cause))
	}
	_ = class.log.Handle(c, line) // slog's own methods ignore this error, too
}

func (l *requestLog) class(of request.Class) *classLog {
	l.mu.RLock()
	known := l.byClass[of]
	l.mu.RUnlock()
	if known != nil {
		return known
	}
	made := &classLog{level: levelOf(of.Code), log: l.log.WithAttrs([]slog.Attr{
		slog.String("rpc", of.RPC()), slog.String("protocol", string(of.Protocol)), slog.String("code", string(of.Code)),
		slog.String("cache", of.Cache),
	})}
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.byClass[of]; known != nil {
		return known
	}
	if l.observer != nil {
		made.observe = l.observer.Class(of)
	}
	if l.byClass == nil {
		l.byClass = map[request.Class]*classLog{}
	}
	l.byClass[of] = made
	return made
}

func levelOf(code twirp.ErrorCode) slog.Level {
	switch code {
	case twirp.Internal, twirp.Unknown, twirp.DataLoss:
		return slog.LevelError
	case twirp.Unavailable, twirp.DeadlineExceeded:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}
