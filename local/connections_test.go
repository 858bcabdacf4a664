package main

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

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
