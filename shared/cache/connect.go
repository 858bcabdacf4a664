package cache

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	poolSize = 64
	// functionIdleTime is how long a function trusts an idle connection, by the wall clock. The process may have been frozen
	// for all of it, and a connection that died meanwhile would cost a call's timeout.
	functionIdleTime = 10 * time.Second
	// loginLifetime is below the 12 h after which ElastiCache closes a connection that logged in with a token.
	loginLifetime = 11 * time.Hour
	loginJitter   = 30 * time.Minute
)

// ConnectOptions are what the URL of a Redis does not say.
type ConnectOptions struct {
	// Concurrency is how many calls a function makes at once, and so its number of connections. 0: this is no function.
	Concurrency int
	// Password returns a password for a new connection of the URL's user, if the URL has none. It has the time of a call.
	Password func(ctx context.Context, user string) (string, error)
	// Observe is called after each call to Redis with its command ("pipeline" for several), how long it took, and whether
	// there was no answer. It may be nil.
	Observe func(command string, took time.Duration, failed bool)
	// Budgets bound each call. The zero value means [DefaultBudgets].
	Budgets Budgets
}

var errURL = errors.New("is not understood: write " + exampleURL)

// Connect returns a client for redisURL that dials on first use: redis://host:6379, rediss://user:pass@host for TLS and
// an ACL user, with ?cluster=true for a Redis Cluster; valkey:// and valkeys:// are the same. An error never repeats the URL, which may hold a password.
//
// The defaults of go-redis let a request wait for seconds on a Redis that hangs. Here each call has one try of Budgets.Call,
// unless the URL sets other limits (dial_timeout, read_timeout, write_timeout, pool_timeout, pool_size).
func Connect(redisURL string, c ConnectOptions) (redis.UniversalClient, error) {
	c.Budgets = cmp.Or(c.Budgets, DefaultBudgets())
	u, cluster, err := parseURL(redisURL)
	if err != nil {
		return nil, err
	}
	if err := c.check(u); err != nil {
		return nil, err
	}
	if cluster {
		o, err := redis.ParseClusterURL(u.String())
		if err != nil {
			return nil, errURL
		}
		c.setDefaults(settings{&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout, &o.ConnMaxIdleTime,
			&o.ConnMaxLifetime, &o.ConnMaxLifetimeJitter, &o.PoolSize, &o.PipelinePoolSize})
		o.CredentialsProviderContext = c.credentials(o.Username)
		// A redirect is needed after slots have moved. The same loop also repeats a call that timed out.
		o.MaxRetries, o.DialerRetries, o.MaxRedirects = -1, 1, 1
		o.ContextTimeoutEnabled, o.DisableIdentity, o.Protocol = true, true, 2
		o.MaintNotificationsConfig = noMaintenance()
		o.Dialer = guarded(newDialer(o.DialTimeout, o.TLSConfig))
		return c.observe(redis.NewClusterClient(o)), nil
	}
	o, err := redis.ParseURL(u.String())
	if err != nil {
		return nil, errURL
	}
	c.setDefaults(settings{&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout, &o.ConnMaxIdleTime,
		&o.ConnMaxLifetime, &o.ConnMaxLifetimeJitter, &o.PoolSize, &o.PipelinePoolSize})
	o.CredentialsProviderContext = c.credentials(o.Username)
	o.MaxRetries, o.DialerRetries = -1, 1
	// RESP2 has no push messages, so no call looks for them.
	o.ContextTimeoutEnabled, o.DisableIdentity, o.Protocol = true, true, 2
	o.MaintNotificationsConfig = noMaintenance()
	o.Dialer = guarded(newDialer(o.DialTimeout, o.TLSConfig))
	return c.observe(redis.NewClient(o)), nil
}

// noMaintenance disables a feature of RESP3. With it, making a client looks up the host in DNS, for up to 2 s.
func noMaintenance() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

func (c ConnectOptions) observe(client redis.UniversalClient) redis.UniversalClient {
	if c.Observe != nil {
		client.AddHook(observed(c.Observe))
	}
	return client
}

// check refuses a URL that a token must not be sent to.
func (c ConnectOptions) check(u *url.URL) error {
	if c.Password == nil {
		return nil
	}
	_, has := u.User.Password()
	switch {
	case u.Scheme != "rediss":
		return errors.New("needs rediss://: IAM authentication sends its token as it is")
	case u.Query().Get("skip_verify") != "":
		return errors.New("has skip_verify, and IAM authentication sends its token as it is")
	case u.User.Username() == "":
		return errors.New("names no user, which IAM authentication needs")
	case has:
		return errors.New("has a password, and IAM authentication takes it from AWS")
	}
	return nil
}

func (c ConnectOptions) credentials(user string) func(context.Context) (string, string, error) {
	if c.Password == nil {
		return nil
	}
	return func(ctx context.Context) (string, string, error) {
		ctx, cancel := context.WithTimeout(ctx, c.Budgets.Call)
		defer cancel()
		password, err := c.Password(ctx, user)
		return user, password, err
	}
}

// settings are the fields that redis.Options and redis.ClusterOptions share.
type settings struct {
	dial, read, write, pool, idle, lifetime, jitter *time.Duration
	size, pipelines                                 *int
}

// setDefaults fills in what the URL does not say.
func (c ConnectOptions) setDefaults(s settings) {
	for _, d := range []*time.Duration{s.dial, s.read, s.write, s.pool} {
		*d = cmp.Or(*d, c.Budgets.Call)
	}
	if c.Concurrency > 0 {
		*s.idle = cmp.Or(*s.idle, functionIdleTime)
	}
	// One pool for pipelines and other calls. Each connection is a handshake that a request waits for. A pipeline that gets
	// no connection from a separate pool would wait as long again for the common one.
	*s.pipelines = cmp.Or(*s.pipelines, -1)
	*s.size = cmp.Or(*s.size, c.Concurrency, poolSize)
	if c.Password != nil && *s.lifetime == 0 {
		*s.lifetime, *s.jitter = loginLifetime, loginJitter
	}
}
