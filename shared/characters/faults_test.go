package characters_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characters"
	"github.com/osirose-new/database-service/shared/faultproxy"
	"github.com/osirose-new/database-service/shared/testenv"
)

func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		down, up func(*faultproxy.Proxy)
	}{
		{"refused", (*faultproxy.Proxy).Refuse, (*faultproxy.Proxy).Accept},
		{"hung", (*faultproxy.Proxy).Hold, (*faultproxy.Proxy).Release},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := one(t, characters.Config{}, testenv.RealDatabaseBudgets)
			user := e.user(t)
			c, gone := e.mustCreate(t, user), e.mustCreate(t, user)
			calls := map[string]func() error{
				"GetCharacter, uncached": func() error {
					_, err := e.GetCharacter(t.Context(), &databasev1.GetCharacterRequest{CharacterId: c.Id})
					return err
				},
				"GetCharacterList, uncached": func() error {
					_, err := e.GetCharacterList(t.Context(), &databasev1.GetCharacterListRequest{UserId: user})
					return err
				},
				"GetCharacterList, full": func() error {
					_, err := e.GetCharacterList(t.Context(), &databasev1.GetCharacterListRequest{UserId: user, View: full})
					return err
				},
				"CreateCharacter": func() error {
					_, err := e.CreateCharacter(t.Context(), &databasev1.CreateCharacterRequest{UserId: user, Name: "Phoenix", RequestId: "00000000-0000-4000-8000-000000000001"})
					return err
				},
				"SaveCharacter": func() error {
					_, err := e.SaveCharacter(t.Context(), &databasev1.SaveCharacterRequest{CharacterId: c.Id, ExpectedVersion: 1, SaveId: "00000000-0000-4000-8000-000000000002", Level: proto.Int32(2)})
					return err
				},
				"RestoreCharacter": func() error {
					_, err := e.RestoreCharacter(t.Context(), &databasev1.RestoreCharacterRequest{UserId: user, CharacterId: c.Id})
					return err
				},
				"DeleteCharacter": func() error {
					_, err := e.DeleteCharacter(t.Context(), &databasev1.DeleteCharacterRequest{UserId: user, CharacterId: gone.Id, Mode: immediate})
					return err
				},
			}
			test.down(e.PGProxy)
			for call, f := range calls {
				// A hung database may use up the time of a whole request.
				if got := faultOf(f()); got != unavailable && !(test.name == "hung" && busy(got)) {
					t.Errorf("%s without a database = %+v, want %+v", call, got, unavailable)
				}
			}
			test.up(e.PGProxy)
			for call, f := range calls {
				eventually(t, call+" with the database again", func() bool { return f() == nil })
			}
		})
	}
}

func TestRedisDown(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, e *env) {
		user := e.user(t)
		c := e.mustCreate(t, user)
		e.untilHit(t, func() { e.mustGet(t, c) })
		e.untilHit(t, func() { e.mustList(t, &databasev1.GetCharacterListRequest{UserId: user}) })
		e.RDProxy.Refuse()
		// sees checks that both reads return the current character, starting with the first read.
		sees := func(after string, want *databasev1.Character, options ...cmp.Option) {
			t.Helper()
			for range 3 {
				wantSame(t, "GetCharacter after "+after, e.mustGet(t, c), want, options...)
				list := e.mustList(t, &databasev1.GetCharacterListRequest{UserId: user})
				wantSame(t, "GetCharacterList after "+after, list, []*databasev1.Character{reduced(want)}, options...)
			}
		}
		sees("the end of Redis", c)
		for i := range int64(5) {
			e.mustSave(t, &databasev1.SaveCharacterRequest{CharacterId: c.Id, ExpectedVersion: i + 1, Money: proto.Int64(i)})
			c.Money, c.Version = i, i+2
			sees("a save", c, ignoreSaved)
		}
		marked := e.mustDelete(t, c, scheduled).Character
		sees("a mark", marked, ignoreCountdown)
		restored, err := e.RestoreCharacter(t.Context(), &databasev1.RestoreCharacterRequest{UserId: user, CharacterId: c.Id})
		if err != nil {
			t.Fatalf("RestoreCharacter without Redis = %v, want success", err)
		}
		sees("a restore", restored.Character)
		second := e.mustCreate(t, user)
		wantSame(t, "GetCharacter after a create", e.mustGet(t, second), second)
		e.mustDelete(t, second, immediate)
		_, err = e.GetCharacter(t.Context(), &databasev1.GetCharacterRequest{CharacterId: second.Id})
		wantFault(t, "GetCharacter after a delete", err, notFound)

		e.RDProxy.Accept()
		e.untilHit(t, func() { sees("the return of Redis", restored.Character) })
	})
}

// TestUnknownOutcome breaks the connection when a write sends its statement.
func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, e *env) {
		user := e.user(t)
		c := e.mustCreate(t, user)
		for _, test := range []struct {
			name string
			call func() error
		}{
			{"a save", func() error {
				_, err := e.SaveCharacter(t.Context(), &databasev1.SaveCharacterRequest{UserId: user, CharacterId: c.Id, ExpectedVersion: 1, Money: proto.Int64(9)})
				return err
			}},
			{"a mark", func() error {
				_, err := e.DeleteCharacter(t.Context(), &databasev1.DeleteCharacterRequest{UserId: user, CharacterId: c.Id})
				return err
			}},
			{"a restore", func() error {
				_, err := e.RestoreCharacter(t.Context(), &databasev1.RestoreCharacterRequest{UserId: user, CharacterId: c.Id})
				return err
			}},
			{"a delete", func() error {
				_, err := e.DeleteCharacter(t.Context(), &databasev1.DeleteCharacterRequest{UserId: user, CharacterId: c.Id, Mode: immediate})
				return err
			}},
		} {
			t.Run(test.name, func(t *testing.T) {
				e.untilHit(t, func() { e.mustGet(t, c) })
				e.untilHit(t, func() { e.mustList(t, &databasev1.GetCharacterListRequest{UserId: user}) })
				before := e.Program.Cache.Stats()
				e.PGProxy.OnSend(func(sent []byte) {
					if bytes.Contains(sent, []byte("UPDATE game.character")) {
						e.PGProxy.Reset()
					}
				})
				wantFault(t, test.name+" over a broken connection", test.call(), unavailable)
				e.PGProxy.OnSend(nil)
				n, err := e.Redis.Client.Exists(t.Context(), fmt.Sprint("character:", c.Id), "characters:"+user).Result()
				if bypassed := e.Program.Cache.Stats().FailedDeletes > before.FailedDeletes; !bypassed && (n != 0 || err != nil) {
					t.Errorf("after the write %d of the 2 values are in Redis (%v), want none", n, err)
				}
				wantSame(t, "GetCharacter after it", e.mustGet(t, c), c)
			})
		}
	})
}

// TestLostReply checks a save that the database commits, but whose reply is lost.
func TestLostReply(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	for range 10 {
		c := e.mustCreate(t, e.user(t))
		e.untilHit(t, func() { e.mustGet(t, c) })
		if committed := e.loseReply(t, c); !committed {
			continue // the statement timed out before its commit; try again
		}
		got := e.mustGet(t, c)
		if got.Version != 2 || got.Money != 77 {
			t.Errorf("GetCharacter after a save whose reply was lost = version %d, money %d, want 2 and 77", got.Version, got.Money)
		}
		return
	}
	t.Fatal("no save was committed")
}

func (e *env) loseReply(t *testing.T, c *databasev1.Character) (committed bool) {
	// The save waits for this lock until the proxy holds back the database's answers.
	tx, err := e.Owner.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), `SELECT FROM game.character WHERE id = $1 FOR UPDATE`, c.Id); err != nil {
		t.Fatal(err)
	}
	saved := make(chan error, 1)
	go func() {
		_, err := e.SaveCharacter(t.Context(), &databasev1.SaveCharacterRequest{UserId: c.UserId, CharacterId: c.Id, ExpectedVersion: 1, Money: proto.Int64(77)})
		saved <- err
	}()
	is := func(sql string, args ...any) (yes bool) {
		if err := e.Owner.QueryRow(t.Context(), sql, args...).Scan(&yes); err != nil {
			t.Fatal(err)
		}
		return yes
	}
	eventually(t, "the save to wait for the lock", func() bool {
		return len(saved) > 0 || is(`SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND usename = 'game_service' AND wait_event_type = 'Lock')`)
	})
	e.PGProxy.Hold()
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the save to commit", func() bool {
		committed = is(`SELECT version = 2 FROM game.character WHERE id = $1`, c.Id)
		return committed || len(saved) > 0
	})
	e.PGProxy.Reset()
	e.PGProxy.Release()
	wantFault(t, "SaveCharacter whose reply was lost", <-saved, unavailable)
	return committed
}
