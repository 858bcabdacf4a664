package cache

import (
	"errors"
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	callTimeout = 50 * time.Millisecond // of one call to Redis, and of a dial
	poolSize    = 64
)

// Connect returns a client for redisURL that dials on first use: redis://host:6379, rediss://user:pass@host for TLS and
// an ACL user, with ?cluster=true for a Redis Cluster. An error never repeats the URL, which may hold a password.
//
// go-redis' own settings let a request wait for seconds on a Redis that hangs; here each call has one try of 50 ms,
// unless the URL says otherwise (dial_timeout, read_timeout, write_timeout, pool_timeout, pool_size).
func Connect(redisURL string) (redis.UniversalClient, error) {
	u, err := url.Parse(redisURL)
	if err != nil {
		return nil, errors.New("is not a Redis URL")
	}
	query := u.Query()
	cluster := query.Get("cluster") == "true"
	query.Del("cluster")
	u.RawQuery = query.Encode()
	if cluster {
		o, err := redis.ParseClusterURL(u.String())
		if err != nil {
			return nil, errors.New("is not a Redis Cluster URL")
		}
		setDefaults(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout, &o.PoolSize)
		// A redirect is needed after slots have moved; the same loop also repeats a call that timed out.
		o.MaxRetries, o.DialerRetries, o.MaxRedirects = -1, 1, 1
		o.ContextTimeoutEnabled, o.DisableIdentity, o.Protocol = true, true, 2
		return redis.NewClusterClient(o), nil
	}
	o, err := redis.ParseURL(u.String())
	if err != nil {
		return nil, errors.New("is not a Redis URL")
	}
	setDefaults(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout, &o.PoolSize)
	o.MaxRetries, o.DialerRetries = -1, 1
	// RESP2 has no push messages, which each call would look for.
	o.ContextTimeoutEnabled, o.DisableIdentity, o.Protocol = true, true, 2
	return redis.NewClient(o), nil
}

func setDefaults(dial, read, write, pool *time.Duration, size *int) {
	for _, d := range []*time.Duration{dial, read, write, pool} {
		if *d == 0 {
			*d = callTimeout
		}
	}
	if *size == 0 {
		*size = poolSize
	}
}
