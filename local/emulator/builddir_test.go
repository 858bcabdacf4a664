package emulator

import (
	"os"
	"path/filepath"
	"testing"
)

// What an emulator leaves that was killed, the next one removes; and nothing else.
func TestBuildDirSweeps(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	others := filepath.Join(base, buildPrefix+"of-somebody-else")
	if err := os.Mkdir(others, 0o755); err != nil {
		t.Fatal(err)
	}
	open := func() *buildDir {
		t.Helper()
		d, err := newBuildDir(base)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	used, killed := open(), open()
	if err := os.WriteFile(filepath.Join(killed.path, "program"), []byte("large"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := killed.lock.Close(); err != nil { // as the kernel does
		t.Fatal(err)
	}
	last := open()
	if _, err := os.Stat(killed.path); err == nil {
		t.Error("the folder of a killed emulator is there")
	}
	for _, path := range []string{used.path, last.path, others} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("got %v, want it left alone", err)
		}
	}
	for _, d := range []*buildDir{used, last} {
		if err := d.close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(d.path); err == nil {
			t.Error("the folder is there after close")
		}
	}
}
