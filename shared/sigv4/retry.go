package sigv4

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// AWS accepts a signature whose time is up to 5 min off. A 403 whose Date differs by that much from our time, minus a
	// margin for the time that the answer took, is taken for a clock error.
	maxSkew = 5*time.Minute - 10*time.Second

	firstPause = 100 * time.Millisecond
	maxPause   = 2 * time.Second
	maxAfter   = 30 * time.Second // the caller decides about a longer Retry-After
	maxDiscard = 64 << 10         // bytes read from a discarded answer; reading more costs more than a new connection
	maxPeek    = 4 << 10          // bytes read to recognize an error
)

// refused reports whether the server certainly did not execute the request, and may accept it later. A 429 in Twirp's JSON
// comes from the service, which may have executed part of it.
func refused(resp *http.Response, err error) bool {
	if err != nil {
		op, ok := errors.AsType[*net.OpError](err)
		return ok && op.Op == "dial"
	}
	return resp.StatusCode == http.StatusTooManyRequests && !strings.Contains(peek(resp), `"meta"`)
}

// correct reports whether the signature was refused for its time. If so, it adopts the answer's clock. used is the skew that
// the signature was made with. A REST API answers 401 if its responses are shaped for Twirp.
func (t *Transport) correct(resp *http.Response, now time.Time, used time.Duration) bool {
	if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusUnauthorized {
		return false
	}
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return false
	}
	skew := date.Sub(now)
	// An HTTP API says only "Forbidden". If the process was frozen after it signed, the clocks agree again by now.
	if off := skew - used; off.Abs() < maxSkew && !blamesTime(resp) {
		return false
	}
	if skew.Abs() < maxSkew {
		skew = 0
	}
	t.skew.Store(int64(skew))
	return true
}

// blamesTime recognizes the error messages of REST APIs and Function URLs.
func blamesTime(resp *http.Response) bool {
	head := peek(resp)
	for _, words := range []string{"Signature expired", "Signature not yet current", "RequestTimeTooSkewed"} {
		if strings.Contains(head, words) || strings.Contains(resp.Header.Get("X-Amzn-Errortype"), words) {
			return true
		}
	}
	return false
}

// peek returns the start of the body, and leaves the body unread.
func peek(resp *http.Response) string {
	head, _ := io.ReadAll(io.LimitReader(resp.Body, maxPeek)) // a reader of the body gets the error again
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), resp.Body), resp.Body}
	return string(head)
}

// backoff returns how long to wait after an attempt: the answer's Retry-After plus a random part of a time that doubles. The
// random part keeps clients that were refused together from retrying together.
func backoff(attempt int, resp *http.Response, now time.Time) time.Duration {
	pause := rand.N(min(maxPause, firstPause<<min(attempt-1, 10)))
	if resp == nil {
		return pause
	}
	after := resp.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(after, 10, 31); err == nil {
		return pause + time.Duration(seconds)*time.Second
	}
	if at, err := http.ParseTime(after); err == nil {
		return pause + max(0, at.Sub(now))
	}
	return pause
}

// discard reads the rest of an answer, so that its connection can be reused.
func discard(resp *http.Response) {
	if resp != nil {
		_, _ = io.CopyN(io.Discard, resp.Body, maxDiscard)
		_ = resp.Body.Close()
	}
}
