package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/osirose-new/database-service/local/emulator"
)

// greetEmulator prints what a developer needs to know when the emulator has started.
func greetEmulator(w io.Writer, f emulatorFlags, e *emulator.Emulator, g greeting) {
	o := f.options
	kind := "in this process"
	if o.Binaries != "" {
		kind = "from " + o.Binaries
	}
	switch {
	case f.watch && o.Binaries == "":
		kind = "built from here, and again after each change"
	case f.watch:
		kind += ", and built from here after each change"
	}
	gateway := o.Gateway
	if gateway == "" {
		gateway = emulator.HTTPAPI
	}
	fmt.Fprintf(w, "\nosirose database-service, as Lambda functions, listens at %s\n\n", g.url)
	fmt.Fprintf(w, "  Functions   %s, %s\n", strings.Join(e.Functions(), ", "), kind)
	fmt.Fprintf(w, "  Gateway     %s; others at %s/_gateway/KIND/...: v2, v1, furl, alb, alb-multi\n", gateway, g.url)
	fmt.Fprintf(w, "  Invoke API  aws lambda invoke --endpoint-url %s --region us-east-1 --function-name PurgeFunction /dev/stdout\n", g.url)
	fmt.Fprintln(w, "              (the AWS CLI requires credentials; any value works)")
	fmt.Fprintf(w, "  Console     %s/console/\n", g.url)
	if o.SaveTo != "" {
		fmt.Fprintf(w, "  Events      in %s; replay with database-service invoke FUNCTION -e FILE\n", o.SaveTo)
	}
	token := g.printBackends(w)
	fmt.Fprintf(w, "\nTry:\n  %s\n\n", curl(g.url, token, false))
}
