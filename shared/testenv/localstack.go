package testenv

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// StartLocalStack runs scripts/localstack/start with the login of databaseURL, and returns the variables that it prints. It
// ends with the test. root is the root of the repository.
func StartLocalStack(t testing.TB, root, databaseURL string) (variables map[string]string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(root, "scripts/localstack/start"), fmt.Sprintf("127.0.0.1:%d", FreePort(t)))
	cmd.Env = append(os.Environ(), "DATABASE_URL="+databaseURL, "TMPDIR="+t.TempDir())
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	variables = map[string]string{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		for _, word := range strings.Fields(lines.Text()) {
			if name, value, ok := strings.Cut(word, "="); ok {
				variables[name] = strings.Trim(value, "'")
			}
		}
		if variables["DATABASE_SECRET_ARN"] != "" { // in its last line
			return variables
		}
	}
	t.Fatal("LocalStack did not start")
	return nil
}
