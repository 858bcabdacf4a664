package rpcserver

import (
	"log/slog"
	"sync"
	"time"

	"github.com/twitchtv/twirp"
)

// lines writes one log line a request, and has it counted. There are few different lines, so what they share is formatted
// once: the line is the largest part of a cached read that is ours.
type lines struct {
	log      slog.Handler
	observer Observer
	mu       sync.RWMutex
	kinds    map[Class]*kind
}

// kind is what the requests of a class share.
type kind struct {
	level   slog.Level
	log     slog.Handler // has the line's begin
	observe func(time.Duration)
}

func (l *lines) write(c *call, start time.Time) {
	k := l.kind(c.class)
	now := time.Now()
	took := now.Sub(start)
	if k.observe != nil {
		k.observe(took)
	}
	if o := c.origin; o != nil && o.Answer != nil {
		*o.Answer = Answer{c.class, took}
	}
	if !l.log.Enabled(c, k.level) {
		return
	}
	record := slog.NewRecord(now, k.level, "request", 0)
	record.AddAttrs(slog.Float64("ms", float64(took.Microseconds())/1000), slog.String("request", c.id()), slog.String("caller", c.caller()))
	if c.traceID != "" {
		record.AddAttrs(slog.String("trace", c.traceID))
	}
	if c.cause != "" {
		record.AddAttrs(slog.String("cause", c.cause))
	}
	_ = k.log.Handle(c, record) // as slog's own methods do
}

func (l *lines) kind(of Class) *kind {
	l.mu.RLock()
	k := l.kinds[of]
	l.mu.RUnlock()
	if k != nil {
		return k
	}
	k = &kind{level: levelOf(of.Code), log: l.log.WithAttrs([]slog.Attr{
		slog.String("rpc", of.RPC()), slog.String("protocol", string(of.Protocol)), slog.String("code", string(of.Code)),
		slog.String("cache", of.Cache.String()),
	})}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kinds[of] != nil {
		return l.kinds[of]
	}
	if l.observer != nil {
		k.observe = l.observer.Class(of)
	}
	if l.kinds == nil {
		l.kinds = map[Class]*kind{}
	}
	l.kinds[of] = k
	return k
}

func levelOf(code twirp.ErrorCode) slog.Level {
	switch code {
	case twirp.Internal, twirp.Unknown, twirp.DataLoss:
		return slog.LevelError
	case twirp.Unavailable, twirp.DeadlineExceeded, twirp.Aborted:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}
