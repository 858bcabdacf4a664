package callers

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// reloadEvery is how often the files are looked at, while there are requests.
const reloadEvery = time.Second

// files holds the current version of CALLERS_FILE and TLS_CLIENT_CA_FILE. Each is replaced alone: one that is not valid does not keep
// a change of the other from taking effect.
type files struct {
	onReload func(error)
	now      atomic.Pointer[snapshot]
	checked  atomic.Int64 // Unix time in nanoseconds; 0: not since the start

	mu          sync.Mutex
	callers     source[*snapshot]
	authorities source[*x509.CertPool]
}

// open reads the files.
func (f *files) open(o Options) error {
	f.onReload = o.OnReload
	f.callers = source[*snapshot]{variable: "CALLERS_FILE", name: o.File, parse: parse, value: &snapshot{}}
	f.authorities = source[*x509.CertPool]{variable: "TLS_CLIENT_CA_FILE", name: o.ClientCAFile, parse: parseAuthorities}
	_, errCallers := f.callers.refresh()
	_, errAuthorities := f.authorities.refresh()
	f.join()
	return errors.Join(errCallers, errAuthorities)
}

// join makes a snapshot of what was read last.
func (f *files) join() {
	s := *f.callers.value
	s.authorities = f.authorities.value
	f.now.Store(&s)
}

// current returns the files as they were at most reloadEvery ago. A file that is not valid leaves its last valid version.
func (f *files) current(now time.Time) *snapshot {
	n, last := now.UnixNano(), f.checked.Load()
	isDue := n-last >= int64(reloadEvery) || n < last // or the clock was set back
	if isDue && f.checked.CompareAndSwap(last, n) {
		f.reload()
	}
	return f.now.Load()
}

// reload reads the files again that have changed.
func (f *files) reload() {
	f.mu.Lock()
	defer f.mu.Unlock()
	newCallers, errCallers := f.callers.refresh()
	newAuthorities, errAuthorities := f.authorities.refresh()
	if newCallers || newAuthorities {
		f.join()
	}
	err := errors.Join(errCallers, errAuthorities)
	if f.onReload != nil && (newCallers || newAuthorities || err != nil) {
		f.onReload(err)
	}
}

// source is a file and its last valid version.
type source[T any] struct {
	variable, name string // no name: there is no file
	parse          func([]byte) (T, error)
	value          T
	seen           fs.FileInfo // of the version that was parsed last; nil: the file could not be read
	failed         string      // the last error
}

// refresh reads the file again if it has changed, or could not be read. It reports whether there is a new value, and each error once.
func (s *source[T]) refresh() (isNew bool, err error) {
	if s.name == "" {
		return false, nil
	}
	info, err := os.Stat(s.name)
	if err == nil && s.seen != nil && isSame(info, s.seen) {
		return false, nil
	}
	s.seen = nil
	var content []byte
	if err == nil {
		content, err = os.ReadFile(s.name)
	}
	var value T
	if err == nil {
		s.seen = info
		value, err = s.parse(content)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", s.variable, withoutPath(err))
		if err.Error() == s.failed {
			return false, nil
		}
		s.failed = err.Error()
		return false, err
	}
	s.value, s.failed = value, ""
	return true, nil
}

func isSame(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// parseAuthorities reads certificates in PEM. A damaged one is an error: the callers of its authority would be refused.
func parseAuthorities(content []byte) (*x509.CertPool, error) {
	pool, found := x509.NewCertPool(), 0
	for rest := content; ; found++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if block.Type != "CERTIFICATE" || err != nil {
			return nil, fmt.Errorf("block number %d is no certificate", found+1)
		}
		pool.AddCert(certificate)
	}
	switch {
	case found == 0:
		return nil, errors.New("has no certificate in PEM")
	case strings.Count(string(content), "-----BEGIN ") != found:
		return nil, errors.New("has a damaged certificate")
	}
	return pool, nil
}

// withoutPath leaves out the file's path: the variable names the file.
func withoutPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
