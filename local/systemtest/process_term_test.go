package systemtest_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

// A process gets SIGTERM at full load. It answers every request on its accepted connections and exits with 0.
func TestProcessTerminated(t *testing.T) {
	t.Parallel()
	e := start(t, "miniredis")
	players := newPlayers(t, e, 8)
	for range 3 {
		p := startProcess(t, e)
		r := terminate(t, p, players, 300)
		<-p.exited
		if code := p.cmd.ProcessState.ExitCode(); code != 0 || r.failed > 0 || r.served < 300 {
			t.Errorf("exit code %d; %d accepted requests were served and %d failed (%v); want 0, at least 300 and 0",
				code, r.served, r.failed, r.first)
		}
	}
}

// termination records what clients saw of a process that got SIGTERM.
type termination struct {
	served, failed int64
	first          error // the first failure
}

// terminate loads p from all players at once, each on its own connection, and sends p SIGTERM after n requests and after a
// request of each player. A player continues until an answer announces the connection's end. It opens no other connection,
// because requests on connections that the closing listener has not accepted do not count.
func terminate(t testing.TB, p *process, players []*player, n int64) termination {
	t.Helper()
	var served, failed, accepted atomic.Int64
	var first atomic.Pointer[error]
	var all sync.WaitGroup
	var term sync.Once
	for _, who := range players {
		all.Go(func() {
			c := testenv.NewOneConnection()
			defer c.Close()
			users := databasev1.NewUserServiceProtobufClient(p.url, &http.Client{Transport: c})
			for isAccepted := false; !c.Closed(); {
				a, err := users.GetUser(context.WithoutCancel(t.Context()), &databasev1.GetUserRequest{UserId: who.id})
				if err == nil && a.User.Id != who.id {
					err = errors.New("another user")
				}
				if c.Closed() && err != nil {
					return
				}
				if err != nil {
					failed.Add(1)
					first.CompareAndSwap(nil, &err)
					term.Do(func() { p.signal(t, syscall.SIGTERM) })
					return
				}
				if !isAccepted {
					isAccepted = true
					accepted.Add(1)
				}
				if served.Add(1) >= n && accepted.Load() == int64(len(players)) {
					term.Do(func() { p.signal(t, syscall.SIGTERM) })
				}
			}
		})
	}
	all.Wait()
	r := termination{served: served.Load(), failed: failed.Load()}
	if e := first.Load(); e != nil {
		r.first = *e
	}
	return r
}
