//go:build e2e

package systemtest_test

import "testing"

func TestCutSaveAtEveryByte(t *testing.T) {
	t.Parallel()
	cutSave(t, 1, 1)
}

// The answers are long, so they are cut after every seventh byte.
func TestCutRestoreAtEveryByte(t *testing.T) {
	t.Parallel()
	cutRestore(t, 1, 7)
}

func TestRedisRepliesInFull(t *testing.T) {
	t.Parallel()
	playRedisReplies(t, 1)
}

func init() { machineChecks = "30" }

func TestStateMachineInFull(t *testing.T) {
	t.Parallel()
	playMachine(t)
}
