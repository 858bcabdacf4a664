package postgres_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestPasswordStays checks that no server gets the password, whatever it asks for and whatever the URL's sslmode is, and that
// require_auth allows it.
func TestPasswordStays(t *testing.T) {
	t.Parallel()
	const password = "the-secret-password"
	for ask, allow := range map[pgproto3.BackendMessage]string{
		&pgproto3.AuthenticationCleartextPassword{}: "require_auth=password",
		&pgproto3.AuthenticationMD5Password{}:       "require_auth=md5",
	} {
		for _, test := range []struct {
			params string
			sent   bool
		}{{"", false}, {"sslmode=prefer", false}, {"sslmode=disable", false}, {"sslmode=disable&" + allow, true}} {
			s := newThief(t, ask)
			db, err := postgres.Open("postgres://u:"+password+"@"+s.address+"/d?"+test.params, postgres.Options{Budgets: testenv.Budgets().Database})
			if err != nil {
				t.Fatal(err)
			}
			_, err = db.Changes(t.Context(), "")
			db.Close()
			got := s.received()
			if sent := bytes.Contains(got, []byte(password)) || bytes.Contains(got, []byte("md5")); sent != test.sent || err == nil {
				t.Errorf("%T, %q: the server received %q, %v; want a password: %t, and an error", ask, test.params, got, err, test.sent)
			}
		}
	}
}

// thief is a server without TLS that asks for a password and keeps what it gets.
type thief struct {
	net.Listener
	address string
	mu      sync.Mutex
	got     []byte
	conns   sync.WaitGroup // the loop that accepts is in it too
}

func newThief(t *testing.T, ask pgproto3.BackendMessage) *thief {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &thief{Listener: l, address: l.Addr().String()}
	s.conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.conns.Go(func() { s.steal(c, ask) })
		}
	})
	return s
}

func (s *thief) steal(c net.Conn, ask pgproto3.BackendMessage) {
	defer c.Close()
	backend := pgproto3.NewBackend(c, c)
	m, err := backend.ReceiveStartupMessage()
	if _, secure := m.(*pgproto3.SSLRequest); secure && err == nil {
		if _, err = c.Write([]byte("N")); err == nil {
			_, err = backend.ReceiveStartupMessage()
		}
	}
	if err != nil {
		return
	}
	backend.Send(ask)
	if backend.Flush() != nil {
		return
	}
	header := make([]byte, 5) // a type and a length
	if _, err := io.ReadFull(c, header); err != nil {
		return
	}
	rest := make([]byte, int(header[3])<<8+int(header[4])-4)
	_, _ = io.ReadFull(c, rest)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(append(s.got, header...), rest...)
}

// received returns what clients sent after the question. All of them have left, and no other can come.
func (s *thief) received() []byte {
	s.Close()
	s.conns.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got
}

type remoteConn struct {
	net.Conn
	remote net.Addr
}

func (c remoteConn) RemoteAddr() net.Addr { return c.remote }

func TestPlaintext(t *testing.T) {
	t.Parallel()
	tcp := func(ip string) net.Conn { return remoteConn{remote: &net.TCPAddr{IP: net.ParseIP(ip), Port: 5432}} }
	for what, test := range map[string]struct {
		conn net.Conn
		want bool
	}{
		"another machine":               {tcp("10.1.2.3"), true},
		"another machine, IPv6":         {tcp("fd00::1"), true},
		"another machine, TLS":          {tls.Client(tcp("10.1.2.3"), &tls.Config{MinVersion: tls.VersionTLS12, ServerName: "db"}), false},
		"this machine":                  {tcp("127.0.0.1"), false},
		"this machine, IPv6":            {tcp("::1"), false},
		"this machine, IPv4 as IPv6":    {tcp("::ffff:127.0.0.1"), false},
		"a socket file of this machine": {remoteConn{remote: &net.UnixAddr{Name: "/run/postgresql/.s.PGSQL.5432"}}, false},
	} {
		if got := postgres.IsPlaintext(test.conn); got != test.want {
			t.Errorf("%s: others can read it: %t, want %t", what, got, test.want)
		}
	}
}
