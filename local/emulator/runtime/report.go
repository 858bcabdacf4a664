package emulator

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// maxResponse is how much a function may answer: 6 MB and a little, as Lambda has it.
const maxResponse = 6<<20 + 100

// failure is the document that a caller gets in place of an answer.
type failure struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
}

func (f failure) outcome() outcome {
	text, _ := json.Marshal(f) // two strings
	return outcome{payload: text, failed: true}
}

func failed(requestID, kind, format string, args ...any) outcome {
	return failure{kind, "RequestId: " + requestID + " Error: " + fmt.Sprintf(format, args...)}.outcome()
}

func timedOut(requestID string, after time.Duration) outcome {
	o := failed(requestID, "Sandbox.Timedout", "Task timed out after %.2f seconds", after.Seconds())
	o.timedOut, o.duration = true, after
	return o
}

func tooLarge() outcome {
	return failure{
		"Function.ResponseSizeTooLarge",
		fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", maxResponse),
	}.outcome()
}

func throttled() outcome {
	o := failure{"TooManyRequestsException", "Rate Exceeded."}.outcome()
	o.throttled = true
	return o
}

// report is what Lambda itself writes to the log of an invocation.
type report struct {
	requestID string
	function  *spec
	init      time.Duration // of the process that was started for this invocation; 0: one was there
	memory    int           // MB; 0: not known
}

// finish completes the log of o, and tells the last line to those who watch.
func (r report) finish(o *outcome, written tail, watchers *lines) {
	var log tail
	fmt.Fprintf(&log, "START RequestId: %s Version: $LATEST\n", r.requestID)
	_, _ = log.Write(written) // never fails
	if n := len(log); n > 0 && log[n-1] != '\n' {
		log = append(log, '\n')
	}
	if o.timedOut {
		fmt.Fprintf(&log, "%s %s Task timed out after %.2f seconds\n", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), r.requestID, o.duration.Seconds())
	}
	last := r.line(*o)
	fmt.Fprintf(&log, "END RequestId: %s\n%s", r.requestID, last)
	o.log = log
	watchers.write(r.function.id, []byte(last))
}

func (r report) line(o outcome) string {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	text := fmt.Sprintf("REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %.0f ms\tMemory Size: %d MB\t",
		r.requestID, ms(o.duration), math.Ceil(ms(o.duration+r.init)), r.function.memory)
	if r.memory > 0 {
		text += fmt.Sprintf("Max Memory Used: %d MB\t", r.memory)
	}
	if r.init > 0 {
		text += fmt.Sprintf("Init Duration: %.2f ms\t", ms(r.init))
	}
	if o.timedOut {
		text += "Status: timeout\t"
	} else if o.failed {
		text += "Status: error\t"
	}
	return text + "\n"
}

// newID is a request id: a random UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// newTrace is the X-Ray trace of an invocation that nobody samples.
func newTrace() string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("Root=1-%08x-%x;Parent=%x;Sampled=0", time.Now().Unix(), b[:12], b[12:])
}
