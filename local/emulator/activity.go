package emulator

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Limits of what is kept for each function.
const (
	maxErrors    = 5
	maxErrorText = 500 // bytes
	maxLines     = 200
	maxLineBytes = 32 << 10 // of all lines
)

// ErrorKind says how an invocation failed.
type ErrorKind string

// The kinds.
const (
	ErrorFailed    ErrorKind = "failed"
	ErrorTimedOut  ErrorKind = "timed out"
	ErrorThrottled ErrorKind = "throttled" // the function did not run
	ErrorInit      ErrorKind = "init"      // the process did not start, or ended or hung before its first poll
)

// FunctionError is an invocation that failed.
type FunctionError struct {
	Time      time.Time // when the invocation ended
	Number    int64     // of the invocation
	RequestID string
	Kind      ErrorKind
	Type      string // errorType of the error document
	Message   string // errorMessage of the error document; the document itself if it has neither. At most 500 bytes
}

// activity is what a function did since the emulator started. A reload does not reset it.
type activity struct {
	running                                  int
	invocations, failed, timedOut, throttled int64
	errors                                   []FunctionError // oldest first
	lines                                    []string        // oldest first
	lineBytes                                int             // of lines
}

// activity returns the activity of a function. The caller holds mu.
func (h *history) activity(function string) *activity {
	a := h.activities[function]
	if a == nil {
		a = &activity{}
		h.activities[function] = a
	}
	return a
}

// end counts an invocation. failure is nil if it succeeded.
func (a *activity) end(i *Invocation, failure *FunctionError) {
	a.running--
	if i.Throttled {
		a.throttled++
	} else {
		a.invocations++
	}
	if i.Failed {
		a.failed++
	}
	if i.TimedOut {
		a.timedOut++
	}
	if failure != nil {
		failure.Number = i.Number
		a.errors = append(a.errors, *failure)
		a.errors = slices.Delete(a.errors, 0, max(0, len(a.errors)-maxErrors))
	}
}

// newError returns the error in payload, the whole response of i, without its number. It returns nil if i succeeded.
func newError(i *Invocation, payload []byte) *FunctionError {
	if !i.Failed && !i.Throttled {
		return nil
	}
	var document struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}
	if err := json.Unmarshal(payload, &document); err != nil || document.Type == "" && document.Message == "" {
		document.Message = string(payload[:min(len(payload), maxErrorText)])
	}
	e := &FunctionError{
		Time: time.Now(), RequestID: i.RequestID, Kind: ErrorFailed,
		Type: shortened(document.Type), Message: shortened(document.Message),
	}
	switch {
	case i.Throttled:
		e.Kind = ErrorThrottled
	case i.Init:
		e.Kind = ErrorInit
	case i.TimedOut:
		e.Kind = ErrorTimedOut
	}
	return e
}

// shortened returns the first 500 bytes of a text, without a broken character at the end.
func shortened(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxErrorText)], "")
}

// write keeps a line that a function wrote. See runtime.Config.Line.
func (h *history) write(function string, line []byte) {
	line = bytes.TrimRight(line, "\r\n")
	text := strings.ToValidUTF8(string(line[:min(len(line), maxLineBytes)]), "\uFFFD")
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.activity(function)
	a.lines = append(a.lines, text)
	a.lineBytes += len(text)
	drop := 0
	for len(a.lines)-drop > maxLines || a.lineBytes > maxLineBytes {
		a.lineBytes -= len(a.lines[drop])
		drop++
	}
	a.lines = slices.Delete(a.lines, 0, drop)
}
