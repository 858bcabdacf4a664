package embedded

import (
	"fmt"

	"github.com/alicebob/miniredis/v2"
)

// Redis is a server in this process. It keeps nothing after Stop.
type Redis struct{ server *miniredis.Miniredis }

// StartRedis starts a server on a free port of 127.0.0.1. Keys expire by the clock, as they do in Redis.
func StartRedis() (*Redis, error) {
	server := miniredis.NewMiniRedis()
	server.ClockTTL(true) // by default its time stands still
	if err := server.StartAddr(loopback + ":0"); err != nil {
		return nil, fmt.Errorf("the embedded Redis cannot be started: %w", err)
	}
	return &Redis{server}, nil
}

// URL returns the server's URL.
func (r *Redis) URL() string { return "redis://" + r.server.Addr() }

// Stop disconnects the clients and ends the server.
func (r *Redis) Stop() { r.server.Close() }
