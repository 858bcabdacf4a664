package emulator_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/osirose-new/database-service/local/emulator"
)

// meeting is a server that answers its callers only after leave.
type meeting struct {
	url     string
	arrived chan struct{} // closed when the expected number of callers has arrived
	leave   func()
	pids    func() []int // of the callers
}

func meet(t *testing.T, count int) meeting {
	t.Helper()
	var mu sync.Mutex
	var pids []int
	arrived, left := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pid, _ := strconv.Atoi(r.URL.RawQuery) // 0 if the caller sends none
		mu.Lock()
		pids = append(pids, pid)
		if count--; count == 0 {
			close(arrived)
		}
		mu.Unlock()
		<-left
		_, _ = w.Write([]byte("left"))
	}))
	m := meeting{server.URL, arrived, sync.OnceFunc(func() { close(left) }), func() []int {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(pids)
	}}
	t.Cleanup(func() {
		m.leave()
		server.Close()
	})
	return m
}

// wait makes a function call the meeting.
func (e running) wait(t *testing.T, m meeting, headers ...string) reply {
	t.Helper()
	return e.invoke(t, "GoodFunction", `{"do":"wait","url":"`+m.url+`"}`, headers...)
}

// abandon is wait without the response.
func (e running) abandon(m meeting) {
	body := strings.NewReader(`{"do":"wait","url":"` + m.url + `"}`)
	r, err := http.Post(e.url+"/2015-03-31/functions/GoodFunction/invocations", "application/json", body)
	if err == nil {
		r.Body.Close()
	}
}

func (m meeting) begun(t *testing.T) {
	t.Helper()
	select {
	case <-m.arrived:
	case <-time.After(2 * time.Minute): // a hang, not a slow machine
		t.Fatal("the callers did not arrive within 2 minutes")
	}
}

func TestPool(t *testing.T) {
	t.Parallel()
	t.Run("one after the other in one process", func(t *testing.T) {
		t.Parallel()
		e := serve(t, emulator.Options{})
		first := e.do(t, "nothing").json("pid")
		for range 20 {
			if r := e.do(t, "nothing"); first == "" || r.json("pid") != first {
				t.Fatalf("got process %s, want %s", r.text, first)
			}
		}
		wantAnswer(t, e.do(t, "panic"), http.StatusOK, "Unhandled")
		if r := e.do(t, "nothing"); r.json("pid") == first || r.json("pid") == "" {
			t.Errorf("got %s, want a new process after one that ended", r.text)
		}
	})
	t.Run("a free process ends", func(t *testing.T) {
		t.Parallel()
		e := serve(t, emulator.Options{})
		pid, err := strconv.Atoi(e.do(t, "nothing").json("pid"))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the process to end", func() bool { return strings.Contains(e.output.String(), "process ended") })
		wantAnswer(t, e.do(t, "nothing"), http.StatusOK, "")
	})
	t.Run("64 at once", func(t *testing.T) {
		t.Parallel()
		e := serve(t, emulator.Options{})
		m := meet(t, 64)
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				if r := e.wait(t, m); r.code != http.StatusOK || r.text != `"left"` {
					t.Errorf("got %d %s", r.code, r.text)
				}
			})
		}
		m.begun(t)
		m.leave()
		all.Wait()
		pids := m.pids()
		slices.Sort(pids)
		if n := len(slices.Compact(pids)); n != 64 {
			t.Errorf("got %d processes, want 64", n)
		}
	})
	t.Run("more than the limits", func(t *testing.T) {
		t.Parallel()
		e := serve(t, emulator.Options{MaxProcesses: 2, MaxQueue: 2})
		m := meet(t, 2)
		replies := make(chan reply, 5)
		for range 2 {
			go func() { replies <- e.wait(t, m) }()
		}
		m.begun(t)
		for range 3 { // MaxQueue is 2
			go func() { replies <- e.do(t, "nothing") }()
		}
		r := <-replies
		wantAnswer(t, r, http.StatusTooManyRequests, "")
		wantText(t, r.text, `"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded"`, `"Type":"User"`, "Rate Exceeded.")
		if kind := r.header.Get("X-Amzn-ErrorType"); kind != "TooManyRequestsException" {
			t.Errorf("got %q", kind)
		}
		m.leave()
		for range 4 {
			wantAnswer(t, <-replies, http.StatusOK, "")
		}
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	e := serve(t, emulator.Options{})
	m := meet(t, 2)
	busy := make(chan reply, 2)
	idle, err := strconv.Atoi(e.do(t, "nothing").json("pid"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		go func() { busy <- e.wait(t, m) }()
	}
	m.begun(t)
	if err := e.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	for _, pid := range append(m.pids(), idle) {
		if err := syscall.Kill(pid, 0); pid == 0 || err != syscall.ESRCH {
			t.Errorf("process %d is there after Close: %v", pid, err)
		}
	}
	for range 2 {
		r := <-busy
		wantAnswer(t, r, http.StatusOK, "Unhandled")
		wantText(t, r.text, "Runtime.ExitError")
	}
	r := e.do(t, "nothing")
	wantAnswer(t, r, http.StatusOK, "Unhandled")
	wantText(t, r.text, "the emulator is closed")
}
