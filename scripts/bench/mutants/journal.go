package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// entry is a result in the journal, as one line of JSON.
type entry struct {
	ID     string `json:"id"` // see mutant.id
	Name   string `json:"name"`
	How    how    `json:"how"`
	Pkg    string `json:"pkg,omitempty"`
	Test   string `json:"test,omitempty"`
	Chance bool   `json:"chance,omitempty"`
	Err    string `json:"err,omitempty"`
	MS     int64  `json:"ms"`
}

func newEntry(r result) entry {
	e := entry{ID: r.id(), Name: r.Name, How: r.how, Pkg: r.pkg, Test: r.test, Chance: r.chance, MS: r.took.Milliseconds()}
	if r.err != nil {
		e.Err = r.err.Error()
	}
	return e
}

func (e entry) result(m mutant) result {
	r := result{mutant: m, how: e.How, pkg: e.Pkg, test: e.Test, chance: e.Chance, took: time.Duration(e.MS) * time.Millisecond}
	if e.Err != "" {
		r.err = errors.New(e.Err)
	}
	return r
}

// readJournal returns the last entry of each mutant, by name. A journal that does not exist is empty.
func readJournal(file string) (map[string]entry, error) {
	entries := map[string]entry{}
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) || file == "" {
		return entries, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var e entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", file, n, err)
		}
		entries[e.Name] = e
	}
	return entries, lines.Err()
}

// appendJournal adds a result, so that an interrupted run can be resumed.
func appendJournal(file string, r result) (err error) {
	if file == "" {
		return nil
	}
	line, err := json.Marshal(newEntry(r))
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644) // a report that anyone may read
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}
