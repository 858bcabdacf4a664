package rpcserver_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/rpcserver"
)

// TestBodiesThatDoNotCome reproduces A3 of the security review: requests whose body does not come must take no slot, whatever they
// call.
func TestBodiesThatDoNotCome(t *testing.T) {
	t.Parallel()
	for what, path := range map[string]string{"ordinary": "/wait", "urgent": "/urgent/wait"} {
		for how, head := range map[string]string{
			"announced": "Content-Length: 1048576\r\n\r\nx", "chunked": "Transfer-Encoding: chunked\r\n\r\n100000\r\nx",
		} {
			t.Run(what+", "+how, func(t *testing.T) {
				t.Parallel()
				e := newEdge(t)
				e.SetBudget(patience)
				const n = 700 // more than there are slots
				for range n {
					c, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { c.Close() })
					if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n%s", path, asProtobuf, head); err != nil {
						t.Fatal(err)
					}
				}
				e.await(t, func() bool { return e.Readers().Inside == n })
				if inside := e.InFlight(); inside != 0 {
					t.Errorf("%d requests without a body hold a slot", inside)
				}
				wantAdmitted(t, e.url+"/other", "x")
				wantAdmitted(t, e.url+"/urgent/x", "x")
			})
		}
	}
}

// TestLargeBodiesOfOneCaller checks that a caller whose large bodies do not end leaves room for others, and for its own small ones.
func TestLargeBodiesOfOneCaller(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.SetBudget(patience)
	for range 2 * rpcserver.MaxBytes / rpcserver.MaxBody {
		c := dialFrom(t, e, first)
		if _, err := fmt.Fprintf(c, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
			asProtobuf, rpcserver.MaxBody, strings.Repeat("x", rpcserver.MaxBody-1)); err != nil {
			t.Fatal(err)
		}
	}
	e.await(t, func() bool { return e.LargeBodies() > rpcserver.MaxBytes/2-rpcserver.MaxBody })
	if held := e.LargeBodies(); held > rpcserver.MaxBytes/2 {
		t.Errorf("one caller's bodies hold %d bytes, want at most half of %d", held, rpcserver.MaxBytes)
	}
	wantAdmitted(t, e.url+"/x", "x")
	r, err := clientFrom(t, second).Post(e.url+"/x", asProtobuf, strings.NewReader(strings.Repeat("x", rpcserver.MaxBody)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		t.Errorf("another caller's large body = %s", r.Status)
	}
}

func dialFrom(t *testing.T, e *edge, from string) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := dialer.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestLargeBodiesAreHeavy checks that requests with large bodies leave room for others.
func TestLargeBodiesAreHeavy(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	large := strings.Repeat("x", rpcserver.MaxBody)
	e.enter(t, 14, first, "/wait", large)
	const heavy = rpcserver.MaxRequests / 4 / (1 + rpcserver.MaxBody>>16)
	for range heavy {
		e.next(t)
	}
	wantRefused(t, e.url+"/x", large)
	e.occupy(t, rpcserver.MaxRequests*7/8, first, "/wait", "x")
	if n := e.InFlight(); n != heavy+rpcserver.MaxRequests*7/8 {
		t.Errorf("%d requests inside", n)
	}
}
