// Package errtext describes errors for log lines, without the data that their messages may contain.
package errtext

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/osirose-new/database-service/shared/postgres"
)

// ForLog returns the parts of err that a log line may contain: its kind, or the SQLSTATE and the names of the service's
// constraints. It never returns the text of a message, which may contain values, SQL or addresses. Exception: the text of a
// [postgres.LoginError], which is made for logs.
func ForLog(err error) string {
	if login, ok := errors.AsType[*postgres.LoginError](err); ok {
		return "login: " + login.What
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.TrimSpace(fmt.Sprintf("SQLSTATE %s %s %s", pgErr.Code, pgErr.TableName, pgErr.ConstraintName))
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), pgconn.Timeout(err):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	var types []string
	for ; err != nil; err = errors.Unwrap(err) {
		types = append(types, fmt.Sprintf("%T", err))
	}
	return strings.Join(types, " of ")
}
