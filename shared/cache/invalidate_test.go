package cache_test

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/osirose-new/database-service/shared/testenv"
)

// oddDeletion answers deletions in Redis's place. Nothing is deleted.
type oddDeletion struct{ reply any }

// DialHook implements redis.Hook.
func (o oddDeletion) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (o oddDeletion) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		script, ok := command.(*redis.Cmd)
		if !ok || !testenv.IsDeletion(command) {
			return next(ctx, command)
		}
		script.SetVal(o.reply)
		if o.reply == nil {
			script.SetErr(redis.Nil)
		}
		return script.Err()
	}
}

// ProcessPipelineHook implements redis.Hook.
func (o oddDeletion) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// TestOddReplyToADeletion checks that a write's own process never reads the older value, whatever the answer to its deletion is.
func TestOddReplyToADeletion(t *testing.T) {
	t.Parallel()
	for what, reply := range map[string]any{"none": nil, "0": int64(0), "another number": int64(7), "text": "OK", "a list": []any{int64(1)}} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
				x := newEntity(t, e)
				x.warm(t)
				e.Program.Redis.AddHook(oddDeletion{reply})
				x.value.Add(1)
				e.Program.Cache.Invalidate(t.Context(), x.key)
				x.wantRead(t, "after the write", 1, 1)
				if n := e.Program.Cache.Stats().FailedDeletes; n != 1 {
					t.Errorf("%d failed deletions, want 1", n)
				}
			})
		})
	}
}
