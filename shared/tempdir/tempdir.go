// Package tempdir makes temporary folders that outlive their process only until the next one starts. Each folder holds a
// lock file. The kernel frees the lock when the process ends, also if it was killed; Sweep removes folders with a free lock.
package tempdir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Kind is a set of folders that one Sweep looks at.
type Kind struct {
	Base   string // the folder that they are in
	Prefix string // of their names
	Lock   string // name of the lock file
}

// Dir is a temporary folder that this process has locked.
type Dir struct {
	Path string
	Lock *os.File
}

// Make makes a folder that only this user can enter.
func (k Kind) Make() (*Dir, error) {
	path, err := os.MkdirTemp(k.Base, k.Prefix)
	if err != nil {
		return nil, err
	}
	// The file gets its name after the lock is held, because Sweep removes a folder if its lock is free.
	unnamed := filepath.Join(path, "lock.new")
	lock, err := Lock(unnamed, os.O_CREATE)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	d := &Dir{path, lock}
	if err := os.Rename(unnamed, filepath.Join(path, k.Lock)); err != nil {
		return nil, errors.Join(err, d.Remove())
	}
	return d, nil
}

// Remove removes the folder, then frees the lock.
func (d *Dir) Remove() error { return errors.Join(os.RemoveAll(d.Path), Unlock(d.Lock)) }

// Sweep calls remove with each folder whose process has ended, under its lock. It skips folders of other users, also for
// root: every user can write to a temporary folder. What remove leaves, the next Sweep finds again if the lock file is there.
func (k Kind) Sweep(remove func(path string)) {
	entries, err := os.ReadDir(k.Base)
	if err != nil {
		return // Make reports what is wrong with the folder
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), k.Prefix) && entry.IsDir() {
			k.sweep(filepath.Join(k.Base, entry.Name()), remove)
		}
	}
}

func (k Kind) sweep(path string, remove func(path string)) {
	info, err := os.Lstat(path)
	if err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != os.Geteuid() {
		return
	}
	lock, err := Lock(filepath.Join(path, k.Lock), 0)
	if err != nil {
		return
	}
	defer func() { _ = Unlock(lock) }() // never fails
	remove(path)
}

// Lock opens a file with flags and locks it until the file is closed. If another process holds the lock, the error is
// EWOULDBLOCK, at once. Child processes do not inherit the lock.
func Lock(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}

// Unlock frees a lock and closes its file. Close alone may free the lock late: a child that is being started holds a copy of
// the file between fork and exec.
func Unlock(lock *os.File) error {
	return errors.Join(syscall.Flock(int(lock.Fd()), syscall.LOCK_UN), lock.Close())
}
