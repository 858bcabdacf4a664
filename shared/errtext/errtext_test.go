package errtext_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/osirose-new/database-service/shared/errtext"
	"github.com/osirose-new/database-service/shared/postgres"
)

// TestForLog checks that the text for the log contains no values and no addresses.
func TestForLog(t *testing.T) {
	t.Parallel()
	const secret = "alice@example.com"
	taken := &pgconn.PgError{
		Code: "23505", TableName: "character", ConstraintName: "character_slot",
		Message: secret, Detail: secret, Hint: secret, Where: secret, InternalQuery: secret,
	}
	for _, test := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("insert %s: %w", secret, taken), "SQLSTATE 23505 character character_slot"},
		{&net.OpError{Op: secret, Err: syscall.ECONNREFUSED}, "connection refused"},
		{fmt.Errorf("%s: %w", secret, context.DeadlineExceeded), "timeout"},
		{&pgconn.PgError{Code: "42501", Message: secret}, "SQLSTATE 42501: a right is missing: GRANT the group role of database-service migrate (database_service, for the purge database_service_purge, for StaffService database_service_staff) to the login, or run database-service migrate again"},
		{&pgconn.PgError{Code: "42703", Message: secret}, "SQLSTATE 42703: the database's schema is not the one that this program knows: run database-service migrate"},
		{fmt.Errorf("%s: %w", secret, postgres.ErrStandby), "the server is a standby, but the service needs the primary"},
		{&pgconn.PgError{Code: "53300", Message: secret}, "SQLSTATE 53300: the server has no free connection: raise its max_connections, lower pool_max_conns, or put a pooler in front of it"},
		{&pgconn.PgError{Code: "P0001", Message: secret}, "SQLSTATE P0001: a trigger of the web application refuses the change: see the server's log, and change the trigger"},
		{fmt.Errorf("%s: %w", secret, pgx.ErrTooManyRows), "several rows have one id or token: better-auth's tables need a unique index on each of them"},
		{errors.New(secret), "*errors.errorString"},
	} {
		if got := errtext.ForLog(test.err); got != test.want {
			t.Errorf("ForLog(%v) = %q, want %q", test.err, got, test.want)
		}
	}
}
