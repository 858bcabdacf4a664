package main

import (
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/osirose-new/database-service/shared/callers"
)

const keysUsage = `Makes an API key for a caller.

  database-service keys new [flags] NAME

It prints the key to stderr, and the caller's entry for CALLERS_FILE to stdout. The file has only the SHA-256 of the key's
secret, so the key cannot be shown again. Put the entries of several callers under one "callers:". For a rotation, add a second
key to the caller's keys, give it to the caller, and remove the first one.

  -role ROLE  role of the caller, for example world (shared/callers/README.md lists them); required, may be repeated
  -days N     days until the key expires, from 1 to 3650; default 365
`

// runKeys prints a new key to keyTo, and its entry to entryTo.
func runKeys(args []string, entryTo, keyTo io.Writer, now time.Time) error {
	if len(args) == 0 || args[0] != "new" {
		return fmt.Errorf("keys needs the command new: %w", usageError("database-service keys"))
	}
	f := flag.NewFlagSet("keys", flag.ContinueOnError)
	days := f.Int("days", 365, "")
	var roles []string
	f.Func("role", "", func(s string) error {
		roles = append(roles, s)
		return nil
	})
	if err := parseFlags(f, args[1:], keysUsage); err != nil {
		return err
	}
	switch {
	case f.NArg() != 1:
		return fmt.Errorf("keys new needs one NAME, after the flags: %w", helpOf(f))
	case *days < 1 || *days > 3650:
		return fmt.Errorf("-days is not a number from 1 to 3650: %w", helpOf(f))
	case roles == nil:
		return fmt.Errorf("keys new needs -role, for example -role world: %w", helpOf(f))
	}
	k := callers.NewKey()
	entry, err := callers.Entry(f.Arg(0), roles, k, now, now.AddDate(0, 0, *days))
	if err != nil {
		return fmt.Errorf("%w: %w", err, helpOf(f))
	}
	if _, err = fmt.Fprintf(keyTo, "The key, which is not shown again. Send it as: Authorization: Bearer KEY\n%s\n", k.Text); err == nil {
		_, err = fmt.Fprint(entryTo, entry)
	}
	return err
}
