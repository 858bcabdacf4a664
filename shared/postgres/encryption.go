package postgres

import (
	"cmp"
	"crypto/tls"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
)

// safeLogins are those in which the password never leaves this program. By SCRAM each side proves that it knows it;
// none asks for no password, or for a certificate. A server that asks for the password itself or for its MD5 hash could be
// anybody between this program and the database: without sslmode=verify-full nothing proves who answers.
const safeLogins = "scram-sha-256,none"

// requireAuth makes c refuse other logins, unless the URL or PGREQUIREAUTH says which ones are allowed.
func requireAuth(c *pgconn.Config) { c.RequireAuth = cmp.Or(c.RequireAuth, safeLogins) }

// isPlaintext reports whether others can read the connection: it leads to another machine and has no TLS.
func isPlaintext(conn net.Conn) bool {
	if _, encrypted := conn.(*tls.Conn); encrypted {
		return false
	}
	remote, tcp := conn.RemoteAddr().(*net.TCPAddr)
	return tcp && !remote.IP.IsLoopback()
}
