package runtime

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/osirose-new/database-service/local/emulator/template"
)

// failure is the document that a caller gets instead of a response.
type failure struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
}

func (f failure) result() Result {
	text, _ := json.Marshal(f) // never fails for two strings
	return Result{Payload: text, Failed: true}
}

func failed(requestID, kind, format string, args ...any) Result {
	return failure{kind, "RequestId: " + requestID + " Error: " + fmt.Sprintf(format, args...)}.result()
}

func timedOut(requestID string, after time.Duration) Result {
	result := failed(requestID, "Sandbox.Timedout", "Task timed out after %.2f seconds", after.Seconds())
	result.TimedOut, result.Duration = true, after
	return result
}

func tooLarge() Result {
	return failure{
		"Function.ResponseSizeTooLarge",
		fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", template.MaxResponse),
	}.result()
}

func throttled() Result {
	result := failure{"TooManyRequestsException", "Rate Exceeded."}.result()
	result.Throttled = true
	return result
}

// report holds the data of the lines that Lambda itself writes to the log of an invocation.
type report struct {
	requestID string
	function  *template.Function
	init      time.Duration // of the process that was started for this invocation; 0: none was
	memory    int           // MB; 0: unknown
}

// finish completes the log of result, and writes its last line to output.
func (r report) finish(result *Result, written tail, output *lines) {
	var log tail
	fmt.Fprintf(&log, "START RequestId: %s Version: $LATEST\n", r.requestID)
	_, _ = log.Write(written) // never fails
	if n := len(log); n > 0 && log[n-1] != '\n' {
		log = append(log, '\n')
	}
	if result.TimedOut {
		fmt.Fprintf(&log, "%s %s Task timed out after %.2f seconds\n", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), r.requestID, result.Duration.Seconds())
	}
	last := r.line(*result)
	fmt.Fprintf(&log, "END RequestId: %s\n%s", r.requestID, last)
	result.Log = log
	output.write(r.function.ID, []byte(last))
}

func (r report) line(result Result) string {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	text := fmt.Sprintf("REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %.0f ms\tMemory Size: %d MB\t",
		r.requestID, ms(result.Duration), math.Ceil(ms(result.Duration+r.init)), r.function.Memory)
	if r.memory > 0 {
		text += fmt.Sprintf("Max Memory Used: %d MB\t", r.memory)
	}
	if r.init > 0 {
		text += fmt.Sprintf("Init Duration: %.2f ms\t", ms(r.init))
	}
	if result.TimedOut {
		text += "Status: timeout\t"
	} else if result.Failed {
		text += "Status: error\t"
	}
	return text + "\n"
}

// NewID returns a request id.
func NewID() string { return uuid.NewString() }

// newTrace returns the X-Ray trace header of an invocation that is not sampled.
func newTrace() string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("Root=1-%08x-%x;Parent=%x;Sampled=0", time.Now().Unix(), b[:12], b[12:])
}
