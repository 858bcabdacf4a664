package systemtest_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/twitchtv/twirp"
)

// scenario is a sequence of calls and the answers that a caller must get. It creates its own users.
type scenario struct {
	rpc, name string
	run       func(*conform)
}

// TestConformance checks that every rpc gives every answer that the contract names and no other, on each kind of store, and
// the same answer by every protocol.
func TestConformance(t *testing.T) {
	t.Parallel()
	promised, matrix := conformancePromises(t), newMatrix()
	t.Run("on", func(t *testing.T) {
		for _, store := range conformanceStores() {
			t.Run(store.name, func(t *testing.T) {
				t.Parallel()
				seen := &results{protocol: store.protocol, seen: map[result]bool{}}
				if store.matrix {
					seen.matrix = matrix
				}
				conformanceOn(t, store, seen, promised)
			})
		}
	})
	t.Run("matrix", func(t *testing.T) {
		matrix.check(t, promised)
		t.Log(matrix.table(promised))
	})
}

// conformanceOn runs all scenarios on one store.
func conformanceOn(t *testing.T, store conformanceStore, seen *results, promised map[result]bool) {
	c := newConform(t, store, seen)
	for _, some := range [][]scenario{
		userScenarios(), usernameScenarios(), emailScenarios(), sessionScenarios(), refreshScenarios(),
		characterScenarios(), listScenarios(), creationScenarios(), takenScenarios(), deletingScenarios(), savingScenarios(),
		findingScenarios(), staffScenarios(), noteScenarios(),
	} {
		for _, s := range some {
			name := s.rpc + "/" + s.name
			t.Run(name, func(t *testing.T) { c.run(t, name, s.run) })
		}
	}
	t.Run("every rpc", func(t *testing.T) {
		f := newFaulty(t, store, seen)
		for _, s := range faultScenarios() {
			t.Run(s.name, func(t *testing.T) { f.under(t, s.play) })
		}
	})
	t.Run("results", func(t *testing.T) {
		seen.compare(t, promised)
		if hits := c.Program.Cache.Stats().Hits; store.hits == "none" && hits > 0 || store.hits == "some" && hits == 0 {
			t.Errorf("the cache answered %d times", hits)
		}
	})
}

// TestConformanceCanFail checks that a missing result and an unpromised result each fail the test.
func TestConformanceCanFail(t *testing.T) {
	t.Parallel()
	promised := conformancePromises(t)
	for _, want := range []result{
		{"GetUserByUsername", fault{twirp.FailedPrecondition, "AMBIGUOUS_USERNAME"}, ""},
		{"GetUserBySession", argumentFault, "session_id"},
		{"GetUser", fault{twirp.BadRoute, "ROUTE"}, ""},
		{"CreateCharacter", fault{twirp.InvalidArgument, "REQUEST_ID_REUSED"}, ""},
		{"CreateCharacter", fault{twirp.FailedPrecondition, "CREATION_BLOCKED"}, ""},
		{"DeleteCharacter", fault{twirp.NotFound, "CHARACTER_NOT_FOUND"}, ""},
		{"SaveCharacter", argumentFault, "character_id"},
		{"SaveCharacter", argumentFault, "add_play_seconds"},
		{"SaveCharacter", fault{}, "replayed=true"},
		{"RefreshSession", fault{twirp.NotFound, "SESSION_EXPIRED"}, ""},
		{"RefreshSession", fault{twirp.Aborted, "RETRY"}, ""},
	} {
		if !promised[want] {
			t.Errorf("the contract as read lacks %v", want)
		}
	}
	all := &results{seen: map[result]bool{}}
	for o := range promised {
		all.seen[o] = true
	}
	all.compare(t, promised)
	for o := range promised {
		delete(all.seen, o)
		if o.detail == "" && o.fault != none && !failsAt(func(t testing.TB) { all.compare(t, promised) }) {
			t.Errorf("a suite that did not see %v passed", o)
		}
		all.seen[o] = true
	}
	all.seen[result{rpc: "GetUser", fault: fault{twirp.NotFound, "NEVER_PROMISED"}}] = true
	if !failsAt(func(t testing.TB) { all.compare(t, promised) }) {
		t.Error("a suite that saw more than was promised passed")
	}
}

// failsAt reports whether f fails a test.
func failsAt(f func(testing.TB)) bool {
	t := &failing{}
	f(t)
	return t.failed
}

type failing struct {
	testing.TB
	failed bool
}

func (*failing) Helper() {}

func (f *failing) Errorf(string, ...any) { f.failed = true }

var conformUUIDs atomic.Int64

// conformUUID returns a UUID that no other test uses.
func conformUUID() string {
	n := conformUUIDs.Add(1)
	return fmt.Sprintf("%08x-0c0f-4000-8000-%012x", n, n)
}
