package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/osirose-new/database-service/local/metrics"
	"github.com/osirose-new/database-service/shared/boot"
)

// adminTimeout is how long a scrape that is under way has at the end.
const adminTimeout = time.Second

// revision is set by the linker where sources are built that come without their history, as in the container.
var revision string

// watch has m count what the program of c will do.
func watch(m *metrics.Metrics, c *boot.Config) {
	c.Telemetry.Requests, c.Telemetry.Statement, c.Telemetry.Redis = m, m.Statement, m.Redis
}

// admin answers those who watch the program, at an address of its own: what it tells is not for callers.
type admin struct{ server *http.Server }

// startAdmin serves at the address, if there is one, until stop.
func startAdmin(address string, m *metrics.Metrics, h *health, log *slog.Logger) (*admin, error) {
	if address == "" {
		return &admin{}, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("ADMIN_ADDR: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	mux.HandleFunc("GET /healthz", h.serveAlive)
	mux.HandleFunc("GET /readyz", h.serveReady)
	a := &admin{newHTTPServer(mux, log)}
	go func() {
		if err := a.server.Serve(l); err != http.ErrServerClosed {
			log.Error("nobody can see the metrics any more", "cause", err)
		}
	}()
	return a, nil
}

// stop comes after all else, so that one sees how the program ends.
func (a *admin) stop() {
	if a.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	if a.server.Shutdown(ctx) != nil {
		_ = a.server.Close() // who is that slow asks in vain
	}
}
