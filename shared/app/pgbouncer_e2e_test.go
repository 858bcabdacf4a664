//go:build e2e

package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/embedded"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestPgBouncer makes 32 players call every rpc through a pooler with fewer server connections than clients.
func TestPgBouncer(t *testing.T) { //nolint:paralleltest // it needs the connections of the server to itself
	const players, rounds = 32, 10
	e := testenv.New(t, testenv.Variants[0], testenv.RedisKinds()[0])
	address := testenv.StartPgBouncer(t, testenv.Postgres(t).Addr(), 8, "game_service").Addr
	sessions := testenv.StartPgBouncerMode(t, "session", testenv.Postgres(t).Addr(), players, "game_service").Addr
	for _, test := range []struct {
		mode, address, params string
		told                  int // lines about a pooler in transaction mode
	}{
		{"not told", address, "", 1},
		{"session", sessions, "", 0},
		{poolerModes[0], address, "&default_query_exec_mode=" + poolerModes[0], 0},
		{poolerModes[1], address, "&default_query_exec_mode=" + poolerModes[1], 0},
	} {
		mode := test.mode
		t.Run(mode, func(t *testing.T) {
			var log, own bytes.Buffer
			url := serveAll(t, &log, e.Open(t, func(c *app.Options) {
				c.DatabaseURL = fmt.Sprintf("postgres://game_service@%s/%s?sslmode=disable&pool_max_conns=%d%s", test.address, e.Name, players, test.params)
				c.LogTo = &own
			}))
			var all sync.WaitGroup
			calls := make([]int, players)
			for i := range players {
				p := newPlayer(t, e, url, fmt.Sprintf("%s-%d", strings.NewReplacer("_", "", " ", "").Replace(mode)[:4], i))
				all.Go(func() {
					for round := range rounds {
						if err := errors.Join(p.login(t.Context()), p.play(t.Context(), round)); err != nil {
							t.Error(err)
							break
						}
					}
					calls[i] = p.calls
				})
			}
			all.Wait()
			sum := 0
			for _, n := range calls {
				sum += n
			}
			answered := strings.Count(log.String(), "\n") - strings.Count(log.String(), "unavailable") - strings.Count(log.String(), "deadline_exceeded")
			t.Logf("%d calls, %d answered in time", sum, answered)
			for line := range strings.Lines(log.String()) {
				if strings.Contains(line, "SQLSTATE") || strings.Contains(line, `"internal"`) {
					t.Errorf("behind the pooler: %s", line)
				}
			}
			if told := strings.Count(own.String(), "pooler in transaction mode"); told != test.told {
				t.Errorf("%d lines about a pooler in transaction mode, want %d: %s", told, test.told, &own)
			}
		})
	}
}

// TestManyClients connects more clients than the server accepts, first directly and then through the pooler.
func TestManyClients(t *testing.T) { //nolint:paralleltest // it needs the connections of the server to itself
	const clients = 300
	server, err := embedded.StartPostgres(t.Context(), embedded.PostgresOptions{Trust: true, Settings: map[string]string{"max_connections": "100"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	direct := 0
	for range clients {
		conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
		if err == nil {
			defer conn.Close(context.Background())
			direct++
		}
	}
	if t.Logf("directly: %d of %d", direct, clients); direct >= clients {
		t.Error("all clients connected directly, so the test proves nothing")
	}
	// The pooler needs some of the server's connections.
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	address := testenv.StartPgBouncer(t, server.Addr(), 20, "postgres").Addr
	var all sync.WaitGroup
	var connected atomic.Int64
	for range clients {
		db, err := postgres.Open("postgres://postgres@"+address+"/postgres?sslmode=disable&default_query_exec_mode=cache_describe", postgres.Options{MaxConns: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close() // after all have connected
		all.Go(func() {
			err := selectOne(t.Context(), db)
			for errors.Is(err, context.DeadlineExceeded) && t.Context().Err() == nil {
				err = selectOne(t.Context(), db) // on a busy machine
			}
			if err != nil {
				t.Errorf("behind the pooler: %v", err)
				return
			}
			connected.Add(1)
		})
	}
	all.Wait()
	if got := connected.Load(); got != clients {
		t.Errorf("%d of %d clients connected through the pooler", got, clients)
	}
}

func selectOne(ctx context.Context, db *postgres.DB) error {
	return db.Read(ctx, func(ctx context.Context, q postgres.Querier) error {
		_, err := q.Exec(ctx, "SELECT 1")
		return err
	})
}
