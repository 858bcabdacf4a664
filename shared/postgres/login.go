package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Credentials are whom a new connection logs in as. Host, Port and Database are for a URL that names no host or no
// database; otherwise the URL wins.
type Credentials struct {
	User, Password string
	Host           string
	Port           uint16
	Database       string
}

// Login knows the credentials of new connections, where the URL does not. Its errors are LoginErrors.
type Login interface {
	// Ready returns when Credentials can answer at once. It is asked before every request, and may take its time at the
	// first: that is no part of the 250 ms for a connection.
	Ready(ctx context.Context) error
	// Credentials returns those of a new connection to host and port; user is the URL's.
	Credentials(ctx context.Context, host string, port uint16, user string) (Credentials, error)
	// Renew is told that the server refused the password, and reports whether there is another one now.
	Renew(ctx context.Context, refused string) bool
}

// LoginError says why there are no credentials, in words that are fit for a log: no secret, no name, no address. It is an
// ErrUnavailable to callers.
type LoginError struct {
	What string
	Err  error
}

func (e *LoginError) Error() string { return e.What }
func (e *LoginError) Unwrap() error { return e.Err }

// unknownHost stands for the host until the credentials are known.
const unknownHost = "host-of-the-secret"

// target is a URL whose login is somebody else's to know.
type target struct {
	url      *url.URL
	host     bool // the URL names it
	database bool
	token    bool // see Options.Token

	mu   sync.Mutex
	seen Credentials // whose host and database are in full
	full *pgx.ConnConfig
}

// parseTarget reads a URL for a login. Where it does not say how to use TLS, the server is verified. An empty URL is one
// that says nothing.
func parseTarget(databaseURL string, token bool) (*target, error) {
	if databaseURL == "" {
		databaseURL = "postgres://"
	}
	u, err := url.Parse(databaseURL)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, errors.New("is not a PostgreSQL URL (postgres://...), which a login from AWS needs")
	}
	q := u.Query()
	if _, ok := u.User.Password(); ok || q.Has("password") {
		return nil, errors.New("has a password, and the login is to come from AWS")
	}
	t := &target{url: u, host: u.Hostname() != "" || q.Has("host"), token: token}
	t.database = len(u.Path) > 1 || q.Has("dbname") || q.Has("database")
	if !q.Has("sslmode") {
		q.Set("sslmode", "verify-full")
		u.RawQuery = q.Encode()
	}
	if token && u.User.Username() == "" && !q.Has("user") {
		return nil, errors.New("names no user, which IAM authentication needs")
	}
	if token && !t.host {
		return nil, errors.New("names no host, which IAM authentication needs")
	}
	return t, nil
}

// with is the URL with the host and the database that it lacks.
func (t *target) with(c Credentials) string {
	u := *t.url
	if !t.host {
		u.Host = c.Host
		if c.Port != 0 {
			u.Host = net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))
		}
	}
	if !t.database && c.Database != "" {
		u.Path = "/" + c.Database
	}
	return u.String()
}

// config is the pool's, with a host that the login replaces.
func (t *target) config() (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(t.with(Credentials{Host: unknownHost}))
	if err != nil {
		return nil, errors.New("is not a PostgreSQL URL")
	}
	if t.token && (len(cfg.ConnConfig.Fallbacks) > 0 || !verified(cfg.ConnConfig.TLSConfig)) {
		return nil, errors.New("needs one host and sslmode=verify-full (or verify-ca): IAM authentication sends its token as it is")
	}
	return cfg, nil
}

// verified reports whether a connection is made to a server that has shown its certificate, and to no other.
func verified(c *tls.Config) bool {
	return c != nil && (!c.InsecureSkipVerify || c.VerifyPeerCertificate != nil)
}

// beforeConnect puts the credentials into the configuration of a new connection. A host of theirs brings its own TLS
// configuration, which verifies that host.
func (t *target) beforeConnect(login Login, timeout time.Duration) func(context.Context, *pgx.ConnConfig) error {
	return func(ctx context.Context, c *pgx.ConnConfig) error {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		cred, err := login.Credentials(ctx, c.Host, c.Port, c.User)
		if err != nil {
			return err
		}
		if !t.host && cred.Host == "" {
			return &LoginError{What: "neither the secret nor the database URL names a host"}
		}
		full, err := t.complete(cred)
		if err != nil {
			return err
		}
		c.Host, c.Port, c.Database, c.TLSConfig, c.Fallbacks = full.Host, full.Port, full.Database, full.TLSConfig, full.Fallbacks
		c.User, c.Password = cred.User, cred.Password
		return nil
	}
}

// complete parses the URL with what it lacks; once, for that may mean to read a file of certificates.
func (t *target) complete(c Credentials) (*pgx.ConnConfig, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.User, c.Password = "", ""
	if t.full != nil && t.seen == c {
		return t.full, nil
	}
	full, err := pgx.ParseConfig(t.with(c))
	if err != nil {
		return nil, &LoginError{What: "the secret's host or database does not fit into a URL"}
	}
	t.seen, t.full = c, full
	return full, nil
}

// refusedPassword is the one that the server did not take.
func refusedPassword(err error) (string, bool) {
	connect, ok := errors.AsType[*pgconn.ConnectError](err)
	if !ok {
		return "", false
	}
	reply, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || reply.Code != "28P01" && reply.Code != "28000" {
		return "", false
	}
	return connect.Config.Password, true
}
