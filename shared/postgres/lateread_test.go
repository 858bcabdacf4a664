package postgres_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestLateReplies checks that a reply of PostgreSQL is used although this process reads it after its time.
func TestLateReplies(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if server, err := l.Accept(); err == nil {
			defer server.Close()
			_, _ = io.Copy(server, server)
		}
	}()
	c, err := postgres.Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 100 { // the server may be starved, too
		if err := c.SetDeadline(time.Now().Add(-20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatalf("Write = %v, want the statement sent", err)
		}
		var b [1]byte
		if n, err := c.Read(b[:]); n == 1 && err == nil {
			return
		}
	}
	t.Error("Read never got the reply")
}

// TestLateConnections checks that a statement gets a connection although this process notices the end of its wait late.
func TestLateConnections(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	db := e.Open(t, func(c *app.Options) { c.Budgets.Database.Acquire = -20 * time.Millisecond }).DB
	var err error
	for range 100 { // the server may be starved, too
		if err = query(t.Context(), db, `SELECT 'x'`); err == nil {
			return
		}
	}
	t.Errorf("no statement got a connection: %v", err)
}
