package testenv

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// Serve mounts the servers that mount makes with the edge's options, and returns the URL of the listener. The time limit
// of a request is [RequestBudget].
func Serve(t testing.TB, mount func(twirp.ServerOption) []databasev1.TwirpServer) string {
	t.Helper()
	return ServeLog(t, io.Discard, RequestBudget, mount)
}

// ServeLog is Serve with budget as the time limit of a request. It writes the log to w.
func ServeLog(t testing.TB, w io.Writer, budget time.Duration, mount func(twirp.ServerOption) []databasev1.TwirpServer) string {
	t.Helper()
	edge := rpcserver.New(slog.New(slog.NewJSONHandler(Watched(t, "a log line", w), nil)))
	edge.LogAll()
	edge.FixSlots() // the number would follow the CPU of a busy machine
	edge.SetBudget(budget)
	mux := http.NewServeMux()
	for _, h := range mount(edge.Options()) {
		mux.Handle(h.PathPrefix(), h)
	}
	mux.HandleFunc("/", rpcserver.NotFound)
	s := httptest.NewServer(WatchErrors(t, edge.Handler(mux)))
	t.Cleanup(s.Close)
	return s.URL
}
