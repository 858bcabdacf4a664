package cache

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/osirose-new/database-service/shared/lateread"
)

// newDialer is go-redis's, with connections that read late. They are below TLS.
func newDialer(timeout time.Duration, config *tls.Config) dialer {
	dial := lateread.Dial(redis.NewDialer(&redis.Options{DialTimeout: timeout}))
	if config == nil {
		return dial
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout) // of the handshake, too
		defer cancel()
		plain, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		host, _, _ := net.SplitHostPort(address) // it was dialed
		config := config.Clone()
		config.ServerName = cmp.Or(config.ServerName, host)
		secure := tls.Client(plain, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = plain.Close()
			return nil, err
		}
		return secure, nil
	}
}
