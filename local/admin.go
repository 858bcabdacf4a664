package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/osirose-new/database-service/local/metrics"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/postgres"
)

// adminTimeout is how long a scrape that is under way has at the end.
const adminTimeout = time.Second

// revision is set by the linker where sources are built that come without their history, as in the container.
var revision string

// admin answers those who watch the program, at an address of its own: what it tells is not for callers.
type admin struct{ server *http.Server }

// startAdmin serves until stop, where the configuration has an address for it.
func startAdmin(p *app.Program, m *metrics.Metrics, h *health) (*admin, error) {
	if p.Config.Admin == "" {
		return &admin{}, nil
	}
	l, err := net.Listen("tcp", p.Config.Admin)
	if err != nil {
		return nil, fmt.Errorf("ADMIN_ADDR: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	mux.HandleFunc("GET /healthz", h.serveAlive)
	mux.HandleFunc("GET /readyz", h.serveReady)
	a := &admin{newServer(p, mux)}
	go func() {
		if err := a.server.Serve(l); err != http.ErrServerClosed {
			p.Log.Error("nobody can see the metrics any more", "cause", postgres.Describe(err))
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
