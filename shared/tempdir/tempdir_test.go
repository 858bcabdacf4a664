package tempdir_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/osirose-new/database-service/shared/tempdir"
)

// Sweep finds the folders of ended processes, and nothing else.
func TestSweep(t *testing.T) {
	t.Parallel()
	kind := tempdir.Kind{Base: t.TempDir(), Prefix: "kind-", Lock: "lock"}
	unlocked := filepath.Join(kind.Base, kind.Prefix+"without-a-lock-file")
	if err := os.Mkdir(unlocked, 0o755); err != nil {
		t.Fatal(err)
	}
	open := func(k tempdir.Kind) *tempdir.Dir {
		t.Helper()
		d, err := k.Make()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	other := tempdir.Kind{Base: kind.Base, Prefix: "other-", Lock: "lock"}
	used, killed, otherKilled := open(kind), open(kind), open(other)
	for _, d := range []*tempdir.Dir{killed, otherKilled} {
		if err := os.WriteFile(filepath.Join(d.Path, "program"), []byte("large"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := d.Lock.Close(); err != nil { // as the kernel does
			t.Fatal(err)
		}
	}
	var swept []string
	kind.Sweep(func(path string) {
		swept = append(swept, path)
		if err := os.RemoveAll(path); err != nil {
			t.Error(err)
		}
	})
	if len(swept) != 1 || swept[0] != killed.Path {
		t.Errorf("swept %q, want only %q", swept, killed.Path)
	}
	for _, path := range []string{used.Path, otherKilled.Path, unlocked} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("got %v, want it left alone", err)
		}
	}
	if err := used.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(used.Path); err == nil {
		t.Error("the folder is there after Remove")
	}
}

func TestLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	if _, err := tempdir.Lock(path, 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without O_CREATE: got %v, want %v", err, os.ErrNotExist)
	}
	held, err := tempdir.Lock(path, os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tempdir.Lock(path, 0); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("while it is held: got %v, want %v", err, syscall.EWOULDBLOCK)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := tempdir.Lock(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}
