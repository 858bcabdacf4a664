package rpcserver_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestBody announces and sends bodies that are too large; it writes to connections itself, because the answer comes before
// the body is read.
func TestBody(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis", testenv.RealBudgets)
	url := serveAll(t, io.Discard, e.Program)
	for name, m := range methods(t, e, url) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := strings.TrimPrefix(m.path, url)
			// These requests announce a body, but send none of it.
			a := raw(t, url, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, rpcserver.MaxBody+1))
			wantAnswer(t, name+" with a large Content-Length", a, twirp.Malformed, "BODY_TOO_LARGE", "")
			a = raw(t, url, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s", path, 1<<24, strings.Repeat(" ", rpcserver.MaxBody+1)))
			wantAnswer(t, name+" with a large chunk", a, twirp.Malformed, "BODY_TOO_LARGE", "")
			a = raw(t, url, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", path))
			wantAnswer(t, name+" with a broken chunk", a, twirp.Malformed, "BODY", "")
			a = post(t, m.path, asJSON, "{}"+strings.Repeat(" ", rpcserver.MaxBody-2))
			if a.Code != twirp.InvalidArgument || a.Meta["argument"] == "" {
				t.Errorf("%s with a body of 1 MiB = %v, want the body read and an error for a missing field", name, a)
			}
			for _, more := range []string{"{}", "\n[1", " x"} {
				a = post(t, m.path, asJSON, encode(t, m.valid(t))[asJSON]+more)
				wantAnswer(t, name+" with "+more+" behind its request", a, twirp.Malformed, "BODY", "")
			}
			// net/http sends a reader of unknown length in chunks.
			a = send(t, http.MethodPost, m.path, asProtobuf, io.MultiReader(bytes.NewReader([]byte(encode(t, m.valid(t))[asProtobuf]))))
			if a.Code == twirp.Malformed || a.Code == twirp.Internal {
				t.Errorf("%s in chunks = %v, want the body read", name, a)
			}
		})
	}

	for what, test := range map[string]struct{ header, body string }{
		"announced": {"Content-Length: 100", "{"}, "chunked": {"Transfer-Encoding: chunked", "5\r\n{"},
	} {
		t.Run("a body that does not come, "+what, func(t *testing.T) {
			t.Parallel()
			a := raw(t, url, "POST "+getUserPath+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+test.header+"\r\n\r\n"+test.body)
			if a.Code != twirp.DeadlineExceeded {
				t.Errorf("GetUser = %v, want %s", a, twirp.DeadlineExceeded)
			}
			wantNoLeak(t, "GetUser", a)
		})
	}
}

// TestWholeBodyFirst refuses requests of clients that send a whole body before they read. The connection must then serve the
// next request.
func TestWholeBodyFirst(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis", testenv.RealBudgets)
	url := serveAll(t, io.Discard, e.Program)
	for what, test := range map[string]struct {
		path, contentType string
		size              int
		code              twirp.ErrorCode
		reason            string
	}{
		"1 MiB and a byte":                   {getUserPath, asJSON, rpcserver.MaxBody + 1, twirp.Malformed, "BODY_TOO_LARGE"},
		"15 MiB":                             {getUserPath, asJSON, 15 << 20, twirp.Malformed, "BODY_TOO_LARGE"},
		"1 MiB of a wrong type":              {getUserPath, "text/plain", rpcserver.MaxBody, twirp.BadRoute, "ROUTE"},
		"1 MiB for an unknown method":        {getUserPath + "x", asJSON, rpcserver.MaxBody, twirp.BadRoute, "ROUTE"},
		"1 MiB for a path without a service": {"/x", asJSON, rpcserver.MaxBody, twirp.BadRoute, "ROUTE"},
	} {
		head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n", test.path, test.contentType)
		body := strings.Repeat(" ", test.size)
		for how, request := range map[string]string{
			"Content-Length": fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, test.size, body),
			"chunked":        fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", head, test.size, body),
		} {
			t.Run(what+", "+how, func(t *testing.T) {
				t.Parallel()
				conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				answers := bufio.NewReader(conn)
				for range 2 {
					if _, err := io.WriteString(conn, request); err != nil {
						t.Fatalf("send the body: %v", err)
					}
					r, err := http.ReadResponse(answers, nil)
					if err != nil {
						t.Fatalf("read the answer: %v", err)
					}
					wantAnswer(t, "POST "+test.path, readAnswer(t, r), test.code, test.reason, "")
				}
			})
		}
	}
}

// raw sends only these bytes, and reads the answer while the connection stays open.
func raw(t testing.TB, url, request string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("read the answer: %v", err)
	}
	return readAnswer(t, r)
}
