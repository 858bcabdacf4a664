package characters_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characters"
	"github.com/osirose-new/database-service/shared/testenv"
)

// redisHook calls a function before each Redis command. If it returns an error, the command is not sent.
type redisHook struct {
	before atomic.Pointer[func(command string) error]
}

func (e *env) hookRedis() *redisHook {
	h := &redisHook{}
	e.Program.Redis.AddHook(h)
	return h
}

func (h *redisHook) on(f func(command string) error) { h.before.Store(&f) }
func (h *redisHook) off()                            { h.before.Store(nil) }

// DialHook implements redis.Hook.
func (h *redisHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook implements redis.Hook.
func (h *redisHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		if f := h.before.Load(); f != nil {
			if err := (*f)(testenv.CommandText(command)); err != nil {
				command.SetErr(err)
				return err
			}
		}
		return next(ctx, command)
	}
}

// ProcessPipelineHook implements redis.Hook.
func (h *redisHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// saved saves c and returns a function that checks that reads see this save.
func (e *env) saved(t *testing.T, c *databasev1.Character, money int64) (sees func(when string)) {
	t.Helper()
	version := e.mustSave(t, &databasev1.SaveCharacterRequest{CharacterId: c.Id, ExpectedVersion: c.Version, Money: proto.Int64(money)}).Version
	return func(when string) {
		t.Helper()
		if got := e.mustGet(t, c); got.Version != version || got.Money != money {
			t.Fatalf("GetCharacter %s = version %d, money %d, want the own write's %d and %d", when, got.Version, got.Money, version, money)
		}
		for _, got := range e.mustList(t, &databasev1.GetCharacterListRequest{UserId: c.UserId}) {
			if got.Version != version || got.Money != money {
				t.Fatalf("GetCharacterList %s = version %d, money %d, want the own write's %d and %d", when, got.Version, got.Money, version, money)
			}
		}
	}
}

// TestDeleteInRedisFails checks that reads see a write although the old value stays in Redis.
func TestDeleteInRedisFails(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, e *env) {
		h := e.hookRedis()
		isDelete := func(command string) bool { return strings.HasPrefix(command, "delete character:") }
		for _, test := range []struct {
			name string
			fail func()
			mend func()
		}{
			{"not sent", func() {
				h.on(func(command string) error {
					if isDelete(command) {
						return errors.New("planted")
					}
					return nil
				})
			}, h.off},
			{"refused", func() {
				h.on(func(command string) error {
					if isDelete(command) {
						e.RDProxy.Refuse()
					}
					return nil
				})
			}, func() { h.off(); e.RDProxy.Accept() }},
			{"connection broken on the way", func() {
				e.RDProxy.OnSend(func(sent []byte) {
					if bytes.Contains(sent, []byte("\r\ncharacter:")) && bytes.Contains(sent, []byte("\r\ncharacters:")) {
						e.RDProxy.Reset()
					}
				})
			}, func() { e.RDProxy.OnSend(nil) }},
		} {
			t.Run(test.name, func(t *testing.T) {
				c := e.mustCreate(t, e.user(t))
				e.untilHit(t, func() { e.mustGet(t, c) })
				e.untilHit(t, func() { e.mustList(t, &databasev1.GetCharacterListRequest{UserId: c.UserId}) })
				before := e.Program.Cache.Stats().FailedDeletes
				test.fail()
				sees := e.saved(t, c, 42)
				if failed := e.Program.Cache.Stats().FailedDeletes - before; failed != 1 {
					t.Fatalf("SaveCharacter failed to delete %d times, want 1", failed)
				}
				for range 3 {
					sees("while Redis is away")
				}
				test.mend()
				e.untilHit(t, func() { sees("after Redis came back") })
			})
		}
	})
}

// TestWriteDuringFill makes a write between a reader's read of the old row and its fill of the cache.
func TestWriteDuringFill(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, e *env) {
		h := e.hookRedis()
		for _, deleteFails := range []bool{false, true} {
			name := map[bool]string{false: "and delete", true: "and fail to delete"}[deleteFails]
			t.Run(name, func(t *testing.T) {
				defer h.off()
				for range 10 {
					if e.writeDuringFill(t, h, deleteFails) {
						return
					}
				}
				t.Fatal("no reader reached its fill")
			})
		}
	})
}

// writeDuringFill returns false if the reader did not use Redis because Redis did not answer in time.
func (e *env) writeDuringFill(t *testing.T, h *redisHook, deleteFails bool) bool {
	c, known := e.mustCreate(t, e.user(t)), e.mustCreate(t, e.user(t))
	e.untilHit(t, func() { e.mustGet(t, known) }) // after this Redis has the scripts
	script := fmt.Sprintf(" 2 character:%d wm:", c.Id)
	var scripts atomic.Int32
	arrived, proceed := make(chan struct{}), make(chan struct{})
	h.on(func(command string) error {
		switch {
		case strings.Contains(command, script) && scripts.Add(1) == 2: // the lease, then the fill
			close(arrived)
			<-proceed
		case strings.HasPrefix(command, "delete") && deleteFails:
			return errors.New("planted")
		}
		return nil
	})
	reader := make(chan error, 1)
	go func() {
		_, err := e.GetCharacter(t.Context(), &databasev1.GetCharacterRequest{CharacterId: c.Id})
		reader <- err
	}()
	select {
	case <-arrived:
	case <-reader:
		return false
	}
	sees := e.saved(t, c, 42)
	close(proceed)
	wantFault(t, "GetCharacter that was overtaken", <-reader, fault{})
	for range 3 {
		sees("after the fill")
	}
	h.off()
	e.untilHit(t, func() { sees("later") })
	return true
}

// TestAnotherProcess checks that another process sees a change, by the service or by SQL.
func TestAnotherProcess(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, e *env) {
		program := e.Open(t)
		client, url := serve(t, program, characters.Config{})
		other := &env{e.Env, client, url, e.purger}
		c := e.mustCreate(t, e.user(t))
		e.untilHit(t, func() { e.mustGet(t, c) })
		e.saved(t, c, 42)
		if got := other.mustGet(t, c); got.Version != 2 {
			t.Errorf("GetCharacter by another process after a write and its delete = version %d, want 2", got.Version)
		}
		e.OwnerExec(t, `UPDATE game.character SET version = 3 WHERE id = $1`, c.Id)
		for _, reader := range []*env{e, other} {
			eventually(t, "a change by hand to be seen", func() bool { return reader.mustGet(t, c).Version == 3 })
		}
		e.untilHit(t, func() { e.mustGet(t, c) })
		e.untilHit(t, func() { e.mustList(t, &databasev1.GetCharacterListRequest{UserId: c.UserId}) })
		e.OwnerExec(t, `TRUNCATE game.character`)
		eventually(t, "a truncation to be seen", func() bool {
			_, err := e.GetCharacter(t.Context(), &databasev1.GetCharacterRequest{CharacterId: c.Id})
			return faultOf(err) == notFound
		})
		eventually(t, "a truncation to be seen in the list", func() bool {
			return len(e.mustList(t, &databasev1.GetCharacterListRequest{UserId: c.UserId})) == 0
		})
	})
}
