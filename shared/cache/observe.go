package cache

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// observed is called after each call to Redis.
type observed func(command string, took time.Duration, failed bool)

func (o observed) call(command string, start time.Time, err error) {
	_, answered := err.(redis.Error) //nolint:errorlint // go-redis gives an error reply, and nil, as it is
	o(command, time.Since(start), err != nil && !answered)
}

// DialHook implements redis.Hook.
func (o observed) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (o observed) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		start := time.Now()
		err := next(ctx, command)
		o.call(command.Name(), start, err)
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (o observed) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		start := time.Now()
		err := next(ctx, commands)
		o.call("pipeline", start, err)
		return err
	}
}
