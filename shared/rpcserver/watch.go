package rpcserver

import (
	"time"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"

	"github.com/osirose-new/database-service/shared/request"
)

// Finished is a request that was answered or refused, as a watcher sees it.
type Finished struct {
	Start  time.Time
	Took   time.Duration
	Class  request.Class
	Reason string // meta.reason of the error
	Caller string // as the log names it
	Agent  string // the program that User-Agent names
	ID     string // as the log and the caller's INTERNAL error have it

	// Error is what the caller got. It is nil if there was no error, or if no service has the path.
	Error twirp.Error
	// Request is nil if the request was refused before it was decoded, or while it waited for a slot. Answer is nil if there was an error.
	// Other requests may share parts of both messages, so a watcher must not change them.
	Request, Answer proto.Message
	// Body is the body of an HTTP request that did not become a message. It is nil if it was not read.
	Body []byte
}

// watched is what a request keeps for a watcher.
type watched struct {
	tell            func(Finished)
	err             twirp.Error
	request, answer proto.Message
}

// Watch calls f after each request, in the goroutine that serves the request. The caller may have its answer already. f gets only requests
// that begin after Watch has returned. Watch replaces the watcher before; nil removes it. It may be called at any time. Without a watcher,
// a request costs only the check for one.
func (s *Server) Watch(f func(Finished)) {
	if f == nil {
		s.watcher.Store(nil)
		return
	}
	s.watcher.Store(&f)
}

// watch makes the request keep what a watcher gets.
func (c *call) watch() {
	if f := c.server.watcher.Load(); f != nil {
		c.watched = &watched{tell: *f}
	}
}

// keepMessages keeps the messages for the watcher. A missing answer is nil.
func (c *call) keepMessages(message, answer any) {
	if w := c.watched; w != nil {
		w.request, _ = message.(proto.Message)
		w.answer, _ = answer.(proto.Message)
	}
}

// tellWatcher passes a finished request to the watcher.
func (c *call) tellWatcher() {
	w := c.watched
	if w == nil {
		return
	}
	f := Finished{
		Start: c.start, Took: c.record.Took, Class: c.record.Class, Reason: c.reason, Caller: c.callerName(), Agent: product(c.agent), ID: c.id(),
		Error: w.err, Request: w.request, Answer: w.answer,
	}
	if f.Error != nil {
		f.Answer = nil // a service made it, but the caller did not get it
	}
	if f.Request == nil {
		f.Body = c.body
	}
	w.tell(f)
}
