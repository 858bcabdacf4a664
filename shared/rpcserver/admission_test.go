package rpcserver_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// patience bounds what a test waits for. No test expects it to pass.
const patience = time.Minute

// edge serves /wait, whose requests stay inside until release, and anything else at once. What begins with /urgent/ is urgent.
type edge struct {
	*rpcserver.Server
	url    string
	inside chan string // the address of each request to /wait
	free   chan struct{}
	one    chan struct{}  // frees the requests to /wait/one
	done   sync.WaitGroup // requests to /wait
	once   sync.Once
}

func newEdge(t *testing.T) *edge {
	t.Helper()
	e := &edge{Server: rpcserver.New(slog.New(slog.DiscardHandler)), inside: make(chan string, 10_000), free: make(chan struct{}), one: make(chan struct{})}
	e.FixSlots()
	s := httptest.NewUnstartedServer(e.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/wait"):
			e.inside <- r.Header.Get("From")
			<-e.free
		case strings.HasSuffix(r.URL.Path, "/one"):
			e.inside <- r.Header.Get("From")
			<-e.one
		}
	}), "/urgent/"))
	s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return callers.WithConnection(ctx, callers.NewConnection(c, nil))
	}
	s.Start()
	t.Cleanup(s.Close)
	t.Cleanup(e.release)
	e.url = s.URL
	return e
}

func (e *edge) release() {
	e.once.Do(func() { close(e.free) })
	e.done.Wait()
}

// enter starts n requests from an address of this machine. It does not wait for them.
func (e *edge) enter(t *testing.T, n int, from, path, body string) {
	t.Helper()
	client := clientFrom(t, from)
	for range n {
		e.done.Go(func() {
			r, err := http.NewRequest(http.MethodPost, e.url+path, strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Content-Type", asProtobuf)
			r.Header.Set("From", from)
			if a, err := client.Do(r); err == nil {
				_ = a.Body.Close()
			}
		})
	}
}

// occupy starts n requests and returns when they are inside.
func (e *edge) occupy(t *testing.T, n int, from, path, body string) {
	t.Helper()
	e.enter(t, n, from, path, body)
	for range n {
		e.next(t)
	}
}

// next returns the address of the next request that comes inside.
func (e *edge) next(t *testing.T) string {
	t.Helper()
	select {
	case from := <-e.inside:
		return from
	case <-time.After(patience):
		t.Fatalf("no request came inside: %+v", e.Limits())
		return ""
	}
}

func (e *edge) await(t *testing.T, is func() bool) {
	t.Helper()
	await(t, e.Server, is)
}

// await waits for a state of the limits.
func await(t *testing.T, e *rpcserver.Server, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("the state does not come: %+v, readers %+v", e.Limits(), e.Readers())
		}
	}
}

// clientFrom returns a client that connects from an address of this machine.
func clientFrom(t *testing.T, from string) *http.Client {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	transport := &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 1 << 12}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

const (
	first  = "127.0.0.1"
	second = "127.0.0.2"
)

// TestTooManyRequests checks that the last eighth of the slots is reserved for urgent requests, and that a request that gets no slot
// in time is refused.
func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.occupy(t, rpcserver.MaxRequests*7/8, first, "/wait", "")
	wantRefused(t, e.url+"/other", "")
	wantAdmitted(t, e.url+"/urgent/x", "")
	e.release()
	wantAdmitted(t, e.url+"/other", "")
}

// TestRequestsWait checks that a request waits for a slot instead of being refused.
func TestRequestsWait(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.SetBudget(patience)
	e.occupy(t, rpcserver.MaxRequests*7/8, first, "/wait", "")
	e.enter(t, 100, first, "/wait", "")
	e.await(t, func() bool { return e.Limits().Waiting == 100 })
	wantAdmitted(t, e.url+"/urgent/x", "")
	e.once.Do(func() { close(e.free) })
	for range 100 {
		e.next(t)
	}
	if n := e.Limits().Refused; n != 0 {
		t.Errorf("%d requests were refused", n)
	}
}

// TestSlotsAreShared checks that one caller cannot take another's slots: with all in use and many requests of the first caller waiting,
// the second caller's requests get the next ones.
func TestSlotsAreShared(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		path string
		all  int
	}{
		"ordinary": {"/wait", rpcserver.MaxRequests * 7 / 8}, "urgent": {"/urgent/wait", rpcserver.MaxRequests},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t)
			e.SetBudget(patience)
			e.occupy(t, 1, first, test.path+"/one", "")
			e.occupy(t, test.all-1, first, test.path, "")
			e.enter(t, 50, first, test.path, "")
			e.await(t, func() bool { return e.Limits().Waiting == 50 })
			e.enter(t, 1, second, test.path, "")
			e.await(t, func() bool { return e.Limits().Waiting == 51 })
			close(e.one)
			if from := e.next(t); from != second {
				t.Errorf("the free slot went to %s, want the caller that has none", from)
			}
		})
	}
}

// TestCallerGivesUp checks that a caller that leaves while it waits is not served.
func TestCallerGivesUp(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.SetBudget(patience)
	e.occupy(t, rpcserver.MaxRequests*7/8, first, "/wait", "")
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+"/wait", strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		e.await(t, func() bool { return e.Limits().Waiting == 1 })
		cancel()
	}()
	if _, err := http.DefaultClient.Do(r); err == nil { //nolint:bodyclose // there is no answer
		t.Error("a caller that gave up was served")
	}
	e.await(t, func() bool { return e.Limits().Waiting == 0 })
}

// encoding is a request whose answer is work to encode.
type encoding struct {
	direct
	encode func()
}

func (e encoding) Encode(context.Context, any) error {
	e.encode()
	return nil
}

// TestAnswerIsEncodedInItsSlot checks that the work on an answer counts, also if another protocol encodes it.
func TestAnswerIsEncodedInItsSlot(t *testing.T) {
	t.Parallel()
	e, inside := rpcserver.New(slog.New(slog.DiscardHandler)), 0
	in := direct{t.Context(), &databasev1.GetUserRequest{UserId: "ada"}}
	if err := e.Serve(t.Context(), encoding{in, func() { inside = e.InFlight() }}); err != nil || inside != 1 || e.InFlight() != 0 {
		t.Errorf("%v; %d slots are held while the answer is encoded, and %d after it; want 1 and 0", err, inside, e.InFlight())
	}
}

// TestSlowCallerHoldsNoSlot checks that a slot is free once the answer is made, however slowly its caller takes it.
func TestSlowCallerHoldsNoSlot(t *testing.T) {
	t.Parallel()
	e := rpcserver.New(slog.New(slog.DiscardHandler))
	sent := make(chan int, 1)
	s := httptest.NewServer(e.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		sent <- e.InFlight()
		_, _ = w.Write([]byte("x"))
	})))
	t.Cleanup(s.Close)
	wantAdmitted(t, s.URL+"/x", "x")
	if n := <-sent; n != 0 {
		t.Errorf("%d slots are held while an answer is sent", n)
	}
}
