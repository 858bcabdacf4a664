package app

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/osirose-new/database-service/shared/config"
)

// Function opens the program of a Lambda function with this number of concurrent requests. If the environment is wrong,
// it writes the error to stderr, which is the function's log, and ends the process.
func Function(concurrency int) *Program {
	p, err := openFunction(os.Getenv, os.Stderr, concurrency)
	if err != nil {
		fmt.Fprintf(os.Stderr, "wrong environment variables:\n%v\n", err)
		os.Exit(1)
	}
	return p
}

func openFunction(getenv func(string) string, logTo io.Writer, concurrency int) (*Program, error) {
	c, err := config.Read(getenv)
	if err != nil {
		return nil, err
	}
	o := Options{Config: c, Concurrency: concurrency, Events: true, LogTo: logTo}
	o.EmbedMetrics(os.Stdout)
	if err := traceFunction(&o); err != nil {
		return nil, err
	}
	p, err := Open(o)
	if err == nil && strings.TrimSpace(getenv("REDIS_URL")+getenv("REDIS_URL_FILE")) == "" {
		p.Log.Warn("REDIS_URL is not set, so the function looks for Redis on its own machine: set REDIS_URL, or REDIS_URL=off")
	}
	return p, err
}
