package systemtest_test

import (
	"fmt"
	"testing"

	"github.com/twitchtv/twirp"
)

// poolSize is the maximum number of connections of the program.
const poolSize = 16

// TestReadOnly makes the server read-only, as after a failover. Reads work. Writes work again as soon as the server accepts them,
// although the pool still has read-only connections.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	e := start(t, redisKind())
	p := newPGPlayer(t, e)
	e.setting(t, "default_transaction_read_only", "on")
	wantEach(t, "on a read-only server", p.writes(), unavailable) // SQLSTATE 25006
	wantEach(t, "on a read-only server", p.live(), none)
	wantEach(t, "on a read-only server", p.cached(), none)

	// Open connections of the pool stay read-only.
	e.OwnerExec(t, fmt.Sprintf(`ALTER DATABASE %s RESET default_transaction_read_only`, e.Name))
	refused := 0
	for name, call := range p.writes() {
		err := call(t.Context())
		for ; faultOf(err) == unavailable && refused <= poolSize; err = call(t.Context()) {
			refused++
		}
		if code := faultOf(err).code; code != none.code && code != twirp.DeadlineExceeded {
			t.Errorf("%s on a server that accepts writes again = %v, after %d refused writes", name, err, refused)
		}
	}
	t.Logf("%d writes were refused by old connections", refused)
}
