package app

// TraceFunction is what [Function] does for traces.
func TraceFunction(o *Options) error { return traceFunction(o) }
