package sigv4_test

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestSkew(t *testing.T) {
	t.Parallel()
	forbidden := func(offset time.Duration, body string, headers ...string) try {
		return says(403, body, append(headers, "Date", begin.Add(offset).Format(http.TimeFormat))...)
	}
	for name, test := range map[string]struct {
		first try
		again time.Duration
	}{
		"an HTTP API, our clock is behind":       {forbidden(time.Hour, `{"message":"Forbidden"}`), time.Hour},
		"an HTTP API, our clock is ahead":        {forbidden(-5*time.Minute, `{"message":"Forbidden"}`), -5 * time.Minute},
		"a REST API, our clock is behind":        {forbidden(6*time.Minute, `{"message":"Signature expired: 20261122T120000Z is now earlier than"}`), 6 * time.Minute},
		"a REST API, our clock is ahead":         {forbidden(-6*time.Minute, `{"message":"Signature not yet current: 20261122T120000Z is still later than"}`), -6 * time.Minute},
		"frozen after it signed":                 {forbidden(2*time.Second, `{"message":"Signature expired: 20261122T120000Z is now earlier than"}`), 0},
		"a REST API that answers as Twirp does":  {says(401, `{"code":"unauthenticated","msg":"Signature expired: 20261122T120000Z"}`, "Date", begin.Add(time.Hour).Format(http.TimeFormat)), time.Hour},
		"RequestTimeTooSkewed is the error type": {forbidden(2*time.Second, "", "X-Amzn-Errortype", "RequestTimeTooSkewed"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr, c := transport(), &clock{at: begin}
			resp, signed, err := play(t, tr, c, test.first, says(200, ""))
			if want := []string{stamp(begin), stamp(begin.Add(test.again))}; err != nil || resp.StatusCode != 200 || !slices.Equal(signed, want) {
				t.Errorf("RoundTrip = %v, %v, signed at %v, want 200, signed at %v", resp, err, signed, want)
			}
			if len(c.waits) != 1 || c.waits[0] != 0 {
				t.Errorf("waited %v, want no time", c.waits)
			}
			_, signed, _ = play(t, tr, c, says(200, ""))
			if want := []string{stamp(begin.Add(test.again))}; !slices.Equal(signed, want) {
				t.Errorf("the next request is signed at %v, want %v", signed, want)
			}
		})
	}
	t.Run("at most once", func(t *testing.T) {
		t.Parallel()
		resp, _, err := play(t, transport(), &clock{at: begin}, forbidden(time.Hour, ""), forbidden(-time.Hour, "no"))
		if err != nil || resp.StatusCode != 403 {
			t.Errorf("RoundTrip = %v, %v, want 403", resp, err)
		}
	})
	t.Run("two at once", func(t *testing.T) {
		t.Parallel()
		tr := transport()
		tr.SetClock(func() time.Time { return begin }, func(context.Context, time.Duration) error { return nil })
		var both sync.WaitGroup // until both are signed by the wrong clock
		both.Add(2)
		tr.Base = roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("X-Amz-Date") != stamp(begin) {
				return answer(200, ""), nil
			}
			both.Done()
			both.Wait()
			return forbidden(time.Hour, `{"message":"Forbidden"}`)()
		})
		var done sync.WaitGroup
		for range 2 {
			done.Go(func() {
				resp, err := tr.RoundTrip(request(t, http.MethodPost, "https://db.example.com/x", "body"))
				if err != nil || resp.StatusCode != 200 {
					t.Errorf("RoundTrip = %v, %v, want 200", resp, err)
				}
			})
		}
		done.Wait()
	})
	t.Run("our clock is set right again", func(t *testing.T) {
		t.Parallel()
		tr, c := transport(), &clock{at: begin}
		_, _, _ = play(t, tr, c, forbidden(time.Hour, ""), says(200, ""))
		c.at = begin.Add(time.Hour)
		_, signed, _ := play(t, tr, c, forbidden(time.Hour, ""), says(200, ""))
		if want := []string{stamp(begin.Add(2 * time.Hour)), stamp(begin.Add(time.Hour))}; !slices.Equal(signed, want) {
			t.Errorf("signed at %v, want %v", signed, want)
		}
	})
}
