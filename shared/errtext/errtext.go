// Package errtext describes errors for log lines, without the data that their messages may contain.
package errtext

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/osirose-new/database-service/shared/postgres"
)

// ForLog returns the parts of err that a log line may contain: its kind in words, or the SQLSTATE and the names of the
// service's constraints. It never returns the text of a message, which may contain values, SQL or addresses. Exception: the
// text of a [postgres.LoginError], which is made for logs.
func ForLog(err error) string {
	if login, ok := errors.AsType[*postgres.LoginError](err); ok {
		return "login: " + login.What
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.TrimSpace(fmt.Sprintf("SQLSTATE %s %s %s", pgErr.Code, pgErr.TableName, pgErr.ConstraintName)) + advice(err, pgErr.Code)
	}
	if errors.Is(err, postgres.ErrStandby) {
		return standby
	}
	if text := connection(err); text != "" {
		return text
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	switch {
	case errors.Is(err, pgx.ErrTooManyRows):
		return "several rows have one id or token: better-auth's tables need a unique index on each of them"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), pgconn.Timeout(err):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "the connection was closed"
	}
	return strings.Join(types(err), " of ")
}

const (
	standby = "the server is a standby, but the service needs the primary"
	schema  = ": the database's schema is not the one that this program knows: run database-service migrate"
)

// advices say what the operator can do about a SQLSTATE.
var advices = map[string]string{
	"25006": ": the server is read-only (a standby, or the old primary after a failover, or default_transaction_read_only is on), but DATABASE_URL must lead to the primary",
	"28P01": ": the server refuses the user or the password of DATABASE_URL",
	"28000": ": the server refuses the user or the password of DATABASE_URL",
	"3D000": ": the server has no database of the name in DATABASE_URL",
	"3F000": schema,
	"42501": ": a right is missing: GRANT the group role of database-service migrate (database_service, for the purge database_service_purge, for StaffService database_service_staff) to the login, or run database-service migrate again",
	"53300": ": the server has no free connection: raise its max_connections, lower pool_max_conns, or put a pooler in front of it",
	"26000": ": a pooler in transaction mode loses prepared statements: add default_query_exec_mode=cache_describe to DATABASE_URL",
	"42P05": ": a pooler in transaction mode loses prepared statements: add default_query_exec_mode=cache_describe to DATABASE_URL",
	"P0001": ": a trigger of the web application refuses the change: see the server's log, and change the trigger",
	"57P04": ": the database was dropped",
}

// whileConnecting are the advices about an answer to a new connection.
var whileConnecting = map[string]string{
	"42501": ": the service's login may not connect to the database: GRANT CONNECT ON DATABASE to it",
	"42704": ": the server does not know a parameter of DATABASE_URL, so remove it",
	"22023": ": the server refuses the value of a parameter of DATABASE_URL",
	"42601": ": the server does not understand the parameter options of DATABASE_URL",
	"08P01": ": a pooler refuses a parameter of DATABASE_URL (PgBouncer accepts few: remove it, or list it in ignore_startup_parameters)",
}

// advice says what the operator can do about a SQLSTATE, or "".
func advice(err error, code string) string {
	if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting && whileConnecting[code] != "" {
		return whileConnecting[code]
	}
	if known := advices[code]; known != "" {
		return known
	}
	if strings.HasPrefix(code, "42") && code != "42601" {
		return schema
	}
	return ""
}

// connection describes an error of DNS or TLS, or one of pgx about a new connection, whose errors have no types. It is empty
// for any other error.
func connection(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return "no such host: the name is not in DNS"
		}
		return "the host's name cannot be looked up: DNS does not answer"
	}
	if text := certificate(err); text != "" {
		return text
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the server does not speak TLS at this port"
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return "the server refused the TLS handshake"
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); !ok {
		return ""
	}
	for _, known := range handshake {
		if strings.Contains(err.Error(), known.fragment) {
			return known.text
		}
	}
	return ""
}

const kerberos = "the server asks for a login by Kerberos, which is not supported"

// handshake describes errors by parts of pgx's messages, because they have no types. The first that fits counts.
var handshake = []struct{ fragment, text string }{
	{"server refused TLS connection", "the server offers no TLS, which the URL's sslmode requires (without TLS: sslmode=disable)"},
	{"channel binding", "channel binding is required, but the connection has none: it needs TLS and SCRAM-SHA-256 (without it: channel_binding=prefer)"},
	{"requested md5 authentication", "the server asks for an MD5 hash of the password, which a server in between could use: store the password by SCRAM (password_encryption = 'scram-sha-256', then set it again), in PgBouncer auth_type = scram-sha-256; or allow it by require_auth=md5 in DATABASE_URL"},
	{"requested password authentication", "the server asks for the password itself, which a server in between could keep: use scram-sha-256 in pg_hba.conf; or, with sslmode=verify-full, allow it by require_auth=password in DATABASE_URL"},
	{"requested gss authentication", kerberos},
	{"require_auth", "the server asks for a login by a method that the URL's require_auth excludes"},
	{"GSSAPI", kerberos},
	{"does not support SCRAM-SHA-256", "the server asks for a login by a method that is not supported"},
	{"unknown authentication message", "the server asks for a login by a method that is not supported"},
	{"server is in standby mode", standby},
	{"read only connection", "the server is read-only, but the service needs the primary"},
}

func certificate(err error) string {
	unknown, isUnknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, otherName := errors.AsType[x509.HostnameError](err)
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	_, other := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case isUnknown && unknown.Cert != nil && unknown.Cert.Issuer.String() == unknown.Cert.Subject.String():
		return "the server's certificate is self-signed, and no known authority vouches for it" + authority
	case isUnknown:
		return "the server's certificate is from an authority that is not known" + authority
	case otherName:
		return "the server's certificate is for another host name than the URL's"
	case isInvalid && invalid.Reason == x509.Expired:
		return "the server's certificate has expired or is not valid yet"
	case isInvalid || other:
		return "the server's certificate cannot be verified"
	}
	return ""
}

const authority = " (PostgreSQL: sslrootcert=FILE; Redis: SSL_CERT_FILE)"

// types lists the types of err and of what it wraps.
func types(err error) (names []string) {
	for err != nil {
		names = append(names, fmt.Sprintf("%T", err))
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			if all := many.Unwrap(); len(all) > 0 {
				return append(names, types(all[len(all)-1])...)
			}
			return names
		}
		err = errors.Unwrap(err)
	}
	return names
}
