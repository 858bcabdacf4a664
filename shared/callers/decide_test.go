package callers_test

import (
	"context"
	"testing"

	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestAllocations checks that identifying a caller by certificate or key, and deciding, allocates nothing.
func TestAllocations(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts all allocations of the process
	ca, k := testenv.NewAuthority(t, start), callers.NewKey()
	w := newWorld(t, callers.Options{}, entryOf(t, "game", k)+`  map: {roles: [world], certificates: ["spiffe://game/world"]}
`, ca.PEM())
	for what, c := range credentialsOf(t, ca, k) {
		if n := testing.AllocsPerRun(100, func() { decide(t, w, c) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", what, n)
		}
	}
}

func credentialsOf(t testing.TB, ca testenv.Authority, k callers.Key) map[string]callers.Credentials {
	return map[string]callers.Credentials{
		"key":         bearer(callers.Connected(true, false), k.Text),
		"certificate": {Connection: callers.Connected(true, false, ca.Issue(t, testenv.URI(t, "spiffe://game/world")).Cert)},
	}
}

func decide(t testing.TB, w *world, c callers.Credentials) {
	p, refused := w.gate.Identify(context.Background(), c, w.now)
	need, known := callers.NeededFor("UserService/GetUser")
	if refused != nil || !known || !p.Rights.Has(need) {
		t.Fatalf("%v, %v", p, refused)
	}
}

// BenchmarkDecide is the time of a decision.
func BenchmarkDecide(b *testing.B) {
	ca, k := testenv.NewAuthority(b, start), callers.NewKey()
	w := newWorld(b, callers.Options{}, entryOf(b, "game", k)+`  map: {roles: [world], certificates: ["spiffe://game/world"]}
`, ca.PEM())
	for what, c := range credentialsOf(b, ca, k) {
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				decide(b, w, c)
			}
		})
	}
}
