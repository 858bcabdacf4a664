package testenv

import (
	"os"
	"strings"
	"testing"
)

// TableOfRights reads the table of rights in the README.md of package callers: all rights in order, and those of each role.
func TableOfRights(t testing.TB, file string) (rights []string, of map[string][]string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var roles []string
	of = map[string][]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case len(cells) > 3 && cells[0] == "right":
			roles = cells[2:]
		case len(cells) == len(roles)+2 && strings.HasPrefix(cells[0], "`"):
			right := strings.Trim(cells[0], "`")
			rights = append(rights, right)
			for i, cell := range cells[2:] {
				if cell == "yes" {
					of[roles[i]] = append(of[roles[i]], right)
				}
			}
		}
	}
	return rights, of
}

// ReplaceFile replaces a file in one step, as an operator should.
func ReplaceFile(t testing.TB, file, content string) {
	t.Helper()
	if err := os.WriteFile(file+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}
