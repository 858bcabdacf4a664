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

// Credentials are the login of a new connection. Host, Port and Database apply only if the URL does not have them.
type Credentials struct {
	User, Password string
	Host           string
	Port           uint16
	Database       string
}

// Login provides the credentials of new connections if the URL does not have them. Its errors are LoginErrors.
type Login interface {
	// Ready returns when Credentials can answer immediately. It is called before every request. At the first request it
	// may take longer than 250 ms, because it is not part of the time limit of a connection.
	Ready(ctx context.Context) error
	// Credentials returns the credentials of a new connection to host and port. user is the URL's user.
	Credentials(ctx context.Context, host string, port uint16, user string) (Credentials, error)
	// Renew is called if the server refused a password. It reports whether there is another password now.
	Renew(ctx context.Context, refused string) bool
}

// LoginError explains why there are no credentials. Its text can be logged: it contains no secret, name or address.
// Callers see ErrUnavailable.
type LoginError struct {
	What string
	Err  error
}

func (e *LoginError) Error() string { return e.What }
func (e *LoginError) Unwrap() error { return e.Err }

// unknownHost replaces the host until the credentials are known.
const unknownHost = "host-of-the-secret"

// target is a URL without a login.
type target struct {
	url      *url.URL
	host     bool // the URL has a host
	database bool
	token    bool // see Options.Token

	mu   sync.Mutex
	seen Credentials // the credentials that full was made with
	full *pgx.ConnConfig
}

// parseTarget parses a URL for a login. If the URL has no TLS settings, the server's certificate is verified. An empty
// URL is allowed.
func parseTarget(databaseURL string, token bool) (*target, error) {
	if databaseURL == "" {
		databaseURL = "postgres://"
	}
	u, err := url.Parse(databaseURL)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, errors.New("is not a URL (postgres://user@host/database), which a login from AWS needs")
	}
	q := u.Query()
	if _, ok := u.User.Password(); ok || q.Has("password") {
		return nil, errors.New("has a password, but the login comes from AWS: remove the password")
	}
	t := &target{url: u, host: u.Hostname() != "" || q.Has("host"), token: token}
	t.database = len(u.Path) > 1 || q.Has("dbname") || q.Has("database")
	if !q.Has("sslmode") {
		q.Set("sslmode", "verify-full")
		u.RawQuery = q.Encode()
	}
	if token && u.User.Username() == "" && !q.Has("user") {
		return nil, errors.New("has no user, which IAM authentication needs")
	}
	if token && !t.host {
		return nil, errors.New("has no host, which IAM authentication needs")
	}
	return t, nil
}

// with returns the URL with the missing host and database.
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

// config returns the pool's configuration. Its host is a placeholder if the URL has none.
func (t *target) config() (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(t.with(Credentials{Host: unknownHost}))
	if err != nil {
		return nil, errForm
	}
	if t.token && (len(cfg.ConnConfig.Fallbacks) > 0 || !verified(cfg.ConnConfig.TLSConfig)) {
		return nil, errors.New("needs one host and sslmode=verify-full (or verify-ca), because IAM authentication sends the token itself, not a hash")
	}
	if !t.token {
		requireAuth(&cfg.ConnConfig.Config)
	}
	return cfg, nil
}

// verified reports whether c verifies the server's certificate.
func verified(c *tls.Config) bool {
	return c != nil && (!c.InsecureSkipVerify || c.VerifyPeerCertificate != nil)
}

// beforeConnect puts the credentials into the configuration of a new connection. If they have the host, the TLS
// configuration changes to one that verifies this host.
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

// complete parses the URL with the missing parts. It caches the result, because parsing may read a file of
// certificates.
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

// refusedPassword returns the password that the server refused.
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
