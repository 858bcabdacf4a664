package main

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestIdleConnections opens more idle connections than the program may have file descriptors (finding A7): health and the admin
// address answer, and so does a client that was there before and stays in use.
func TestIdleConnections(t *testing.T) {
	t.Parallel()
	const files = 400
	admin := "127.0.0.1:" + freePort(t)
	e := testenv.New(t, "plugins", "miniredis")
	user := e.AddUser(t, "Alice")
	p := start(t, append(outside(e), openFiles+"="+strconv.Itoa(files), "ADMIN_ADDR="+admin))
	conn := p.dial(t)
	for i := range files + 100 {
		idle(t, strings.TrimPrefix(p.url, "http://"))
		if i%10 > 0 {
			continue
		}
		if got, err := getUser(t, conn, user); err != nil || got.GetId() != user {
			t.Fatalf("GetUser beside %d idle connections = %v, %v", i+1, got, err)
		}
	}
	for range 20 {
		idle(t, admin)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	for _, url := range []string{p.url + "/healthz", p.url + "/readyz", "http://" + admin + "/healthz", "http://" + admin + "/metrics"} {
		r, err := client.Get(url)
		if err != nil {
			t.Errorf("GET %s: %v", url, err)
			continue
		}
		body, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if r.StatusCode != http.StatusOK {
			t.Errorf("GET %s = %d %s", url, r.StatusCode, body)
		}
	}
}

// idle opens a connection, and sends nothing but HTTP/2's preface: the program keeps it for 15 minutes.
func idle(t *testing.T, addr string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, http2.ClientPreface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00"); err != nil {
		t.Fatal(err)
	}
}

// TestRapidReset starts requests and resets them at once (finding A8: 21,410 a second went unpunished). The client is sent away, and others
// are served.
func TestRapidReset(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	user := e.AddUser(t, "Alice")
	p, admin := startWithAdmin(t, outside(e))
	sent := resets(t, strings.TrimPrefix(p.url, "http://"), user)
	if got, err := getUser(t, p.dial(t), user); err != nil || got.GetId() != user {
		t.Errorf("GetUser = %v, %v, want it served", got, err)
	}
	waitForMetrics(t, admin, map[string]float64{`closed_connections_total{reason="flood"}`: 1}, func() {})
	eventually(t, "a line about the connections", func() bool { return strings.Contains(p.stderr.String(), `"flood":`) })
	t.Logf("%d requests, %d lines", sent, strings.Count(p.stderr.String(), `"msg":"request"`))
}

// resets makes requests and resets them until the server closes the connection. It returns their number.
func resets(t *testing.T, addr, user string) int {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	_, _ = io.WriteString(c, http2.ClientPreface)
	go func() { _, _ = io.Copy(io.Discard, c) }()
	message, _ := proto.Marshal(&databasev1.GetUserRequest{UserId: user})
	body := append([]byte{0, 0, 0, 0, byte(len(message))}, message...)
	w := bufio.NewWriter(c)
	f := http2.NewFramer(w, nil)
	_ = f.WriteSettings()
	var block bytes.Buffer
	h := hpack.NewEncoder(&block)
	for n := 0; ; n++ {
		block.Reset()
		for _, field := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/osirose.database.v1.UserService/GetUser"}, {"content-type", "application/grpc"}} {
			_ = h.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
		}
		id := uint32(2*n + 1)
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true})
		_ = f.WriteData(id, true, body)
		_ = f.WriteRSTStream(id, http2.ErrCodeCancel)
		if err := w.Flush(); err != nil {
			if e, ok := err.(net.Error); ok && e.Timeout() {
				t.Errorf("the connection is open after %d resets, want it closed", n)
			}
			return n
		}
	}
}

// TestLogClosed checks that one line a tick says what was closed since the tick before.
func TestLogClosed(t *testing.T) {
	t.Parallel()
	var full, flood atomic.Uint64
	var out output
	tick, done, ended := make(chan time.Time), make(chan struct{}), make(chan struct{})
	go func() {
		logClosed(slog.New(slog.NewTextHandler(&out, nil)), map[string]func() uint64{"full": full.Load, "flood": flood.Load}, tick, done)
		close(ended)
	}()
	tick <- time.Time{}
	full.Store(3)
	for range 3 {
		tick <- time.Time{}
	}
	full.Store(5)
	flood.Store(1)
	tick <- time.Time{}
	close(done)
	<-ended
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.HasSuffix(lines[0], " full=3") || !strings.HasSuffix(lines[1], " flood=1 full=2") {
		t.Errorf("logged %q, want full=3, then flood=1 full=2", lines)
	}
}

// TestChunkedRequest checks that a connection ends with a request whose end a proxy may see elsewhere, and that others stay open.
func TestChunkedRequest(t *testing.T) {
	t.Parallel()
	p := start(t, outside(testenv.New(t, "plugins", "miniredis")))
	host := strings.TrimPrefix(p.url, "http://")
	head := "POST /twirp/osirose.database.v1.UserService/GetUser HTTP/1.1\r\nHost: " + host + "\r\nContent-Type: application/json\r\n"
	for what, test := range map[string]struct {
		request string
		closes  bool
	}{
		"Content-Length":                       {head + "Content-Length: 2\r\n\r\n{}", false},
		"Transfer-Encoding":                    {head + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", true},
		"Content-Length and Transfer-Encoding": {head + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", true},
	} {
		c, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.WriteString(c, test.request); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusBadRequest || answer.Close != test.closes {
			t.Errorf("%s: %s, Connection: close is %t, want 400 and %t", what, answer.Status, answer.Close, test.closes)
		}
	}
}
