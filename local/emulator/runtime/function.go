package runtime

import (
	"context"
	"time"
)

// Function runs invocations of one Lambda function.
type Function interface {
	// Invoke runs the function once. It returns after the function's own timeout at the latest. As on Lambda, the function
	// runs on if ctx ends.
	Invoke(ctx context.Context, in Invocation) Result
}

// Invocation is one event for a function.
type Invocation struct {
	RequestID     string // a new one if empty
	Payload       []byte
	ClientContext string // base64, as the Invoke API received it; mostly empty
	Async         bool   // it waits for a process as long as necessary, and is never throttled
}

// Result is how an invocation ended.
type Result struct {
	Payload   []byte        // the function's response, or the document that describes the error
	Failed    bool          // the function or its process failed: X-Amz-Function-Error
	TimedOut  bool          // failed because of the function's timeout
	Throttled bool          // failed before it ran: too many invocations run and wait
	Init      bool          // failed because its process did not start, or ended or hung before its first poll
	Log       []byte        // the end of what the function wrote, at most 4 KiB
	Duration  time.Duration // of the function itself
}
