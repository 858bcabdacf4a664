//go:build e2e

package cache_test

import (
	"testing"

	"github.com/osirose-new/database-service/shared/testenv"
)

func TestForgeriesInFull(t *testing.T) {
	t.Parallel()
	tryForgeries(t, 1_000_000)
}

func TestForgeriesInRedisInFull(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) { forgeInRedis(t, e, 5_000) })
}

func TestWatermarkUnderAttackInFull(t *testing.T) {
	t.Parallel()
	for name := range attacks {
		playAttack(t, name, "redis-server")
	}
}
