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

// protocolFiles are the code that the model describes, relative to this folder.
var protocolFiles = []string{
	"../cache.go", "../get.go", "../identity.go", "../invalidate.go", "../sync.go", "../faults.go", "../coalesce.go", "../keys.go",
	"../batch.go", "../lookup.go", "../memory.go", "../read.go", "../scripts.go",
	"../../postgres/changelog.go",
}

// checkedFile holds the hash of the code that the model was last compared with.
const checkedFile = "checked.txt"

// protocolHash hashes the tokens of the code, so comments and layout do not change it.
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
