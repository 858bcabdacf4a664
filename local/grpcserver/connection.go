package grpcserver

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/peer"

	"github.com/osirose-new/database-service/shared/callers"
)

// connection is a client's connection.
type connection struct {
	net.Conn
	caller *callers.Connection
	outbox *outbox
	until  atomic.Int64 // the write deadline, Unix time in nanoseconds

	// outbox.mu guards these.
	answers map[*unsent]struct{}
	bytes   int64 // of answers
	gone    bool
}

// Write implements net.Conn. A client that does not read holds a goroutine of grpc-go in Write, which then notices no other limit.
func (c *connection) Write(b []byte) (int, error) {
	now := time.Now()
	within := c.outbox.takeWithin
	if until := c.until.Load(); until < now.Add(within).UnixNano() { // not for each Write: that would cost more
		end := now.Add(within + within/4)
		c.until.Store(end.UnixNano())
		if err := c.SetWriteDeadline(end); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Write(b)
	if err != nil {
		c.outbox.giveUp(c, errors.Is(err, os.ErrDeadlineExceeded)) // grpc-go itself leaves it to the client to close the connection
	}
	return n, err
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.outbox.giveUp(c, false)
	return nil
}

// connectionOf returns the connection of a stream, nil if there is none.
func connectionOf(ctx context.Context) *connection {
	if p, ok := peer.FromContext(ctx); ok {
		if a, ok := p.AuthInfo.(authInfo); ok {
			return a.connection
		}
	}
	return nil
}

// withoutCompression makes the answer of a stream uncompressed, because grpc-go frees what was counted when it has compressed it.
func withoutCompression(ctx context.Context) {
	s, ok := grpc.ServerTransportStreamFromContext(ctx).(interface {
		SendCompress() string
		SetSendCompress(name string) error
	})
	if ok && s.SendCompress() != "" {
		_ = s.SetSendCompress(encoding.Identity) // fails if the caller has gone
	}
}
