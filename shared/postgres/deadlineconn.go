package postgres

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// flow is a connection on which nothing takes longer than a statement may.
type flow struct {
	net.Conn
	statement time.Duration // Budgets.Statement
}

// SetDeadline implements net.Conn.
func (f flow) SetDeadline(t time.Time) error {
	if latest := time.Now().Add(f.statement); t.After(latest) {
		t = latest
	}
	return f.Conn.SetDeadline(t)
}

// boundedDial makes flows. One on which pgx asks the server to cancel can be told by its context: it has more time than
// any connection that is to be used.
func boundedDial(dial pgconn.DialFunc, connectTimeout time.Duration, b Budgets) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		end, ok := ctx.Deadline()
		isCancel := ok && time.Until(end) > connectTimeout
		if isCancel {
			var stop context.CancelFunc
			ctx, stop = context.WithTimeout(ctx, b.Close)
			defer stop()
		}
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if isCancel {
			err = c.SetDeadline(time.Now().Add(b.Close))
		}
		return flow{c, b.Statement}, err
	}
}
