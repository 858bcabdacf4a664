package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/local/connlimit"
	"github.com/osirose-new/database-service/local/connmux"
	"github.com/osirose-new/database-service/local/console"
	"github.com/osirose-new/database-service/local/metrics"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/errtext"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// adminTimeout is how long the shutdown waits for a running scrape.
const adminTimeout = time.Second

// revision is set by the linker if the sources are built without their Git history, as in the container.
var revision string

// admin serves metrics, health and the console at a separate address, because callers must not see the metrics.
type admin struct {
	server *http.Server
	url    string // for a client on this machine; empty: there is no admin address
}

// startAdmin serves until stop if the configuration has an admin address. The console calls rpc. demo means that the data is a developer's.
func startAdmin(p *app.Program, m *metrics.Metrics, h *health, rpc http.Handler, demo bool) (*admin, error) {
	if p.Config.Admin == "" {
		return &admin{}, nil
	}
	pages, err := adminConsole(p, m, h, rpc, demo)
	if err != nil {
		return nil, err
	}
	l, url, err := listenAdmin(p)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle(console.Path+"/", pages)
	mux.Handle("GET /{$}", http.RedirectHandler(console.Path+"/", http.StatusSeeOther))
	mux.Handle("GET /metrics", guard(p.Edge(), callers.Metrics, m.Handler()))
	mux.HandleFunc("GET /healthz", h.serveAlive)
	mux.HandleFunc("GET /readyz", h.serveReady)
	a := &admin{newServer(p, refusePages(mux)), url}
	go func() {
		if err := a.server.Serve(l); err != http.ErrServerClosed {
			p.Log.Error("the admin address no longer answers", "cause", errtext.ForLog(err))
		}
	}()
	return a, nil
}

// listenAdmin listens at the admin address, and returns its URL. If callers need an identity, it speaks TLS to other machines, as the
// port does.
func listenAdmin(p *app.Program) (net.Listener, string, error) {
	l, err := net.Listen("tcp", p.Config.Admin)
	if err != nil {
		return nil, "", fmt.Errorf("ADMIN_ADDR: %w", err)
	}
	few := connlimit.Few(l)
	files := p.Config.TLS
	if tcp, ok := l.Addr().(*net.TCPAddr); p.Callers.Any() || files.CertFile == "" || ok && tcp.IP.IsLoopback() {
		return few, baseURL(config.Config{Listen: p.Config.Admin}), nil
	}
	secure, err := connmux.TLS(files.CertFile, files.KeyFile)
	if err != nil {
		_ = l.Close() // nothing has connected
		return nil, "", fmt.Errorf("TLS_CERT_FILE and TLS_KEY_FILE: %w", err)
	}
	return tls.NewListener(few, secure), baseURL(config.Config{Listen: p.Config.Admin, TLS: files}), nil
}

// guard lets callers with the right pass, and those on this machine.
func guard(edge *rpcserver.Server, need callers.Rights, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := edge.Allow(r.Context(), rpcserver.CredentialsOf(r), need); err != nil {
			_ = twirp.WriteError(w, err) // fails if the caller has gone
			return
		}
		next.ServeHTTP(w, r)
	})
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
