package emulator

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	buildPrefix = "osirose-functions-"
	buildLock   = "lock"
)

// buildDir is a temporary folder that is locked while it is used. The kernel frees the lock when the process ends, however
// it ends.
type buildDir struct {
	path string
	lock *os.File
}

// newBuildDir makes a folder in base, and removes those of emulators that were killed.
func newBuildDir(base string) (*buildDir, error) {
	sweepBuildDirs(base)
	path, err := os.MkdirTemp(base, buildPrefix)
	if err != nil {
		return nil, err
	}
	// The lock has its name only when it is held: a folder whose lock is free is a dead emulator's.
	unnamed := filepath.Join(path, "lock.new")
	lock, err := lockFile(unnamed, os.O_CREATE)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	d := &buildDir{path, lock}
	if err := os.Rename(unnamed, filepath.Join(path, buildLock)); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// close removes the folder.
func (d *buildDir) close() error { return errors.Join(os.RemoveAll(d.path), d.lock.Close()) }

// sweepBuildDirs leaves what it may not or cannot remove to others.
func sweepBuildDirs(base string) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return // making a folder there says what is wrong
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), buildPrefix) || !entry.IsDir() {
			continue
		}
		path := filepath.Join(base, entry.Name())
		info, err := os.Lstat(path)
		if err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != os.Geteuid() {
			continue // for root, too: everybody can write to a temporary folder
		}
		if lock, err := lockFile(filepath.Join(path, buildLock), 0); err == nil {
			_ = (&buildDir{path, lock}).close()
		}
	}
}

// lockFile opens a file and locks it, or fails at once. Child processes do not inherit it.
func lockFile(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}
