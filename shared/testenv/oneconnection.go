package testenv

import (
	"errors"
	"net/http"
	"syscall"
)

// OneConnection is a client's only connection to a server that is told to end. It is used by one goroutine.
type OneConnection struct {
	transport    http.Transport
	used, closed bool
}

// NewOneConnection returns one that connects at its first request.
func NewOneConnection() *OneConnection {
	return &OneConnection{transport: http.Transport{MaxConnsPerHost: 1}}
}

// RoundTrip implements http.RoundTripper. If the server closes an idle connection, net/http sends the next request on a new
// one, which is refused. It does so only with a request of which it has sent nothing, so no request is lost by that.
func (c *OneConnection) RoundTrip(q *http.Request) (*http.Response, error) {
	r, err := c.transport.RoundTrip(q)
	c.closed = err == nil && r.Close || c.used && errors.Is(err, syscall.ECONNREFUSED)
	c.used = c.used || err == nil
	return r, err
}

// Closed reports whether the server has closed the connection, after it announced that in an answer or between two requests.
func (c *OneConnection) Closed() bool { return c.closed }

// Close closes the connection.
func (c *OneConnection) Close() { c.transport.CloseIdleConnections() }
