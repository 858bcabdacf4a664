//go:build e2e

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestBinariesAreReproducible builds the program as the Dockerfile does, and all functions, in two folders and checkouts. The
// binaries are equal byte for byte. The builds share the build cache, whose keys have no folder if the flags are right.
func TestBinariesAreReproducible(t *testing.T) {
	t.Parallel()
	here, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	first := hashes(t, here)
	other := copySources(t, "functions", "local", "rpc", "shared")
	commandIn(t, other, nil, "git", "init", "--quiet") // another commit of the same sources
	commandIn(t, other, nil, "git", "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "--quiet", "--allow-empty", "-m", "test")
	second := hashes(t, other)
	if len(first) != 6 {
		t.Errorf("there are %d binaries, want the program and five functions: %v", len(first), first)
	}
	for name, want := range first {
		t.Logf("%s %s", want, name)
		if got := second[name]; got != want {
			t.Errorf("%s: its SHA-256 is %s, and in another folder %s", name, want, got)
		}
	}
}

// hashes builds the binaries from the sources in root and returns their SHA-256 by name.
func hashes(t *testing.T, root string) map[string]string {
	t.Helper()
	out := t.TempDir()
	environment := []string{"REVISION=0123456789abcdef", "GOFLAGS=-mod=readonly"} // not the flags of this machine
	commandIn(t, root, environment, "sh", "-c", dockerBuild(t, filepath.Join(out, "database-service")))
	commandIn(t, root, nil, "scripts/build", "-amd64", "-o", out)
	files, err := filepath.Glob(filepath.Join(out, "*", "bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, file := range append(files, filepath.Join(out, "database-service")) {
		program, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(program)
		found[strings.TrimPrefix(file, out+"/")] = hex.EncodeToString(sum[:])
	}
	return found
}

// dockerBuild returns the Dockerfile's command that builds the program, with another path of the result.
func dockerBuild(t *testing.T, program string) string {
	t.Helper()
	dockerfile, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^RUN (.*go build .*) -o /out/database-service (\S+)`).FindStringSubmatch(string(dockerfile))
	if line == nil {
		t.Fatal("the Dockerfile has no line RUN ... go build ... -o /out/database-service PACKAGE")
	}
	return line[1] + " -o " + program + " " + line[2]
}

// copySources copies these folders, and what scripts/build needs, and returns the folder of the copy.
func copySources(t *testing.T, folders ...string) (root string) {
	t.Helper()
	root = t.TempDir()
	for _, folder := range folders {
		if err := os.CopyFS(filepath.Join(root, folder), os.DirFS("../"+folder)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "scripts"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"go.mod", "go.sum", "template.yaml", "scripts/build"} {
		text, err := os.ReadFile("../" + file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, file), text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root
}
