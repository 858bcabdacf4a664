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

const invokeUsage = `Calls a function of a running emulator with an event, one that was saved say, and prints its answer; on stderr its log.

  local invoke FUNCTION [flags]

  -e FILE    the event; - for stdin; without, it is {}, which a service answers with an empty 200, as it does scheduled
             events: they keep it warm
  -url URL   the emulator; default http://127.0.0.1:50052, or what LISTEN_ADDR and SERVICE_PORT say

It exits with 1 where the function failed.
`

var errFunctionFailed = errors.New("the function failed")

// runInvoke prints the answer to stdout.
func runInvoke(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("invoke", flag.ContinueOnError)
	file := f.String("e", "", "")
	base := f.String("url", "", "")
	err := parseFlags(f, args, invokeUsage)
	name := f.Arg(0)
	if err == nil && name != "" {
		err = parse(f, f.Args()[1:], invokeUsage) // flags may come before the name and behind it
	}
	if err != nil {
		return err
	}
	if name == "" {
		return fmt.Errorf("local invoke needs the name of a function: %w", helpOf(f))
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
	client := http.Client{Transport: &http.Transport{}} // past any HTTP_PROXY
	response, err := client.Do(r)
	if err != nil {
		return err
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
		return fmt.Errorf("%s serves, but no functions: is this an emulator?", base)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, bytes.TrimSpace(answer))
	}
	fmt.Printf("%s\n", answer)
	if response.Header.Get("X-Amz-Function-Error") != "" {
		return errFunctionFailed
	}
	return nil
}

// isBadRoute recognizes the answer of the services themselves to a path that they do not have.
func isBadRoute(answer []byte) bool {
	var e struct{ Code twirp.ErrorCode }
	return json.Unmarshal(answer, &e) == nil && e.Code == twirp.BadRoute
}
