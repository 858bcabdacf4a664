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
	// A signature's time may be 5 min off. An answer of 403 whose Date is that far from our time, give or take the time
	// that the answer took, is taken for that.
	maxSkew = 5*time.Minute - 10*time.Second

	firstPause = 100 * time.Millisecond
	maxPause   = 2 * time.Second
	maxAfter   = 30 * time.Second // a longer Retry-After is left to the caller
	maxDiscard = 64 << 10         // of an answer that is dropped; more is not worth the connection
	maxPeek    = 4 << 10          // of an answer whose text matters
)

// refused reports whether the request was surely not carried out, and may be later. A 429 in Twirp's JSON is the service's
// own answer, which it may have worked for.
func refused(resp *http.Response, err error) bool {
	if err != nil {
		op, ok := errors.AsType[*net.OpError](err)
		return ok && op.Op == "dial"
	}
	return resp.StatusCode == http.StatusTooManyRequests && !strings.Contains(peek(resp), `"meta"`)
}

// correct reports whether the signature was refused for its time, which was off by used, and sets our clock by the
// answer's. A REST API may answer 401 where its responses are shaped for Twirp.
func (t *Transport) correct(resp *http.Response, now time.Time, used time.Duration) bool {
	if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusUnauthorized {
		return false
	}
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return false
	}
	skew := date.Sub(now)
	// An HTTP API says "Forbidden" and no more. Where the process was frozen after it signed, the clocks agree by now.
	if off := skew - used; off.Abs() < maxSkew && !blamesTime(resp) {
		return false
	}
	if skew.Abs() < maxSkew {
		skew = 0
	}
	t.skew.Store(int64(skew))
	return true
}

// blamesTime looks for what REST APIs and Function URLs say.
func blamesTime(resp *http.Response) bool {
	head := peek(resp)
	for _, words := range []string{"Signature expired", "Signature not yet current", "RequestTimeTooSkewed"} {
		if strings.Contains(head, words) || strings.Contains(resp.Header.Get("X-Amzn-Errortype"), words) {
			return true
		}
	}
	return false
}

// peek reads the begin of the body, and leaves it as it was.
func peek(resp *http.Response) string {
	head, _ := io.ReadAll(io.LimitReader(resp.Body, maxPeek)) // who reads the body meets the error, too
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), resp.Body), resp.Body}
	return string(head)
}

// backoff is how long to wait after that attempt: a random part of a time that doubles, so that clients that were
// refused together do not come back together, and after what the answer asks for.
func backoff(attempt int, resp *http.Response, now time.Time) time.Duration {
	pause := rand.N(min(maxPause, firstPause<<min(attempt-1, 10))) //nolint:gosec // nothing secret
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

// discard reads the rest of an answer, so that its connection can be used again.
func discard(resp *http.Response) {
	if resp != nil {
		_, _ = io.CopyN(io.Discard, resp.Body, maxDiscard)
		_ = resp.Body.Close()
	}
}
