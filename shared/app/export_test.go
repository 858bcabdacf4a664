package app

// TraceFunction is the part of [Function] that sets up traces.
func TraceFunction(o *Options) error { return traceFunction(o) }

// OpenFunction is [Function] with another environment and log.
var OpenFunction = openFunction
