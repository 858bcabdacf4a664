package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/postgres/migrations"
)

const (
	checkTimeout = time.Second
	// checkAge is how long a result is reused, so that probes cannot overload the database.
	checkAge = time.Second
)

// readiness is the answer of /readyz. Any caller may read it, so it contains no address, no statement of the service and no value.
type readiness struct {
	Ready    bool   `json:"ready"`
	Database string `json:"database"` // "ok", "busy", or "down", perhaps with why
	Schema   string `json:"schema"`   // "ok", or what is wrong with it
	Redis    string `json:"redis"`    // "ok", or why reads go to the database: "down", "off", or what Redis lacks
	Callers  string `json:"callers"`  // "any" that reach the port have all rights, or those in CALLERS_FILE are "configured"
	// Warning says what the operator should do, although calls work.
	Warning string `json:"warning,omitempty"`

	version     int // of the schema; 0: not known
	userTrigger bool
	cause       error // for the log
}

// health answers /healthz and /readyz.
type health struct {
	program  *app.Program
	draining atomic.Bool
	leaving  atomic.Bool // connections close after their next answer

	mu      sync.Mutex // locked during a check, so that one runs at a time
	schema  migrations.Checker
	last    readiness
	checked time.Time
}

func newHealth(p *app.Program) *health {
	s := p.Config.Sessions
	return &health{program: p, schema: migrations.Checker{Schema: p.DB.Schema(), SessionWindow: s.Window, SessionCap: s.Cap}}
}

// closeWhileLeaving closes each connection of net/http after its answer once leaving is set.
func (h *health) closeWhileLeaving(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.leaving.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

func (h *health) serveAlive(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprintln(w, "ok")
}

func (h *health) serveReady(w http.ResponseWriter, _ *http.Request) {
	r := h.report()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !r.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(r) // fails only if the caller has gone
}

// report returns a result that is at most checkAge old. Draining takes effect at once.
func (h *health) report() readiness {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.checked) > checkAge {
		before := h.last
		h.last = check(h.program, &h.schema)
		h.last.logDatabase(h.program.Log, before)
		h.checked = time.Now()
	}
	r := h.last
	r.Ready = r.Ready && !h.draining.Load()
	return r
}

// check asks both servers at the same time. It has its own time limit, so a probe that hangs up does not fail the check for
// others.
func check(p *app.Program, schema *migrations.Checker) readiness {
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	redis := make(chan string, 1)
	go func() { redis <- checkRedis(ctx, p) }()
	r := checkDatabase(ctx, p.DB.Urgent(), schema)
	r.Redis = <-redis
	if r.Callers = "configured"; p.Callers.Any() {
		r.Callers = "any"
	}
	return r
}

func checkRedis(ctx context.Context, p *app.Program) string {
	err := p.Cache.Check(ctx)
	unusable, answered := errors.AsType[*cache.Unusable](err)
	switch {
	case p.Redis == nil:
		return config.RedisOff
	case answered:
		return "the cache is off: " + unusable.Error()
	case err != nil:
		return "down"
	}
	return "ok"
}
