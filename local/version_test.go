package main

import (
	"regexp"
	"runtime"
	"testing"

	"github.com/osirose-new/database-service/shared/testenv"
)

// TestVersion compares what -version prints with the metric of the same build.
func TestVersion(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"-version", "--version", "version"} {
		got := runToEnd(t, 0, nil, flag).stdout.String()
		parts := regexp.MustCompile(`^database-service (\S+)\nrevision (\S+)\n(go\S+.*)\n$`).FindStringSubmatch(got)
		if parts == nil || parts[3] != runtime.Version() {
			t.Fatalf("%s prints %q, want version, revision and %s", flag, got, runtime.Version())
		}
		if flag == "version" {
			_, admin := startWithAdmin(t, outside(testenv.New(t, "plugins", "miniredis")))
			metric := `build_info{goversion="` + parts[3] + `",revision="` + parts[2] + `",version="` + parts[1] + `"}`
			if scrape(t, admin).values[metric] != 1 {
				t.Errorf("the program does not export %s", metric)
			}
		}
	}
}
