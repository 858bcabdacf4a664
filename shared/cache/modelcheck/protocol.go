package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
)

// protocolFiles are the code that the model is of, seen from this folder.
var protocolFiles = []string{
	"../cache.go", "../sync.go", "../faults.go", "../flights.go", "../keys.go", "../look.go", "../read.go", "../scripts.go",
	"../../postgres/changelog.go",
}

// checkedFile has the hash of the code for which the model was last looked at.
const checkedFile = "checked.txt"

// protocolHash is that of the code's tokens: comments and layout change nothing.
func protocolHash(dir string) (string, error) {
	h := sha256.New()
	for _, name := range protocolFiles {
		source, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		files := token.NewFileSet()
		var s scanner.Scanner
		s.Init(files.AddFile(name, -1, len(source)), source, nil, 0)
		for {
			_, t, text := s.Scan()
			if t == token.EOF {
				break
			}
			fmt.Fprintf(h, "%s %q\n", t, text)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
