package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/osirose-new/database-service/local/connmux"
	"github.com/osirose-new/database-service/local/metrics"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/callers"
)

const (
	// A caller that sends or reads slowly keeps a connection this long. The time limit of a request itself is 1 s.
	readTimeout  = 5 * time.Second
	writeTimeout = 10 * time.Second
	// idleTimeout is longer than clients keep unused connections (Go: 90 s), so that clients close them. If the server
	// closed one, a request could already be under way on it.
	idleTimeout    = 3 * time.Minute
	maxHeaderBytes = 64 << 10
)

func newServer(p *app.Program, handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(p.Log.Handler(), slog.LevelDebug),
		ConnContext:       connContext,
	}
}

// connContext tells the edge what it must know of a connection.
func connContext(ctx context.Context, c net.Conn) context.Context {
	return callers.WithConnection(ctx, callers.NewConnection(c, func() *tls.ConnectionState { return connmux.State(c) }))
}

// closeChunked closes an HTTP/1 connection after the answer to a request that came in chunks. Such a request may have had a Content-Length,
// too; net/http ignores and hides it. A proxy in front may have gone by it, and then the next bytes are not a request
// (RFC 9112, section 6.1).
func closeChunked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// closed counts the connections that the port has closed, by reason.
func (s *server) closed() map[string]func() uint64 {
	return map[string]func() uint64{
		"full":             func() uint64 { return s.connections.Closed().Full },
		"address":          func() uint64 { return s.connections.Closed().Address },
		"answer_not_taken": func() uint64 { return s.grpc.Stalled() + s.answers.cut.Load() },
		"flood":            s.port.Floods,
	}
}

// watch exports the connections as metrics. Until done it logs at most one line a second about those that it closes.
func (s *server) watch(p *app.Program, m *metrics.Metrics, done <-chan struct{}) {
	m.Connections(s.connections.Open, s.closed())
	tick := time.NewTicker(time.Second)
	go func() {
		defer tick.Stop()
		logClosed(p.Log, s.closed(), tick.C, done)
	}()
}

// logClosed logs a line at each tick after connections were closed.
func logClosed(log *slog.Logger, closed map[string]func() uint64, tick <-chan time.Time, done <-chan struct{}) {
	before := map[string]uint64{}
	for {
		select {
		case <-tick:
		case <-done:
			return
		}
		var more []any
		for _, reason := range slices.Sorted(maps.Keys(closed)) {
			n := closed[reason]()
			if n > before[reason] {
				more = append(more, reason, n-before[reason])
			}
			before[reason] = n
		}
		if more != nil {
			log.Warn("connections were closed at a limit: see Connections in the README of local", more...)
		}
	}
}
