package rpcserver

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/limiter"
	"github.com/osirose-new/database-service/shared/request"
)

var (
	errBody   = Error(twirp.Malformed, "BODY_TOO_LARGE", fmt.Sprintf("the body is larger than %d bytes", MaxBody))
	errBroken = Error(twirp.Malformed, "BODY", "the body could not be read")
	errMore   = Error(twirp.Malformed, "BODY", "more than one JSON value came: send one request in a body")
)

// readBody reads the body before the request takes a slot. A body that does not come takes one of the readers, as many bytes as have
// come, and no slot.
func (c *call) readBody(r *http.Request) twirp.Error {
	switch {
	case r.ContentLength > MaxBody:
		return errBody
	case r.ContentLength == 0, r.Body == nil, c.record.Class.Protocol == "": // Twirp refuses the latter without reading
		return nil
	}
	if err := c.startReading(); err != nil {
		return err
	}
	body, err := c.receive(r)
	c.stopReading()
	if err != nil {
		return err
	}
	c.isJSON = c.record.Class.Protocol == request.JSON
	c.body = body
	c.reader.Reset(body)
	r.Body = (*bodyOf)(c)
	return nil
}

// receive reads the body into a buffer that grows with what has come, not with what was announced.
func (c *call) receive(r *http.Request) ([]byte, twirp.Error) {
	size := smallBody
	if r.ContentLength > 0 {
		size = min(size, int(r.ContentLength))
	}
	body := c.small[:0]
	if size > len(c.small) {
		body = make([]byte, 0, size)
	}
	for {
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > MaxBody:
			return nil, errBody
		case errors.Is(err, io.EOF), len(body) == int(r.ContentLength):
			return body, nil
		case err != nil && c.Err() != nil:
			return nil, c.public(c, c.Err())
		case err != nil:
			return nil, errBroken
		case len(body) < cap(body):
			continue
		}
		larger := 2 * cap(body)
		if r.ContentLength > 0 {
			larger = min(larger, int(r.ContentLength))
		}
		if !c.hold(larger, false) {
			return nil, errBusy
		}
		body = append(make([]byte, 0, larger), body...)
	}
}

func (c *call) startReading() twirp.Error {
	reading, ok := c.server.readers.Enter(c.parent, c.start, c.want(c.kind, 1))
	if !ok {
		return c.shed()
	}
	c.reading = reading
	return nil
}

func (c *call) stopReading() {
	if c.reading.Held() {
		c.server.readers.Leave(c.reading)
		c.reading = limiter.Slot{}
	}
}

// hold counts a body of that size, until the answer is made. If arrived is set, it is in memory already, so it counts even if it is too
// much: then later bodies are refused.
func (c *call) hold(size int, arrived bool) bool {
	more := (size+smallBody-1)/smallBody - c.large.Weight()
	if more <= 0 {
		return true
	}
	if !c.large.Held() {
		c.large = c.server.large.Hold(c.record.Principal, c.kind)
	}
	return c.server.large.Grow(&c.large, more, arrived)
}

// bodyOf is a body that has been read.
type bodyOf call

// Read implements io.Reader.
func (b *bodyOf) Read(p []byte) (int, error) { return b.reader.Read(p) }

// Close implements io.Closer.
func (*bodyOf) Close() error { return nil }

var _ io.ReadCloser = (*bodyOf)(nil)
