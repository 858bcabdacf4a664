// Package request is the record of one request: what the platform says about it, and its result.
//
// rpcserver owns the record. It makes one for each request, or takes the one in the request's context, and completes it when
// the request is answered. Three others touch it: the Lambda adapter makes the record, because it knows the platform's id and
// caller, and reads it after the handler has returned; cache sets Class.Cache; postgres pauses the slot. Only the goroutine that serves the request
// uses the record.
package request

import (
	"context"
	"time"

	"github.com/twitchtv/twirp"
)

// Record describes one request. The first two fields are the platform's and may be empty; the others are the result.
type Record struct {
	// ID is the id under which the platform logs the request. If it is empty, rpcserver numbers the request itself.
	ID string
	// Identity returns the ARN of the IAM principal that the gateway has verified, or "" if it has verified none. It is nil outside
	// Lambda.
	Identity func() string

	// Principal is whose share of the limits the request takes: a caller's name, or an address.
	Principal string
	// Slot is what the request holds while it works. nil: nothing.
	Slot Slot

	Class Class
	Took  time.Duration // 0 until the request is answered
}

// Slot is one of the slots of this program, which are as many as its CPUs can do. Code that waits for the database calls Queue before it waits
// for a connection, Pause before its statement and Resume afterwards, in the goroutine that serves the request. Queue reports whether the
// work is heavy. Resume of heavy work that has a result may wait for other heavy work, so its caller must have returned the connection.
// Starved reports whether this process got too little CPU within the last second.
type Slot interface {
	Queue() (heavy bool)
	Starved() bool
	Pause()
	Resume(hasResult bool)
}

// Class holds the properties by which requests are logged and counted. A program sees few different classes.
type Class struct {
	Service, Method string // UserService, GetUser; empty if the request was not routed that far
	Protocol        Protocol
	Code            twirp.ErrorCode // "ok" if there was no error; empty until the request is answered
	Cache           string          // the last cache.Status of the request: "hit", "miss", ...; empty if it did not use the cache
}

// RPC returns "UserService/GetUser", or "" if the request was not routed to a service.
func (c Class) RPC() string {
	if c.Service == "" {
		return ""
	}
	return c.Service + "/" + c.Method
}

// Protocol is the protocol of a request; empty if the request has none of these.
type Protocol string

// The protocols.
const (
	Protobuf Protocol = "protobuf" // Twirp
	JSON     Protocol = "json"     // Twirp
	GRPC     Protocol = "grpc"
)

// Key is the context key of the *Record. Code that implements context.Context itself answers to it; all other code calls
// [With] and [From].
type Key struct{}

// With returns a context whose request has the record r. A record serves one request.
func With(ctx context.Context, r *Record) context.Context { return context.WithValue(ctx, Key{}, r) }

// Detached returns the context of work that outlives the request or is done for several: without its end, and without its record.
func Detached(ctx context.Context) context.Context { return With(context.WithoutCancel(ctx), nil) }

// From returns the record of the request with the context ctx, nil if there is none.
func From(ctx context.Context) *Record {
	r, _ := ctx.Value(Key{}).(*Record)
	return r
}
