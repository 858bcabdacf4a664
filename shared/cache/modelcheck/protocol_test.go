package main

import (
	"os"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/cache"
)

// TestProtocolIsTheModels fails if the code of the protocol has changed since the model was last compared with it.
func TestProtocolIsTheModels(t *testing.T) {
	t.Parallel()
	got, err := protocolHash(".")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(checkedFile)
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.TrimSpace(string(want)) {
		t.Errorf("The code of the cache protocol has changed since the model was compared with it. Update the model's steps, "+
			"run it (go run ./shared/cache/modelcheck), and write %s into shared/cache/modelcheck/%s.", got, checkedFile)
	}
}

func TestModelConstants(t *testing.T) {
	t.Parallel()
	// A tick of the model is MaxStaleness/2.
	const tick = cache.MaxStaleness / staleness
	for what, c := range map[string]struct{ model, code float64 }{
		"lease time": {leaseTime, cache.LeaseTime.Seconds() / tick.Seconds()},
	} {
		if c.model != c.code {
			t.Errorf("the %s is %v ticks in the model, %v in the code", what, c.model, c.code)
		}
	}
	if cache.SyncAge >= cache.MaxStaleness || syncAge >= staleness {
		t.Error("SyncAge is not below MaxStaleness, in the model or in the code")
	}
}

func TestHash(t *testing.T) {
	t.Parallel()
	a := initial(worlds[0])
	seen := map[uint64]bool{hash(&a): true}
	for _, change := range []func(*state){
		func(s *state) { s.now++ },
		func(s *state) { s.faults++ },
		func(s *state) { s.nodes[1].leaseEnd++ },
		func(s *state) { s.readers[1].loaded++ },
		func(s *state) { s.db.gone[maxCommits]++ },
		func(s *state) { s.weak++ },
	} {
		b := a
		change(&b)
		if h := hash(&b); seen[h] {
			t.Errorf("two states have the hash %x", h)
		} else {
			seen[h] = true
		}
	}
}
