package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
)

var (
	// ErrUnavailable is in every error of a database that did not answer, or that cannot serve now: refused, hung,
	// starting, out of connections, read-only after a failover. The outcome of a write is unknown then.
	ErrUnavailable = errors.New("database unavailable")
	// ErrRetry is in every error of a transaction that the database rolled back for the sake of another one.
	ErrRetry = errors.New("database asks to try again")

	errNoConnection = fmt.Errorf("no connection in time: %w", context.DeadlineExceeded)
	errTooLate      = fmt.Errorf("too late to start a statement: %w", context.DeadlineExceeded)
)

type classified struct {
	class error
	err   error
}

func (e *classified) Error() string   { return e.err.Error() }
func (e *classified) Unwrap() []error { return []error{e.class, e.err} }

// classify puts ErrUnavailable or ErrRetry into err where they belong. ctx is the request's own: where that has ended,
// the caller gave up, and the database is not to blame.
func classify(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, errTooLate) || errors.Is(err, ErrOverloaded) || errors.Is(err, pgx.ErrNoRows) || errors.Is(err, pgx.ErrTooManyRows) || ctx.Err() != nil {
		return err
	}
	if _, ok := errors.AsType[*LoginError](err); ok {
		return &classified{ErrUnavailable, err}
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		if class := classOfState(pgErr.Code); class != nil {
			return &classified{class, err}
		}
		return err
	}
	// No word from the server: a dial, a read or a write that failed, or one of our budgets that ran out.
	if isSlow(err) || isBroken(err) {
		return &classified{ErrUnavailable, err}
	}
	return err
}

// classOfState maps SQLSTATE to a class, nil where the statement itself is at fault.
// https://www.postgresql.org/docs/current/errcodes-appendix.html
func classOfState(code string) error {
	switch code {
	case "40001", "40P01", "55P03": // serialization failure, deadlock, lock not available
		return ErrRetry
	case "25006", // read-only transaction: a standby, or the old primary after a failover
		"57P01", "57P02", "57P03", "57P04", "57P05", // shut down, crashed, starting, dropped, idle too long
		"57014", // canceled: statement_timeout
		"55000", // in recovery
		"3D000": // no such database: not created yet, or renamed away
		return ErrUnavailable
	}
	for _, class := range []string{"08", "28", "53", "58"} { // connection, authorization, resources, system
		if strings.HasPrefix(code, class) {
			return ErrUnavailable
		}
	}
	return nil
}

// ErrorClasses are what ErrorClass returns.
func ErrorClasses() []string { return []string{"ok", "error", "retry", "unavailable"} }

// ErrorClass says in a word what a use of a connection came to: "ok" is an answer, also that there is no such row, and
// "error" a statement that the server refused, for a constraint say; the others are the classes of errors here.
func ErrorClass(err error) string {
	of := classify(context.Background(), err)
	_, refused := errors.AsType[*pgconn.PgError](err)
	switch {
	case errors.Is(of, ErrUnavailable):
		return "unavailable"
	case errors.Is(of, ErrRetry):
		return "retry"
	case refused:
		return "error"
	}
	return "ok"
}

// isReadOnly reports whether the server refused to write: it is a standby, or was the primary before a failover.
func isReadOnly(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == "25006"
}

// isSlow reports whether a budget ran out.
func isSlow(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || pgconn.Timeout(err)
}

// isBroken reports whether err says that the flow to the server broke, or could not be made, and not that the server
// answered.
func isBroken(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(pgErr.Code, "57P") // the server's last word on this connection
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, puddle.ErrClosedPool, pgconn.ErrConnClosed} {
		if errors.Is(err, e) {
			return true
		}
	}
	return pgconn.SafeToRetry(err)
}
