package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/osirose-new/database-service/local/connmux"
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
