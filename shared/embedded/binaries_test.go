package embedded_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/osirose-new/database-service/shared/embedded"
)

func TestPostgresNotFound(t *testing.T) {
	t.Parallel()

	t.Run("POSTGRES_BIN wrong", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		h := startHelper(t, "-", "POSTGRES_BIN="+dir)
		want := "POSTGRES_BIN is " + dir + ", and postgres and initdb are not there: write the folder that has both"
		if h.said != want {
			t.Errorf("helper said %q, want %q", h.said, want)
		}
	})

	t.Run("POSTGRES_FETCH never", func(t *testing.T) {
		t.Parallel()
		folder := filepath.Join(t.TempDir(), "*", "bin")
		env := map[string]string{"PATH": t.TempDir(), "POSTGRES_FETCH": "never"}
		_, err := embedded.FindServer(t.Context(), env, folder)
		wantError(t, err, "PATH", folder, "POSTGRES_FETCH=never", "install", "POSTGRES_BIN")
	})
}

func TestFindServer(t *testing.T) {
	t.Parallel()
	// The expected folder has no links: on macOS TempDir is a link.
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"9.6", "15", "17", "18"} {
		mustCreateProgram(t, filepath.Join(root, version, "bin", "postgres"))
		if version != "18" {
			mustCreateProgram(t, filepath.Join(root, version, "bin", "initdb"))
		}
	}
	links := t.TempDir()
	if err := os.Symlink(filepath.Join(root, "15", "bin", "postgres"), filepath.Join(links, "postgres")); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, path, bin, want string }{
		{name: "newest that has initdb", want: "17"},
		{name: "link in PATH comes first", path: links, want: "15"},
		{name: "POSTGRES_BIN comes before PATH", path: links, bin: filepath.Join(root, "9.6", "bin"), want: "9.6"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := map[string]string{"PATH": tt.path, "POSTGRES_BIN": tt.bin, "POSTGRES_FETCH": "never"}
			got, err := embedded.FindServer(t.Context(), env, filepath.Join(root, "*", "bin"))
			if want := filepath.Join(root, tt.want, "bin"); err != nil || got != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
}

func mustCreateProgram(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
}
