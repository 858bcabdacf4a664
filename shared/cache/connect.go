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
// go-redis' own settings let a request wait for seconds on a Redis that hangs; here each call has one try of 50 ms.
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
		o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = callTimeout, callTimeout, callTimeout, callTimeout
		o.MaxRetries, o.DialerRetries, o.MaxRedirects = -1, 1, 3
		o.ContextTimeoutEnabled, o.DisableIdentity, o.Protocol, o.PoolSize = true, true, 2, poolSize
		return redis.NewClusterClient(o), nil
	}
	o, err := redis.ParseURL(u.String())
	if err != nil {
		return nil, errors.New("is not a Redis URL")
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = callTimeout, callTimeout, callTimeout, callTimeout
	o.MaxRetries, o.DialerRetries = -1, 1
	// RESP2 has no push messages, which each call would look for.
	o.ContextTimeoutEnabled, o.DisableIdentity, o.Protocol, o.PoolSize = true, true, 2, poolSize
	return redis.NewClient(o), nil
}
