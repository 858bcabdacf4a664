package main

import (
	"net/http"
	"strings"

	"github.com/osirose-new/database-service/local/console"
	"github.com/osirose-new/database-service/local/metrics"
)

const referencePath = "/console/api"

// frontPage tells a person who opens the port in a browser what answers there. admin is the URL of the admin address, if there is one.
func frontPage(admin string) http.Handler {
	b := metrics.ReadBuild(revision)
	return console.Front{Version: b.Version, Revision: b.Revision, Admin: admin}.Handler()
}

// besideGateway serves health checks and pages beside the emulator's gateways. A mux would redirect paths that gateways pass on.
// The front page is for browsers only: a gateway answers GET / too.
func besideGateway(h *health, gateway http.Handler) http.Handler {
	b := metrics.ReadBuild(revision)
	front := console.Front{Version: b.Version, Revision: b.Revision, Emulator: true}.Handler()
	reference := http.StripPrefix(referencePath, console.Reference())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodGet:
			gateway.ServeHTTP(w, r)
		case r.URL.Path == "/healthz":
			h.serveAlive(w, r)
		case r.URL.Path == "/readyz":
			h.serveReady(w, r)
		case r.URL.Path == "/" && strings.Contains(r.Header.Get("Accept"), "text/html"):
			front.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, referencePath+"/"):
			reference.ServeHTTP(w, r)
		default:
			gateway.ServeHTTP(w, r)
		}
	})
}
