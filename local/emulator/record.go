package emulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// recorder saves events as files for "invoke -e" and "sam local invoke -e". The files contain what the requests contained,
// including tokens and bodies, so only their owner can read them.
type recorder struct {
	dir string

	mu   sync.Mutex
	next int
}

// newRecorder creates dir if necessary. Numbers continue after those of the files in dir.
func newRecorder(dir string) (*recorder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the folder of events: %w", err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("list the events: %w", err)
	}
	r := &recorder{dir: dir, next: 1}
	for _, name := range names {
		var n int
		if _, err := fmt.Sscanf(filepath.Base(name), "%d-", &n); err == nil && n >= r.next {
			r.next = n + 1
		}
	}
	return r, nil
}

// save writes an event atomically as NNNN-function-method.json, and returns the path.
func (r *recorder) save(functionName string, event []byte) (string, error) {
	var b bytes.Buffer
	if err := json.Indent(&b, event, "", "  "); err != nil {
		return "", fmt.Errorf("indent an event: %w", err)
	}
	b.WriteByte('\n')
	f, err := os.CreateTemp(r.dir, ".event-*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("create a file for an event: %w", err)
	}
	_, err = f.Write(b.Bytes())
	if closed := f.Close(); err == nil {
		err = closed
	}
	r.mu.Lock()
	n := r.next
	r.next++
	r.mu.Unlock()
	path := filepath.Join(r.dir, fmt.Sprintf("%04d-%s-%s.json", n, fileName(functionName), fileName(methodOf(event))))
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return "", fmt.Errorf("save an event: %w", err)
	}
	return path, nil
}

// methodOf returns the last part of an event's path, which is the name of a Twirp method.
func methodOf(event []byte) string {
	var e struct {
		Path    string `json:"path"`
		RawPath string `json:"rawPath"`
	}
	_ = json.Unmarshal(event, &e) // an event without a path has the method ""
	path := strings.TrimRight(e.Path+e.RawPath, "/")
	return path[strings.LastIndexByte(path, '/')+1:]
}

// fileName removes every character that is not safe in a file name.
func fileName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return -1
	}, s)
	if s == "" {
		return "event"
	}
	return s[:min(len(s), 64)]
}
