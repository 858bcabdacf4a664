package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The two kinds of directory have locks of different names: what a user keeps
// is never swept away, wherever it is and whatever it is called.
const (
	tempPrefix = "osirose-postgres-"
	tempLock   = "temporary.lock"
	keptLock   = "lock"
)

// unfinishedPrefix starts the name of data that initdb is working on.
const unfinishedPrefix = "unfinished-"

// directory holds everything of one server and is locked while it is open.
// The kernel frees the lock when the process ends, however it ends.
type directory struct {
	path      string // absolute, without symbolic links
	temporary bool
	lock      *os.File
}

func openDirectory(path string) (*directory, error) {
	if path == "" {
		sweep()
		return makeTemporary()
	}
	d, err := openKept(path)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", path, err)
	}
	return d, nil
}

func openKept(path string) (*directory, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	lock, err := lockFile(filepath.Join(path, keptLock), os.O_CREATE)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.New("in use by another process")
	}
	if err != nil {
		return nil, err
	}
	return &directory{path: path, lock: lock}, nil
}

func makeTemporary() (*directory, error) {
	path, err := os.MkdirTemp(realTempDir(), tempPrefix)
	if err != nil {
		return nil, err
	}
	d := &directory{path: path, temporary: true}
	if err := d.claim(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	return d, nil
}

// claim gives the lock its name only when it is held, because sweep takes a
// directory whose lock is free for a dead one.
func (d *directory) claim() (err error) {
	if err := os.Chmod(d.path, 0o755); err != nil { // the server's user passes through
		return err
	}
	unnamed := filepath.Join(d.path, "lock.new")
	if d.lock, err = lockFile(unnamed, os.O_CREATE); err != nil {
		return err
	}
	return os.Rename(unnamed, filepath.Join(d.path, tempLock))
}

// close gives the directory free; a temporary one is removed before that.
func (d *directory) close() error {
	var err error
	if d.temporary {
		err = removeAll(d.path)
	}
	return errors.Join(err, d.lock.Close())
}

// removeUnfinished removes what initdb was working on when it was killed.
func (d *directory) removeUnfinished() error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), unfinishedPrefix) {
			if err := removeAll(filepath.Join(d.path, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweep removes the temporary directories of processes that were killed. What
// it may not or cannot remove it leaves to others and to the next start.
func sweep() {
	base := realTempDir()
	entries, err := os.ReadDir(base)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), tempPrefix) && entry.IsDir() {
			sweepOne(filepath.Join(base, entry.Name()))
		}
	}
}

func sweepOne(path string) {
	// Everybody can write to the temporary directory: as root, too, only what
	// we made ourselves is touched.
	info, err := os.Lstat(path)
	if err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != os.Geteuid() {
		return
	}
	lock, err := lockFile(filepath.Join(path, tempLock), 0)
	if err != nil {
		return
	}
	defer lock.Close()
	data := filepath.Join(path, "data")
	if stopLeftover(data) != nil || os.RemoveAll(data) != nil {
		return // the lock file stays last, for the next try
	}
	_ = removeAll(path)
}

// removeAll tries again for a while: what a killed process left may still be
// writing.
func removeAll(path string) error {
	end := time.Now().Add(stopPatience)
	for {
		err := os.RemoveAll(path)
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(pollInterval)
	}
}

// lockFile opens a file and locks it, or fails with EWOULDBLOCK at once. Child
// processes do not inherit it.
func lockFile(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// realTempDir is free of symbolic links, as the command line of a server is.
func realTempDir() string {
	path, err := filepath.EvalSymlinks(os.TempDir())
	if err != nil {
		return os.TempDir() // whatever uses it says what is wrong
	}
	return path
}
