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
	// ErrUnavailable is in every error of a database that did not answer or cannot serve now: it refused the
	// connection, hung, is starting, has no free connections, or is read-only after a failover. After ErrUnavailable
	// the outcome of a write is unknown.
	ErrUnavailable = errors.New("database unavailable")
	// ErrRetry is in every error of a transaction that the database rolled back because of a conflict with another one.
	ErrRetry = errors.New("database asks to try again")
	// ErrMisconfigured is in every error of a statement that the database refused for a reason that its operator must
	// remove: a right is missing, the schema is not the one of the last migration, or the URL names a database or a
	// parameter that the server does not have.
	ErrMisconfigured = errors.New("database is not set up for this program")

	errNoConnection = fmt.Errorf("no connection in time: %w", context.DeadlineExceeded)
	errTooLate      = fmt.Errorf("too late to start a statement: %w", context.DeadlineExceeded)
)

type classified struct {
	class error
	err   error
}

func (e *classified) Error() string   { return e.err.Error() }
func (e *classified) Unwrap() []error { return []error{e.class, e.err} }

// classify adds ErrUnavailable, ErrRetry or ErrMisconfigured to err if one of them applies. ctx is the request's context: if it has
// ended, the caller gave up, and the error is not the database's.
func classify(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, errTooLate) || errors.Is(err, ErrOverloaded) || errors.Is(err, pgx.ErrNoRows) || ctx.Err() != nil {
		return err
	}
	if errors.Is(err, pgx.ErrTooManyRows) { // better-auth's tables lack a unique index
		return &classified{ErrMisconfigured, err}
	}
	if _, ok := errors.AsType[*LoginError](err); ok {
		return &classified{ErrUnavailable, err}
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		class := classOfState(pgErr.Code)
		if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting && (class == nil || pgErr.Code == "08P01") {
			class = ErrMisconfigured // for example an unknown parameter of the URL; 08P01 is PgBouncer's
		}
		if class != nil {
			return &classified{class, err}
		}
		return err
	}
	// The server has not answered: a dial, read or write failed, or a budget ran out.
	if isSlow(err) || isBroken(err) {
		return &classified{ErrUnavailable, err}
	}
	return err
}

// classOfState maps SQLSTATE to a class, or to nil if the statement itself is wrong.
// https://www.postgresql.org/docs/current/errcodes-appendix.html
func classOfState(code string) error {
	switch code {
	case "40001", "40P01", "55P03": // serialization failure, deadlock, lock not available
		return ErrRetry
	case "25006", // read-only transaction: a standby, or the old primary after a failover
		"57P01", "57P02", "57P03", "57P04", "57P05", // shut down, crashed, starting, database dropped, idle too long
		"57014", // canceled: statement_timeout
		"55000": // in recovery
		return ErrUnavailable
	case "42601": // a syntax error, which no operator can cause
		return nil
	case "3D000", "3F000", // no such database, as after it was renamed; no such schema
		"26000", // no such prepared statement: a pooler in transaction mode
		"P0001": // a trigger of the web application refuses a change
		return ErrMisconfigured
	}
	if strings.HasPrefix(code, "42") { // a missing right; a table, column, function or type that is missing or another one
		return ErrMisconfigured
	}
	for _, class := range []string{"08", "28", "53", "58"} { // connection, authorization, resources, system
		if strings.HasPrefix(code, class) {
			return ErrUnavailable
		}
	}
	return nil
}

// ErrorClasses returns all values of ErrorClass.
func ErrorClasses() []string { return []string{"ok", "error", "retry", "unavailable"} }

// ErrorClass returns the error class of a use of a connection. "ok" is any answer, including no row. "error" is a
// statement that the server refused, for example by a constraint. "retry" is ErrRetry. "unavailable" is ErrUnavailable, and any
// error of a new connection.
func ErrorClass(err error) string {
	of := classify(context.Background(), err)
	_, refused := errors.AsType[*pgconn.PgError](err)
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	switch {
	case errors.Is(of, ErrUnavailable), connecting:
		return "unavailable"
	case errors.Is(of, ErrRetry):
		return "retry"
	case refused:
		return "error"
	}
	return "ok"
}

// isReadOnly reports whether the server refused to write: it is a standby, or the old primary after a failover.
func isReadOnly(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == "25006"
}

// isReplaced reports whether the server could not use a function, table or plan that it had looked up before, because a
// migration replaced it in between. A new attempt finds the new one.
func isReplaced(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pgErr.Code == "0A000" || pgErr.Code == "XX000") // "cached plan must not change result type", "cache lookup failed"
}

// isSlow reports whether a budget ran out.
func isSlow(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || pgconn.Timeout(err)
}

// isBroken reports whether the connection to the server broke or could not be made. An answer of the server is not
// broken.
func isBroken(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(pgErr.Code, "57P") // the server closes the connection after it
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
