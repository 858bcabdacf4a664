package rpcserver

import (
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// maxDiscard is the size in bytes of an unread body that discard reads.
	maxDiscard = 16 << 20
	// discardTime bounds the time of discard.
	discardTime = 3 * time.Second
	// netHTTPDiscards is the size in bytes of an unread body that net/http reads itself before it answers. By HTTP/2 it reads
	// none: it resets the stream, and some clients then lose the answer.
	netHTTPDiscards = 256 << 10
)

// discard sends the answer, and then reads the rest of a large body. Most clients send a whole request before they read the
// answer. If the server closed the connection with a part unread, TCP would reset it, and the client would lose the answer.
func discard(w http.ResponseWriter, r *http.Request, body io.Reader) {
	size := r.ContentLength
	if size == 0 || size > 0 && size <= netHTTPDiscards && r.ProtoMajor == 1 || r.Header["Expect"] != nil {
		return // a client that expects 100 Continue has not sent the body
	}
	c := http.NewResponseController(w)
	if c.EnableFullDuplex() != nil || c.Flush() != nil || c.SetReadDeadline(time.Now().Add(discardTime)) != nil {
		return // no connection, as in a Lambda function, or the caller has gone
	}
	if _, err := io.CopyN(io.Discard, body, maxDiscard); !errors.Is(err, io.EOF) && r.ProtoMajor == 1 {
		panic(http.ErrAbortHandler) // closes the connection. net/http would read on, and panic if the caller closes it then
	}
}
