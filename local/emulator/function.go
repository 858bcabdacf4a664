package emulator

import (
	"context"
	"time"
)

// function is a Lambda function of the template, however it runs.
type function interface {
	// invoke runs the function once, and returns at the latest when its own timeout is over.
	invoke(ctx context.Context, in invocation) outcome
}

// invocation is one event on its way.
type invocation struct {
	requestID     string
	payload       []byte
	clientContext string // base64, as the Invoke API got it; mostly empty
	patient       bool   // it waits as long as it takes, where others are throttled
}

// outcome is how an invocation ended.
type outcome struct {
	payload   []byte        // the function's answer, or the document that says what went wrong
	failed    bool          // an error of the function, or of its process: X-Amz-Function-Error
	timedOut  bool          // failed, because the time was over
	throttled bool          // failed before it ran: as many run as may, and as many wait
	log       []byte        // what the function wrote, its last 4 KiB
	duration  time.Duration // of the function itself
}
