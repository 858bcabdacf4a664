package postgres

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/osirose-new/database-service/shared/lateread"
)

// deadlineConn is a connection on which every read and write ends within the budget of a statement.
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

// boundedDial returns a dial function that makes deadlineConns. pgx also dials to ask the server to cancel a statement.
// boundedDial recognizes these connections by their context, whose deadline is later than that of any other connection.
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
		return deadlineConn{lateread.New(c), b.Statement}, err
	}
}
