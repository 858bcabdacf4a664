package postgres

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// closeBudget is how long a connection that broke may take to end. pgx has the server cancel what ran there and reads on
// for its good-bye, in a goroutine of up to 15 s twice; from a server that hangs, nothing comes of it.
const closeBudget = 500 * time.Millisecond

// flow is a connection on which nothing is waited for much longer than that.
type flow struct{ net.Conn }

// SetDeadline implements net.Conn.
func (f flow) SetDeadline(t time.Time) error {
	if latest := time.Now().Add(statementBudget); t.After(latest) {
		t = latest
	}
	return f.Conn.SetDeadline(t)
}

// boundedDial makes flows. One on which pgx asks the server to cancel can be told by its context: it has more time than
// any connection that is to be used.
func boundedDial(dial pgconn.DialFunc, connectTimeout time.Duration) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		end, ok := ctx.Deadline()
		isCancel := ok && time.Until(end) > connectTimeout
		if isCancel {
			var stop context.CancelFunc
			ctx, stop = context.WithTimeout(ctx, closeBudget)
			defer stop()
		}
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if isCancel {
			err = c.SetDeadline(time.Now().Add(closeBudget))
		}
		return flow{c}, err
	}
}
