//go:build e2e

package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/osirose-new/database-service/shared/testenv"
)

var updateScreenshots = flag.Bool("update-screenshots", false, "write local/console/screenshots anew")

// TestConsolePages opens the pages in Chromium: light, dark, on a phone, and enlarged. scripts/browser says what it looks for.
func TestConsolePages(t *testing.T) {
	t.Parallel()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err, ": install Debian's chromium")
	}
	e := testenv.New(t, "plugins", testenv.RedisKinds()[0])
	p, admin := startWithAdmin(t, outside(e))
	c := exec.Command("node", "pages.mjs", chromium, "front="+p.url+"/", "reference="+admin+"/console/api/")
	c.Dir = "../scripts/browser"
	if *updateScreenshots {
		dir, err := filepath.Abs("console/screenshots")
		if err != nil {
			t.Fatal(err)
		}
		c.Env = append(os.Environ(), "SCREENSHOTS="+dir)
	}
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("scripts/browser/pages.mjs: %v\n%s", err, out)
	}
}
