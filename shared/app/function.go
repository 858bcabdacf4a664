package app

import (
	"fmt"
	"os"

	"github.com/osirose-new/database-service/shared/config"
)

// Function opens the program of a Lambda function with this number of concurrent requests. If the environment is wrong,
// it writes the error to stderr, which is the function's log, and ends the process.
func Function(concurrency int) *Program {
	p, err := openFunction(concurrency)
	if err != nil {
		fmt.Fprintf(os.Stderr, "wrong environment variables:\n%v\n", err)
		os.Exit(1)
	}
	return p
}

func openFunction(concurrency int) (*Program, error) {
	c, err := config.Read(os.Getenv)
	if err != nil {
		return nil, err
	}
	o := Options{Config: c, Concurrency: concurrency}
	o.EmbedMetrics(os.Stdout)
	if err := traceFunction(&o); err != nil {
		return nil, err
	}
	return Open(o)
}
