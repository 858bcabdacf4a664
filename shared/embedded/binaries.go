package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// usualFolders are where packages put PostgreSQL without adding it to PATH.
var usualFolders = []string{
	"/usr/lib/postgresql/*/bin", // Debian
	"/usr/pgsql-*/bin",          // Red Hat
	"/usr/libexec/postgresql*",  // Alpine
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
	"/usr/local/pgsql/bin",
}

// locator finds the folder that holds postgres and initdb.
type locator struct {
	getenv  func(string) string
	folders []string // patterns of filepath.Glob, after PATH
}

func (l locator) find(ctx context.Context) (string, error) {
	if named := l.getenv("POSTGRES_BIN"); named != "" {
		if bin, ok := serverFolder(named); ok {
			return bin, nil
		}
		return "", fmt.Errorf("POSTGRES_BIN is %s, and postgres and initdb are not there: write the folder that has both", named)
	}
	for _, folder := range l.candidates() {
		if bin, ok := serverFolder(folder); ok {
			return bin, nil
		}
	}
	err := errors.New("POSTGRES_FETCH=never forbids to fetch it")
	switch strings.TrimSpace(l.getenv("POSTGRES_FETCH")) {
	case "never":
	case "":
		bin, fetchErr := fetch(ctx)
		if fetchErr == nil {
			return bin, nil
		}
		err = fmt.Errorf("it cannot be fetched: %w", fetchErr)
	default: // who writes false or off does not want it either
		err = errors.New("POSTGRES_FETCH has a value that is not known (write never, or unset it)")
	}
	return "", fmt.Errorf("PostgreSQL is neither in PATH nor in %s, and %w: install it (apt install postgresql, dnf install postgresql-server, brew install postgresql@18), or set POSTGRES_BIN to the folder of postgres and initdb",
		strings.Join(l.folders, ", "), err)
}

// candidates returns the folders of PATH, then the usual folders that exist, newest version first.
func (l locator) candidates() []string {
	var folders []string
	for _, folder := range filepath.SplitList(l.getenv("PATH")) {
		if filepath.IsAbs(folder) {
			folders = append(folders, folder)
		}
	}
	for _, pattern := range l.folders {
		found, _ := filepath.Glob(pattern) // fails for a bad pattern only
		slices.SortFunc(found, newestFirst)
		folders = append(folders, found...)
	}
	return folders
}

var versionNumber = regexp.MustCompile(`\d+(\.\d+)?`)

func newestFirst(a, b string) int {
	return cmp.Compare(lastNumber(b), lastNumber(a))
}

func lastNumber(path string) float64 {
	numbers := versionNumber.FindAllString(path, -1)
	if len(numbers) == 0 {
		return 0
	}
	n, _ := strconv.ParseFloat(numbers[len(numbers)-1], 64)
	return n
}

// serverFolder follows links to the folder of postgres, because a link in PATH often has no initdb beside it.
func serverFolder(folder string) (bin string, ok bool) {
	server, err := filepath.EvalSymlinks(filepath.Join(folder, "postgres"))
	if err != nil {
		return "", false
	}
	bin, err = filepath.Abs(filepath.Dir(server))
	if err != nil {
		return "", false
	}
	return bin, isProgram(server) && isProgram(filepath.Join(bin, "initdb"))
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
