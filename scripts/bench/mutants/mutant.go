package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// bug is one that somebody tired could write.
type bug struct {
	Name     string   // in kebab-case
	What     string   // goes wrong, and for whom
	File     string   // below the module's root
	Old, New string   // Old occurs once in the file
	Packages []string // whose tests should find it, the quickest first
	Run      string   // the tests to run, where the others are slow and not about it; empty: all
}

// area is the part of the program that the bug is in.
func (b bug) area() string {
	for _, a := range []struct{ prefix, area string }{
		{"shared/cache/", "cache"},
		{"shared/users/", "repositories"}, {"shared/sessions/", "repositories"}, {"shared/characters/", "repositories"},
		{"shared/postgres/", "repositories"},
		{"shared/lambdahttp/", "adapter"},
		{"shared/rpcserver/", "edge"}, {"shared/sessiontoken/", "edge"}, {"local/", "edge"},
	} {
		if strings.HasPrefix(b.File, a.prefix) {
			return a.area
		}
	}
	return ""
}

// patch returns the text of the file with the bug in it.
func (b bug) patch(text string) (string, error) {
	switch n := strings.Count(text, b.Old); {
	case b.Old == "" || b.Old == b.New:
		return "", fmt.Errorf("%s changes nothing", b.Name)
	case n != 1:
		return "", fmt.Errorf("%s: what it replaces is %d times in %s, and should be once", b.Name, n, b.File)
	}
	return strings.Replace(text, b.Old, b.New, 1), nil
}

// plant writes the patched file and an overlay that names it into dir, and returns the overlay's path.
func (b bug) plant(root, dir string) (overlay string, err error) {
	file := filepath.Join(root, b.File)
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	patched, err := b.patch(string(text))
	if err != nil {
		return "", err
	}
	bad := filepath.Join(dir, filepath.Base(b.File))
	if err := os.WriteFile(bad, []byte(patched), 0o600); err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	content, err := json.Marshal(map[string]map[string]string{"Replace": {file: bad}})
	if err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, content, 0o600)
}

func readBugs(file string) ([]bug, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var bugs []bug
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&bugs); err != nil {
		return nil, fmt.Errorf("bugs.yaml: %w", err)
	}
	return bugs, nil
}

// moduleRoot is where the module is whose tests run.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if filepath.Base(mod) != "go.mod" {
		return "", errors.New("run this in the repository")
	}
	return filepath.Dir(mod), nil
}
