package systemtest_test

import (
	"fmt"
	"testing"

	"github.com/twitchtv/twirp"
)

// poolSize is how many connections the program has at most.
const poolSize = 16

// TestReadOnly is a server that takes no writes, as one does that a failover has left behind: it reads, and the writes
// come back as soon as there is a server that takes them, whatever the connections were that the pool had.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	e := start(t, redisKind())
	p := newPGPlayer(t, e)
	e.setting(t, "default_transaction_read_only", "on")
	wantEach(t, "on a read-only server", p.writes(), unavailable) // SQLSTATE 25006
	wantEach(t, "on a read-only server", p.live(), none)
	wantEach(t, "on a read-only server", p.cached(), none)

	// The connections are not broken: those that the pool has go on refusing writes for as long as they live.
	e.OwnerExec(t, fmt.Sprintf(`ALTER DATABASE %s RESET default_transaction_read_only`, e.Name))
	refused := 0
	for name, call := range p.writes() {
		err := call(t.Context())
		for ; faultOf(err) == unavailable && refused <= poolSize; err = call(t.Context()) {
			refused++
		}
		if code := faultOf(err).code; code != none.code && code != twirp.DeadlineExceeded {
			t.Errorf("%s on a server that takes writes again = %v, after %d that were refused", name, err, refused)
		}
	}
	t.Logf("%d writes were refused by connections of before", refused)
}
