package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/osirose-new/database-service/local/metrics"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/errtext"
)

// adminTimeout is how long the shutdown waits for a running scrape.
const adminTimeout = time.Second

// revision is set by the linker if the sources are built without their Git history, as in the container.
var revision string

// admin serves metrics and health at a separate address, because callers must not see them.
type admin struct{ server *http.Server }

// startAdmin serves until stop if the configuration has an admin address.
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
	a := &admin{newServer(p, refusePages(mux))}
	go func() {
		if err := a.server.Serve(l); err != http.ErrServerClosed {
			p.Log.Error("the admin address no longer answers", "cause", errtext.ForLog(err))
		}
	}()
	return a, nil
}

// stop is called last, so that the metrics of the shutdown can be scraped.
func (a *admin) stop() {
	if a.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	if a.server.Shutdown(ctx) != nil {
		_ = a.server.Close() // a slower scrape gets no answer
	}
}
