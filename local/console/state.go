package console

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/osirose-new/database-service/local/metrics"
	"github.com/osirose-new/database-service/shared/callers"
)

// State is what the program knows about itself.
type State struct {
	Ready   func() Readiness        // nil: there is no page State
	Metrics func() metrics.Snapshot // nil: other processes serve the requests
	About   func() About
}

// About says what runs, and where its servers are. Addresses have no credentials.
type About struct {
	metrics.Build
	Started         time.Time
	Database, Redis string // addresses; Redis may be off
	Callers         int    // in CALLERS_FILE
}

func hasState(c *Console) bool { return c.State.Ready != nil }

// statePages adds the page State.
func (c *Console) statePages(mux *http.ServeMux) {
	if hasState(c) {
		mux.Handle("GET "+Path+"/state", c.page(callers.Metrics, (*visit).state))
	}
}

// statePage is the content of the page State.
type statePage struct {
	About
	At       time.Time
	Head     readyPart
	Parts    []readyPart
	Measured bool // this process serves the requests
	Charts   []chart
	RPCs     []rpcRow
	Facts    []fact
}

// rpcRow has the figures of an rpc since the start.
type rpcRow struct {
	metrics.RPC
	p50, p99 float64 // seconds
}

// P50 returns the median duration with its unit.
func (r rpcRow) P50() string { return milliseconds(r.p50) }

// P99 returns the duration that 99 % of the requests do not exceed, with its unit.
func (r rpcRow) P99() string { return milliseconds(r.p99) }

// state shows the state of the service. A browser with htmx asks for it every 2 s.
func (v *visit) state() (answer, error) {
	c := v.console
	about, ready, now := c.State.About(), c.State.Ready(), c.samples.now()
	s := &statePage{About: about, At: now, Head: ready.headline(), Parts: ready.parts(about), Facts: about.facts(ready, now)}
	if c.State.Metrics != nil {
		samples := c.samples.look()
		s.Measured, s.Charts, s.RPCs = true, charts(samples), slowest(samples[len(samples)-1].RPCs)
	}
	return answer{template: "state", frame: frame{Title: "State", Section: "state", Content: s}}, nil
}

// slowest sorts the rpcs by their p99. Those without a request are left out.
func slowest(all []metrics.RPC) []rpcRow {
	var rows []rpcRow
	for _, r := range all {
		if p99 := quantile(.99, r.Took); !math.IsNaN(p99) {
			rows = append(rows, rpcRow{r, quantile(.50, r.Took), p99})
		}
	}
	slices.SortFunc(rows, func(a, b rpcRow) int {
		return cmp.Or(cmp.Compare(b.p99, a.p99), cmp.Compare(b.p50, a.p50), cmp.Compare(a.Name, b.Name))
	})
	return rows
}

func (a About) facts(r Readiness, now time.Time) []fact {
	callers, schema := strconv.Itoa(a.Callers)+" in CALLERS_FILE", "not known"
	if r.Callers == "any" {
		callers = "any that reach the port"
	}
	if r.SchemaVersion > 0 {
		schema = "version " + strconv.Itoa(r.SchemaVersion)
	}
	return []fact{
		{"Version", a.Version},
		{"Revision", a.Revision},
		{"Go", a.Go},
		{"Running for", duration(now.Sub(a.Started))},
		{"PostgreSQL", a.Database},
		{"Schema", schema},
		{"Redis", a.Redis},
		{"Callers", callers},
	}
}
