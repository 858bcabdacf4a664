package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/osirose-new/database-service/shared/boot"
)

const invokeUsage = `Calls a function of a running emulator with an event, one that was saved say, and prints its answer; on stderr its log.

  local invoke FUNCTION [flags]

  -e FILE    the event; - for stdin; without, it is {}
  -url URL   the emulator; default http://127.0.0.1:50052, or what LISTEN_ADDR and SERVICE_PORT say

It exits with 1 where the function failed.
`

var errFunctionFailed = errors.New("the function failed")

// runInvoke prints the answer to stdout.
func runInvoke(ctx context.Context, args []string) error {
	name := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	f := flag.NewFlagSet("invoke", flag.ContinueOnError)
	file := f.String("e", "", "")
	base := f.String("url", "", "")
	if err := parse(f, args, invokeUsage); err != nil {
		return err
	}
	if name == "" {
		return fmt.Errorf("local invoke needs the name of a function first: %w", errUsage)
	}
	if *base == "" {
		c, err := boot.Read(os.Getenv)
		if err != nil {
			return err
		}
		*base = baseURL(c.Listen)
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
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, bytes.TrimSpace(answer))
	}
	fmt.Printf("%s\n", answer)
	if response.Header.Get("X-Amz-Function-Error") != "" {
		return errFunctionFailed
	}
	return nil
}
