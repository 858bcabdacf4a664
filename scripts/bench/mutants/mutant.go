package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// mutant is one wrong change to the source, of the kind that a tired engineer could make.
type mutant struct {
	Name     string   // kebab-case
	What     string   // the consequence, for callers or operators
	File     string   // relative to the root of the repository
	Old, New string   // Old occurs exactly once in File
	Packages []string // the packages whose tests must find it; the fastest first
	Run      string   // pattern of the tests to run; empty: all
}

// area is the part of the program that the mutant is in.
func (m mutant) area() string {
	for _, a := range []struct{ prefix, area string }{
		{"shared/cache/", "cache"},
		{"shared/users/", "repositories"}, {"shared/sessions/", "repositories"}, {"shared/characters/", "repositories"},
		{"shared/postgres/", "repositories"},
		{"shared/lambdahttp/", "adapter"},
		{"shared/", "edge"}, {"local/", "edge"},
	} {
		if strings.HasPrefix(m.File, a.prefix) {
			return a.area
		}
	}
	return ""
}

// patch returns the text of the file with the mutation applied.
func (m mutant) patch(text string) (string, error) {
	switch n := strings.Count(text, m.Old); {
	case m.Old == "" || m.Old == m.New:
		return "", fmt.Errorf("%s: old and new must differ, and old must not be empty", m.Name)
	case n != 1:
		return "", fmt.Errorf("%s: %s has the old text %d times (want once)", m.Name, m.File, n)
	}
	return strings.Replace(text, m.Old, m.New, 1), nil
}

// write writes the mutated file and an overlay that names it into dir. It returns the overlay's path.
func (m mutant) write(root, dir string) (overlay string, err error) {
	file := filepath.Join(root, m.File)
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	patched, err := m.patch(string(text))
	if err != nil {
		return "", err
	}
	mutated := filepath.Join(dir, filepath.Base(m.File))
	if err := os.WriteFile(mutated, []byte(patched), 0o600); err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	content, err := json.Marshal(map[string]map[string]string{"Replace": {file: mutated}})
	if err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, content, 0o600)
}

// id identifies the mutation: a result counts only for the mutant with the same id.
func (m mutant) id() string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q", []string{m.Name, m.File, m.Old, m.New})
	return fmt.Sprintf("%016x", h.Sum64())
}

func readMutants(file string) ([]mutant, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var all []mutant
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&all); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return all, nil
}

// choose returns the mutants with these names, and all if there are no names.
func choose(all []mutant, names []string) ([]mutant, error) {
	if len(names) == 0 {
		return all, nil
	}
	byName := map[string]mutant{}
	for _, m := range all {
		byName[m.Name] = m
	}
	var chosen []mutant
	var unknown []string
	for _, name := range names {
		if m, ok := byName[name]; ok {
			chosen = append(chosen, m)
		} else {
			unknown = append(unknown, name)
		}
	}
	if unknown != nil {
		return nil, fmt.Errorf("unknown mutants: %s (see -list)", strings.Join(unknown, ", "))
	}
	return chosen, nil
}

const mutantsFile = "scripts/bench/mutants/mutants.yaml"
