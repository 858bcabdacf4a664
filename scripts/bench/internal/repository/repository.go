// Package repository finds the root of the repository, whose module these benchmarks do not belong to.
package repository

import (
	"errors"
	"os"
	"path/filepath"
)

// Root returns the root of the repository that the working directory is in.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "scripts", "bench", "mutants", "mutants.yaml")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("run this in the repository")
		}
		dir = parent
	}
}
