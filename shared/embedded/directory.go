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

// keptLock is not the name of the lock in a temporary directory, so a directory
// that the user keeps is never swept away, wherever it is.
const keptLock = "lock"

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
		temporaries().Sweep(sweepOne)
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
	if err := os.MkdirAll(path, 0o755); err != nil { //nolint:gosec // the server's user passes through
		return nil, err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	lock, err := tempdir.Lock(filepath.Join(path, keptLock), os.O_CREATE)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.New("in use by another process")
	}
	if err != nil {
		return nil, err
	}
	return &directory{path: path, lock: lock}, nil
}

func makeTemporary() (*directory, error) {
	made, err := temporaries().Make()
	if err != nil {
		return nil, err
	}
	d := &directory{path: made.Path, temporary: true, lock: made.Lock}
	if err := os.Chmod(d.path, 0o755); err != nil { //nolint:gosec // the server's user passes through
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// close gives the directory free; a temporary one is removed before that.
func (d *directory) close() error {
	var err error
	if d.temporary {
		err = removeAll(d.path)
	}
	return errors.Join(err, tempdir.Unlock(d.lock))
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

// sweepOne removes the temporary directory of a process that was killed. What it
// may not or cannot remove it leaves to the next start.
func sweepOne(path string) {
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

// temporaries are the temporary directories of this package.
func temporaries() tempdir.Kind {
	return tempdir.Kind{Base: realTempDir(), Prefix: "osirose-postgres-", Lock: "temporary.lock"}
}

// realTempDir is free of symbolic links, as the command line of a server is.
func realTempDir() string {
	path, err := filepath.EvalSymlinks(os.TempDir())
	if err != nil {
		return os.TempDir() // whatever uses it says what is wrong
	}
	return path
}
