package tracing_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestCollectorFails checks that requests succeed while the collector hangs, refuses, or fails for a time.
func TestCollectorFails(t *testing.T) {
	t.Parallel()
	for what, fail := range map[string]func(*testing.T, *collector){
		"hangs":       func(t *testing.T, c *collector) { c.hang(t) },
		"refuses":     func(_ *testing.T, c *collector) { c.Close() },
		"answers 400": func(_ *testing.T, c *collector) { c.status = http.StatusBadRequest },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			e, c := testenv.New(t, "plugins", "miniredis"), startCollector(t)
			fail(t, c)
			p := open(t, e, c.endpoint(), false)
			url, user := serve(t, p.handler), e.AddUser(t, "Player1")
			var callers sync.WaitGroup
			for range 8 {
				callers.Go(func() {
					for range 100 { // more spans than the queue holds
						status, _, body := patient(t, func() (int, http.Header, []byte) {
							return call(t, url, getUser, asJSON, nil, &databasev1.GetUserRequest{UserId: user})
						})
						if status != http.StatusOK || !strings.Contains(string(body), user) {
							t.Errorf("%d %s, want the user", status, body)
						}
					}
				})
			}
			callers.Wait()
			p.traces.Close()
			log := p.log.String()
			for raw := range strings.Lines(log) {
				if !strings.Contains(raw, `"msg":"request"`) && (strings.Contains(raw, "127.0.0.1") || strings.Contains(raw, "v1/traces")) {
					t.Errorf("logged %s, which contains an address", raw)
				}
			}
			if what != "hangs" && strings.Count(log, "traces are not sent") != 1 {
				t.Errorf("logged %.2000s, want one line about traces", log)
			}
		})
	}
}

// TestCollectorComesBack checks the log line when traces are sent again.
func TestCollectorComesBack(t *testing.T) {
	t.Parallel()
	e, c := testenv.New(t, "plugins", "miniredis"), startCollector(t)
	c.status = http.StatusBadRequest
	p := open(t, e, c.endpoint(), false)
	url := serve(t, p.handler)
	get := func() {
		_, header, _ := call(t, url, getUser, asJSON, nil, &databasev1.GetUserRequest{UserId: "1"})
		trace, _, _ := splitTrace(t, header.Get("traceresponse"))
		c.trace(trace)
	}
	get()
	c.mu.Lock()
	c.status = 0
	c.mu.Unlock()
	get()
	p.traces.Close() // after it the log lines are written
	if log := p.log.String(); strings.Count(log, "traces are not sent") != 1 || strings.Count(log, "traces are sent again") != 1 {
		t.Errorf("logged %s, want a line that traces are not sent, and one that they are sent again", log)
	}
}
