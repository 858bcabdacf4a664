package main

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDrainWaitsForALongRequest checks that a shutdown waits for a running request. The program closes unused
// connections first: one of them shows that the drain has started.
func TestDrainWaitsForALongRequest(t *testing.T) {
	t.Parallel()
	// On a machine under load the request may time out before it is released.
	for try := 0; ; try++ {
		b := startBlocked(t)
		unused := keepAlive(t, b.program.url)
		b.program.signal(t, syscall.SIGTERM)
		if _, err := unused.Read(make([]byte, 1)); err == nil {
			t.Error("an unused connection got an answer")
		}
		b.release()
		code := <-b.answered
		b.program.wantExit(t, 0)
		if code == http.StatusServiceUnavailable && try < 5 {
			continue
		}
		if code != http.StatusOK {
			t.Errorf("the request got %d, want 200", code)
		}
		return
	}
}

// keepAlive returns a connection that has had one answer and is open for the next request.
func keepAlive(t *testing.T, url string) net.Conn {
	t.Helper()
	host := strings.TrimPrefix(url, "http://")
	c, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("GET /healthz HTTP/1.1\r\nHost: " + host + "\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.Close {
		t.Fatalf("the server does not keep the connection open: %v", err)
	}
	return c
}
