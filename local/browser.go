package main

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/rpcserver"
)

var (
	errForeignPage = rpcserver.Error(twirp.PermissionDenied, "FOREIGN_PAGE", "the request comes from a web page of another origin")
	errForeignHost = rpcserver.Error(twirp.PermissionDenied, "FOREIGN_HOST", "on this machine the Host must be an IP address or localhost")
)

// refusePages refuses what a web page makes a developer's browser send to an address that has no login. A page can send requests
// of another origin. It can also name this machine by a host name of its own, whose address it changes (DNS rebinding): then
// the browser takes the answers for the page's own.
func refusePages(next http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(refuse(errForeignPage))
	guarded, foreign := origins.Handler(next), refuse(errForeignHost)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if onLoopback(r) && !isLocalName(r.Host) {
			foreign.ServeHTTP(w, r)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

func refuse(err twirp.Error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = twirp.WriteError(w, err) // fails if the caller has gone
	})
}

func onLoopback(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && local.IP.IsLoopback()
}

// isLocalName reports whether hostport, the value of a Host header, names no host of the DNS. Names under localhost are never in
// the DNS: RFC 6761, section 6.3. HTTP/1.0 has no Host.
func isLocalName(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return true
	}
	name := "." + strings.ToLower(strings.TrimSuffix(host, "."))
	return strings.HasSuffix(name, ".localhost")
}
