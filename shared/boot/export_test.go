package boot

// TraceFunction is what [Function] does for traces.
func TraceFunction(c *Config) error { return traceFunction(c) }
