//go:build e2e

package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// pythonTool returns the path of a tool that scripts/python/install installs.
func pythonTool(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs("../scripts/python/.venv/bin/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is not installed: run scripts/python/install", name)
	}
	return path
}

// command runs a program in the root of the repository and returns its stdout.
func command(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	return commandIn(t, "..", env, name, args...)
}

func commandIn(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var out, log bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), env...), &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, &out, &log)
	}
	return out.String()
}

// buildFunctions runs scripts/build for this machine's processor.
func buildFunctions(t *testing.T, root string, args ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	commandIn(t, root, []string{"GOARCH=" + runtime.GOARCH}, "scripts/build", append([]string{"-o", dir}, args...)...)
	return dir
}

// TestBuildSetsParameters checks that the template of scripts/build has the architecture of the binaries, and says whether the
// zips name the callers.
func TestBuildSetsParameters(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args                  []string
		architecture, callers string
	}{
		{nil, "arm64", "false"}, {[]string{"-amd64"}, "x86_64", "false"}, {[]string{"-callers", "go.mod"}, "arm64", "true"},
	} {
		dir := t.TempDir()
		commandIn(t, "..", []string{"GOARCH="}, "scripts/build", append([]string{"-o", dir, "-noaws", "purge"}, test.args...)...)
		text, err := os.ReadFile(filepath.Join(dir, "template.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var template struct {
			Parameters map[string]struct {
				Default string `yaml:"Default"`
			} `yaml:"Parameters"`
		}
		if err := yaml.Unmarshal(text, &template); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"Architecture": test.architecture, "HasCallers": test.callers} {
			if got := template.Parameters[name].Default; got != want {
				t.Errorf("scripts/build %v: the default of %s is %q, want %s", test.args, name, got, want)
			}
		}
	}
}

// TestBuildIsReproducible checks that two builds, in different folders and with different Go settings, are equal byte
// for byte.
func TestBuildIsReproducible(t *testing.T) {
	t.Parallel()
	copied := copySources(t, "functions", "rpc", "shared")
	certificates := filepath.Join(copied, "certificates")
	if err := os.WriteFile(certificates, []byte("certificates"), 0o600); err != nil {
		t.Fatal(err)
	}
	settings := filepath.Join(copied, "settings")
	if err := os.WriteFile(settings, []byte("GOEXPERIMENT=nogreenteagc\nGOFLAGS=-cover\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	callers := filepath.Join(copied, "who.yaml")
	if err := os.WriteFile(callers, []byte("callers: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	commandIn(t, copied, []string{"GOARCH=" + runtime.GOARCH, "GOENV=" + settings, "GOFIPS140=latest"},
		"scripts/build", "-o", other, "-ca", certificates, "-callers", callers, "purge")
	var zips [][]byte
	for _, dir := range []string{buildFunctions(t, "..", "-ca", certificates, "-callers", callers, "purge"), other} {
		b, err := os.ReadFile(filepath.Join(dir, "purge.zip"))
		if err != nil {
			t.Fatal(err)
		}
		zips = append(zips, b)
	}
	if !bytes.Equal(zips[0], zips[1]) {
		t.Error("the zips differ")
	}
	wantZip(t, zips[0])
}

// wantZip checks that a zip contains the program, the certificates and the callers, but no times or owners of the build machine.
func wantZip(t *testing.T, b []byte) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range z.File {
		got = append(got, fmt.Sprintf("%s %s %s extra %d", f.Name, f.Mode(), f.Modified.Format("2006-01-02"), len(f.Extra)))
	}
	want := []string{
		"bootstrap -rwxr-xr-x 1980-01-01 extra 0", "ca.pem -rw-r--r-- 1980-01-01 extra 0", "callers.yaml -rw-r--r-- 1980-01-01 extra 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files in the zip (-want +got):\n%s", diff)
	}
}

// wantRIE runs each binary in AWS's Runtime Interface Emulator, which is part of the SAM CLI, and sends it the events
// of scripts/events. This emulator runs one function and fails if it gets two requests at once.
func wantRIE(t *testing.T, dir string) {
	w := newEventWorld(t)
	urls := map[string]string{}
	for _, name := range []string{"user", "character", "session", "staff", "purge"} {
		urls[name] = startRIE(t, filepath.Join(dir, name, "bootstrap"), w)
	}
	for _, e := range shippedEvents() {
		e.wantAnswer(t, post(t, urls[e.function], w.event(t, e.name)))
	}

	w.wantPurge(t, func() {
		if answer := post(t, urls["purge"], w.event(t, "purge")); string(answer) != "null" {
			t.Errorf("purge: %s, want null", answer)
		}
	})
}

// wantPurge makes a character's deletion due, runs purge, and checks that it has finished the deletion.
func (w *eventWorld) wantPurge(t *testing.T, purge func()) {
	t.Helper()
	w.OwnerExec(t, `UPDATE game.character SET delete_at = now() - interval '1 minute' WHERE name IN ('Aldebaran', 'Betelgeuse')`)
	purge()
	var finished bool
	err := w.Owner.QueryRow(t.Context(), `SELECT deleted_at IS NOT NULL FROM game.character WHERE name IN ('Aldebaran', 'Betelgeuse')`).Scan(&finished)
	if err != nil || !finished {
		t.Errorf("purge has finished the due deletion: %t, %v; want true", finished, err)
	}
}

// startRIE starts the emulator with a function and returns the URL for events.
func startRIE(t *testing.T, bootstrap string, w *eventWorld) (url string) {
	t.Helper()
	processor := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	found, err := filepath.Glob("../scripts/python/.venv/lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-" + processor)
	if err != nil || len(found) != 1 {
		t.Fatalf("found %d Runtime Interface Emulators for %s, %v: run scripts/python/install", len(found), processor, err)
	}
	address := "127.0.0.1:" + freePort(t)
	cmd := exec.Command(found[0], "--runtime-interface-emulator-address", address,
		"--runtime-api-address", "127.0.0.1:"+freePort(t), bootstrap)
	var log output
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.Env = []string{
		"DATABASE_URL=" + w.Program.Config.DatabaseURL, "REDIS_URL=" + w.Program.Config.RedisURL, "AWS_LAMBDA_FUNCTION_TIMEOUT=20",
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // ends the function too
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", bootstrap, &log)
		}
	})
	eventually(t, "the Runtime Interface Emulator", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return "http://" + address + "/2015-03-31/functions/function/invocations"
}

func post(t *testing.T, url string, event []byte) []byte {
	t.Helper()
	response, err := http.Post(url, "application/json", bytes.NewReader(event))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(answer)
}

// lastLine returns the last line of sam's output, which is the function's answer.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
