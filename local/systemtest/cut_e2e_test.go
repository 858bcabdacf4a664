//go:build e2e

package systemtest_test

import "testing"

func TestCutSaveAtEveryByte(t *testing.T) {
	t.Parallel()
	cutSave(t, 1, 1)
}

func TestCutRestoreAtEveryByte(t *testing.T) {
	t.Parallel()
	cutRestore(t, 1, 1)
}
