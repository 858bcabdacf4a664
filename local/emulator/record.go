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

// recorder saves events as files that can be replayed here and by "sam local invoke -e". They hold whatever the requests
// held, tokens and bodies too, so only their owner can read them.
type recorder struct {
	dir string

	mu   sync.Mutex
	next int
}

// newRecorder makes dir if it is not there. The numbers go on after those of the files in it.
func newRecorder(dir string) (*recorder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of events: %w", err)
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

// save writes an event as NNNN-function-method.json, whole or not at all, and returns the path.
func (r *recorder) save(functionName string, event []byte) (string, error) {
	var b bytes.Buffer
	if err := json.Indent(&b, event, "", "  "); err != nil {
		return "", fmt.Errorf("indent an event: %w", err)
	}
	b.WriteByte('\n')
	f, err := os.CreateTemp(r.dir, ".event-*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("make an event's file: %w", err)
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
		_ = os.Remove(f.Name()) // it is of no use to anybody
		return "", fmt.Errorf("save an event: %w", err)
	}
	return path, nil
}

// methodOf is the last part of an event's path, which is the name of a Twirp method.
func methodOf(event []byte) string {
	var e struct {
		Path    string `json:"path"`
		RawPath string `json:"rawPath"`
	}
	_ = json.Unmarshal(event, &e) // an event without a path has a name too
	path := strings.TrimRight(e.Path+e.RawPath, "/")
	return path[strings.LastIndexByte(path, '/')+1:]
}

// fileName keeps what is harmless in the name of a file.
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
