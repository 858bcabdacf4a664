package callers

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// reloadEvery is how often the files are looked at, while there are requests.
const reloadEvery = time.Second

// files holds the current version of CALLERS_FILE and TLS_CLIENT_CA_FILE.
type files struct {
	callers, authorities string // names; may be empty
	onReload             func(error)

	now     atomic.Pointer[snapshot]
	checked atomic.Int64 // Unix time in nanoseconds; 0: not since the start

	mu     sync.Mutex
	read   [2]fs.FileInfo // of the files, when they were last read
	failed string         // the last error
}

// open reads the files.
func (f *files) open(o Options) error {
	f.callers, f.authorities, f.onReload = o.File, o.ClientCAFile, o.OnReload
	f.read = f.stat()
	s, err := f.load()
	f.now.Store(s)
	return err
}

// current returns the files as they were at most reloadEvery ago. A file that is not valid leaves the last valid version.
func (f *files) current(now time.Time) *snapshot {
	n, last := now.UnixNano(), f.checked.Load()
	isDue := n-last >= int64(reloadEvery) || n < last // or the clock was set back
	if isDue && f.checked.CompareAndSwap(last, n) {
		f.reload()
	}
	return f.now.Load()
}

// reload reads the files again if they have changed.
func (f *files) reload() {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := f.stat()
	if same(found[0], f.read[0]) && same(found[1], f.read[1]) {
		return
	}
	f.read = found
	s, err := f.load()
	if err == nil {
		f.now.Store(s)
	}
	if text := fmt.Sprint(err); f.onReload != nil && (err == nil || text != f.failed) {
		f.failed = text
		f.onReload(err)
	}
}

// stat returns nil for a file that is not there.
func (f *files) stat() (found [2]fs.FileInfo) {
	for i, name := range []string{f.callers, f.authorities} {
		if info, err := os.Stat(name); name != "" && err == nil {
			found[i] = info
		}
	}
	return found
}

func same(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// load reads both files. The error names what is wrong with them.
func (f *files) load() (*snapshot, error) {
	s, errs := &snapshot{}, []error(nil)
	if f.callers != "" {
		content, err := os.ReadFile(f.callers)
		if err == nil {
			s, err = parse(content)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("CALLERS_FILE: %w", withoutPath(err)))
		}
	}
	if f.authorities == "" {
		return s, errors.Join(errs...)
	}
	content, err := os.ReadFile(f.authorities)
	pool := x509.NewCertPool()
	if err == nil && !pool.AppendCertsFromPEM(content) {
		err = errors.New("has no certificate in PEM")
	}
	if err != nil {
		errs = append(errs, fmt.Errorf("TLS_CLIENT_CA_FILE: %w", withoutPath(err)))
	}
	if s != nil {
		s.authorities = pool
	}
	return s, errors.Join(errs...)
}

// withoutPath leaves out the file's path: the variable names the file.
func withoutPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
