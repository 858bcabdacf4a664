package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/osirose-new/database-service/shared/tempdir"
)

// keptLock differs from the name of the lock in a temporary directory. So the
// sweep never removes a directory that the user keeps.
const keptLock = "lock"

// unfinishedPrefix starts the name of a data folder that initdb is still filling.
const unfinishedPrefix = "unfinished-"

// directory contains all files of one server. It is locked while it is open, and
// the kernel frees the lock when the process ends, even after kill -9.
type directory struct {
	path      string // absolute, without symbolic links
	temporary bool
	lock      *os.File
}

func openDirectory(path, tempDir string) (*directory, error) {
	if path == "" {
		kind := temporaries(tempDir)
		kind.Sweep(sweepOne)
		return makeTemporary(kind)
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
	if err := os.MkdirAll(path, 0o755); err != nil { //nolint:gosec // the server's user passes through
		return nil, err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	lock, err := tempdir.Lock(filepath.Join(path, keptLock), os.O_CREATE)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.New("in use by another process: stop that process, or choose another folder")
	}
	if err != nil {
		return nil, err
	}
	return &directory{path: path, lock: lock}, nil
}

func makeTemporary(kind tempdir.Kind) (*directory, error) {
	made, err := kind.Make()
	if err != nil {
		return nil, err
	}
	d := &directory{path: made.Path, temporary: true, lock: made.Lock}
	if err := os.Chmod(d.path, 0o755); err != nil { //nolint:gosec // the server's user must be able to enter
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// close removes a temporary directory, then frees the lock.
func (d *directory) close() error {
	var err error
	if d.temporary {
		err = removeAll(d.path)
	}
	return errors.Join(err, tempdir.Unlock(d.lock))
}

// removeUnfinished removes the data of an initdb that was killed.
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

// sweepOne removes the temporary directory of a process that was killed. It leaves what it cannot remove to the next start.
func sweepOne(path string) {
	data := filepath.Join(path, "data")
	if stopLeftover(data) != nil || os.RemoveAll(data) != nil {
		return // the lock file stays last, for the next try
	}
	_ = removeAll(path)
}

// removeAll retries for a while, because a child of a killed process may still be writing.
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

// temporaries describes the temporary directories of this package in base, or in the system's folder if base is empty.
func temporaries(base string) tempdir.Kind {
	if base == "" {
		base = realTempDir()
	}
	return tempdir.Kind{Base: base, Prefix: "osirose-postgres-", Lock: "temporary.lock"}
}

// realTempDir returns the temporary folder without symbolic links, because the command line of a server contains none.
func realTempDir() string {
	path, err := filepath.EvalSymlinks(os.TempDir())
	if err != nil {
		return os.TempDir() // its user reports the error
	}
	return path
}
