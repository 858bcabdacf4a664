package main

import (
	"net/http"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/osirose-new/database-service/local/calls"
	"github.com/osirose-new/database-service/local/console"
	"github.com/osirose-new/database-service/local/emulator"
	"github.com/osirose-new/database-service/local/metrics"
	"github.com/osirose-new/database-service/shared/app"
)

// frontPage tells a person who opens the port in a browser what answers there. admin is the URL of the admin address, if there is one.
func frontPage(admin string) http.Handler {
	b := metrics.ReadBuild(revision)
	return console.Front{Version: b.Version, Revision: b.Revision, Admin: admin}.Handler()
}

// consoleOf returns the options of p's console. open means that it has no login. Then it keeps the content of calls, too.
func consoleOf(p *app.Program, open bool) console.Options {
	return console.Options{
		Open: open, Edge: p.Edge(), URL: baseURL(p.Config), UserURL: p.Config.UserURL, Log: p.Log,
		Calls: calls.NewRecorder(p.Edge(), calls.Options{Payloads: open, Always: open}),
	}
}

// toItself returns a connection of the program to itself, for a developer's gRPC calls. It connects at the first call. It is nil if the
// port has TLS.
func toItself(p *app.Program) (*grpc.ClientConn, error) {
	if p.Config.TLS.CertFile != "" {
		return nil, nil //nolint:nilnil // the console offers no gRPC then
	}
	return grpc.NewClient("passthrough:///"+strings.TrimPrefix(baseURL(p.Config), "http://"),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUserAgent(calls.Agent))
}

// adminConsole returns the console of the admin address. demo means that the data is a developer's: it needs no login.
func adminConsole(p *app.Program, m *metrics.Metrics, h *health, rpc http.Handler, demo bool) (_ http.Handler, err error) {
	o := consoleOf(p, demo && p.Callers.Any())
	o.RPC, o.State = rpc, programState(p, h, m)
	if o.Open {
		o.GRPC, err = toItself(p)
	}
	return console.New(o), err
}

// besideGateway serves health checks, the front page and the console beside the emulator's gateways. A mux would redirect paths that gateways
// pass on. The front page is for browsers only: a gateway answers GET / too.
func besideGateway(p *app.Program, h *health, gateway *emulator.Emulator) http.Handler {
	o := consoleOf(p, true)
	o.RPC, o.Emulator, o.State = gateway, gateway, programState(p, h, nil)
	pages := console.New(o)
	b := metrics.ReadBuild(revision)
	front := console.Front{Version: b.Version, Revision: b.Revision, Emulator: true}.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		get := r.Method == http.MethodGet
		switch {
		case r.URL.Path == console.Path || strings.HasPrefix(r.URL.Path, console.Path+"/"):
			pages.ServeHTTP(w, r)
		case get && r.URL.Path == "/healthz":
			h.serveAlive(w, r)
		case get && r.URL.Path == "/readyz":
			h.serveReady(w, r)
		case get && r.URL.Path == "/" && strings.Contains(r.Header.Get("Accept"), "text/html"):
			front.ServeHTTP(w, r)
		default:
			gateway.ServeHTTP(w, r)
		}
	})
}
