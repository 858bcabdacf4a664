package boot

import (
	"fmt"
	"os"
)

// Function opens the program of a Lambda function that gets concurrency requests at once. Where the environment is wrong
// it says so on stderr, which goes to the function's log, and ends the process.
func Function(concurrency int) *Program {
	c, err := Read(os.Getenv)
	if err == nil {
		c.Concurrency = concurrency
		c.EmbedMetrics(os.Stdout)
		err = traceFunction(&c)
	}
	if err == nil {
		var p *Program
		if p, err = Open(c); err == nil {
			return p
		}
	}
	fmt.Fprintf(os.Stderr, "wrong environment variables:\n%v\n", err)
	os.Exit(1)
	return nil
}
