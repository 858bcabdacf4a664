package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/config"
)

const invokeUsage = `Calls a function of a running emulator with an event, for example a saved one. It prints the response to stdout and the log to
stderr.

  database-service invoke FUNCTION [flags]

  -e FILE    the event; - for stdin. The default event is {}. A service answers it with an empty 200, like the scheduled
             events that keep it warm
  -url URL   the emulator; default http://127.0.0.1:50052, or the address in LISTEN_ADDR and SERVICE_PORT

The exit code is 1 if the function failed.
`

var errFunctionFailed = errors.New("the function failed: see its answer and its log above")

// runInvoke invokes a function and prints its response to stdout.
func runInvoke(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("invoke", flag.ContinueOnError)
	file := f.String("e", "", "")
	base := f.String("url", "", "")
	err := parseFlags(f, args, invokeUsage)
	name := f.Arg(0)
	if err == nil && name != "" {
		err = parse(f, f.Args()[1:], invokeUsage) // flags may stand before and after the name
	}
	if err != nil {
		return err
	}
	if name == "" {
		return fmt.Errorf("database-service invoke needs the name of a function: %w", helpOf(f))
	}
	if *base == "" {
		c, err := config.Read(os.Getenv)
		if err != nil {
			return err
		}
		c.TLS = config.TLS{} // the emulator has none
		*base = baseURL(c)
	}
	event, err := readEvent(*file)
	if err != nil {
		return err
	}
	return invoke(ctx, strings.TrimRight(*base, "/"), name, event)
}

func readEvent(file string) ([]byte, error) {
	switch file {
	case "":
		return []byte("{}"), nil
	case "-":
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(file)
}

func invoke(ctx context.Context, base, name string, event []byte) error {
	address := base + "/2015-03-31/functions/" + url.PathEscape(name) + "/invocations"
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(event))
	if err != nil {
		return err
	}
	r.Header.Set("X-Amz-Log-Type", "Tail")
	client := http.Client{Transport: &http.Transport{}} // ignores HTTP_PROXY
	response, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("the emulator at %s does not answer: %w; start it with database-service emulator, or name its URL with -url", base, errors.Unwrap(err))
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if log, err := base64.StdEncoding.DecodeString(response.Header.Get("X-Amz-Log-Result")); err == nil {
		_, _ = os.Stderr.Write(log)
	}
	if response.StatusCode == http.StatusNotFound && isBadRoute(answer) {
		return fmt.Errorf("the server at %s is no emulator: name the URL of a database-service emulator with -url", base)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the emulator answers %s: %s", response.Status, bytes.TrimSpace(answer))
	}
	fmt.Printf("%s\n", answer)
	if response.Header.Get("X-Amz-Function-Error") != "" {
		return errFunctionFailed
	}
	return nil
}

// isBadRoute recognizes the response of the services (without an emulator) to an unknown path.
func isBadRoute(answer []byte) bool {
	var e struct{ Code twirp.ErrorCode }
	return json.Unmarshal(answer, &e) == nil && e.Code == twirp.BadRoute
}
