package rpcserver

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/callers"
)

// twirpPrefix begins the path of each rpc. The rest is service/method.
const twirpPrefix = "/twirp/osirose.database.v1."

// Guard makes g identify the caller of each request. A nil g lets any caller do everything. Guard must be called before the
// first request.
func (s *Server) Guard(g *callers.Gate) { s.gate = g }

// identify finds the caller of a request, and checks its right to the rpc. The body is not read yet.
func (c *call) identify(from callers.Credentials, rpc string, now time.Time) twirp.Error {
	if c.record.Identity != nil {
		from.ARN = c.record.Identity()
	}
	p, refused := c.server.gate.Identify(c, from, now)
	if refused != nil {
		c.cause = refused.Cause
		return refused.Error
	}
	c.caller = p
	need, known := callers.NeededFor(rpc)
	if !known {
		return nil // it will not be routed
	}
	if err := c.allow(need); err != nil {
		c.record.Class.Service, c.record.Class.Method, _ = strings.Cut(rpc, "/")
		return err
	}
	return nil
}

// allow refuses a request of a caller without a right that it needs.
func (c *call) allow(need callers.Rights) twirp.Error {
	if c.caller == nil || c.caller.Rights.Has(need) {
		return nil
	}
	return NotAllowed(c.caller.Rights.Missing(need))
}

// NotAllowed returns the error for a caller without a right.
func NotAllowed(right string) twirp.Error {
	return Error(twirp.PermissionDenied, "NOT_ALLOWED", "the caller lacks the right "+right).WithMeta("missing_right", right)
}

// Allow is for what is no rpc: metrics and reflection. A caller on this machine needs no identity.
func (s *Server) Allow(ctx context.Context, from callers.Credentials, need callers.Rights) twirp.Error {
	if s.gate.Any() || from.Connection.IsLoopback() {
		return nil
	}
	right := slog.String("right", callers.Rights(0).Missing(need))
	p, err := s.principal(ctx, from, right)
	if err == nil && !p.Rights.Has(need) {
		err = NotAllowed(p.Rights.Missing(need))
		s.logRefused(ctx, time.Now(), err, right, slog.String("caller", p.Name))
	}
	return err
}

// Principal identifies the caller of a page, which is no rpc. It returns nil if any caller has all rights.
func (s *Server) Principal(ctx context.Context, from callers.Credentials) (*callers.Principal, twirp.Error) {
	if s.gate.Any() {
		return nil, nil
	}
	return s.principal(ctx, from)
}

// principal identifies a caller. Its refusal is logged with the attributes of.
func (s *Server) principal(ctx context.Context, from callers.Credentials, of ...slog.Attr) (*callers.Principal, twirp.Error) {
	now := time.Now()
	p, refused := s.gate.Identify(ctx, from, now)
	if refused != nil {
		s.logRefused(ctx, now, refused.Error, append(of, slog.String("cause", refused.Cause))...)
		return nil, refused.Error
	}
	return p, nil
}

// logRefused logs a refusal of Allow or Principal, unless there are too many.
func (s *Server) logRefused(ctx context.Context, now time.Time, err twirp.Error, of ...slog.Attr) {
	s.log.logLeftOut(now)
	if s.log.sample.take(string(err.Code()), now) {
		slog.New(s.log.log).LogAttrs(ctx, slog.LevelInfo, "refused", append(of, slog.String("reason", err.Meta("reason")))...)
	}
}

// CredentialsOf returns what an HTTP request brings.
func CredentialsOf(r *http.Request) callers.Credentials {
	return callers.Credentials{Connection: callers.ConnectionFrom(r.Context()), Authorization: r.Header["Authorization"]}
}
