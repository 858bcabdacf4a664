package awslogin_test

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/testenv"
)

// guard is a server that accepts only the current password.
type guard struct {
	*front
	password atomic.Pointer[string]
	refused  atomic.Int64
}

func newGuard(t *testing.T) *guard {
	t.Helper()
	g := &guard{}
	server := testenv.Postgres(t).Addr()
	g.front = newFront(t, func(_ *front, c net.Conn) error {
		backend := pgproto3.NewBackend(c, c)
		first, err := backend.ReceiveStartupMessage()
		if err != nil {
			return err
		}
		startup, ok := first.(*pgproto3.StartupMessage)
		if !ok {
			return nil // a cancel request
		}
		backend.Send(&pgproto3.AuthenticationCleartextPassword{})
		if err := errors.Join(backend.SetAuthType(pgproto3.AuthTypeCleartextPassword), backend.Flush()); err != nil {
			return err
		}
		message, err := backend.Receive()
		if err != nil {
			return err
		}
		if got, ok := message.(*pgproto3.PasswordMessage); !ok || got.Password != *g.password.Load() {
			g.refused.Add(1)
			backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "28P01", Message: "password authentication failed"})
			return backend.Flush()
		}
		s, err := net.Dial("tcp", server)
		if err != nil {
			return err
		}
		startup.Parameters["user"] = "game_service"
		hello, err := startup.Encode(nil)
		if err != nil {
			return err
		}
		_, _ = s.Write(hello)
		splice(c, s)
		return nil
	})
	return g
}

func (g *guard) let(password string) { g.password.Store(&password) }

// TestRotation changes the password while a service is running.
func TestRotation(t *testing.T) {
	t.Parallel()
	d := testenv.NewDatabase(t, testenv.Variants[0])
	m, g := newManager(t), newGuard(t)
	g.let("a")
	m.set(stages("a", ""), false, 0)
	login := m.account.Secret(secretARN)
	open := func() *postgres.DB {
		t.Helper()
		db, err := postgres.Open("postgres://"+g.Addr().String()+"/"+d.Name+"?sslmode=disable&require_auth=password", postgres.Options{Login: login, MaxConns: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		return db
	}
	old := open()
	eventually(t, old)

	g.let("b")
	m.set(stages("a", "b"), false, 0)
	m.calls()
	eventually(t, old)
	if calls := m.calls(); len(calls) > 0 {
		t.Errorf("an open connection requested %v", calls)
	}
	eventually(t, open())
	if got := g.refused.Load(); got != 1 {
		t.Errorf("%d logins were refused, want 1, which detects the rotation", got)
	}
	m.set(stages("b", ""), false, time.Second)
	eventually(t, open())
	if got := g.refused.Load(); got != 1 {
		t.Errorf("%d logins were refused, want still 1", got)
	}

	g.let("c") // without Secrets Manager
	db := open()
	if err := selectOne(t.Context(), db); !errors.Is(err, postgres.ErrUnavailable) {
		t.Errorf("Read with a wrong secret = %v, want ErrUnavailable", err)
	}
	m.set(stages("c", ""), false, time.Second)
	eventually(t, db)
}
