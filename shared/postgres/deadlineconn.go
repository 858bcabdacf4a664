package postgres

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// deadlineConn is a connection on which nothing takes longer than a statement may.
type deadlineConn struct {
	net.Conn
	statement time.Duration // Budgets.Statement
}

// SetDeadline implements net.Conn.
func (d deadlineConn) SetDeadline(t time.Time) error {
	if latest := time.Now().Add(d.statement); t.After(latest) {
		t = latest
	}
	return d.Conn.SetDeadline(t)
}

// boundedDial makes deadlineConns. pgx also dials to ask the server to cancel a statement. The context tells those connections apart: it
// has more time than that of any connection that is to be used.
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
		return deadlineConn{c, b.Statement}, err
	}
}
