package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/osirose-new/database-service/shared/testenv"
)

// composeSecrets runs the script of compose.yaml's first start, and returns what it prints.
func composeSecrets(t *testing.T, folder string, env ...string) string {
	t.Helper()
	c := exec.Command("/bin/bash", "compose-secrets", folder) // PATH may have Go and PostgreSQL only
	c.Env = append(env, "PATH=/usr/bin:/bin")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("compose-secrets: %v\n%s", err, out)
	}
	return string(out)
}

// TestComposeSecrets starts the program with the files of compose's service, and calls it with the printed key. Docker itself is not
// needed.
func TestComposeSecrets(t *testing.T) {
	t.Parallel()
	folder, e := t.TempDir(), testenv.New(t, "plugins", "miniredis")
	first := composeSecrets(t, folder)
	if again := composeSecrets(t, folder); again != first {
		t.Errorf("the second start prints %q, want %q", again, first)
	}
	testenv.ReplaceFile(t, filepath.Join(folder, "service/database-url"), e.Program.Config.DatabaseURL)
	testenv.ReplaceFile(t, filepath.Join(folder, "service/redis-url"), e.Program.Config.RedisURL)
	env := []string{"DATABASE_URL_FILE=" + folder + "/service/database-url", "REDIS_URL_FILE=" + folder + "/service/redis-url", "CALLERS_FILE=" + folder + "/service/callers.yaml"}
	p := start(t, env)
	user := e.AddUser(t, "Alice")
	key := strings.TrimSpace(readText(t, filepath.Join(folder, "caller/key")))
	call := byTwirp(p.url, "application/json", map[string]string{"developer": key})
	u := use{right: "GetUser.personal", rpc: "UserService/GetUser", request: `{"user_id":"` + user + `"}`, field: "email"}
	if got := call(t, u, "developer"); got != "yes" {
		t.Errorf("with the printed key: %s, want the user with e-mail address", got)
	}
	if got := call(t, u, "stranger"); got != "NO_IDENTITY" {
		t.Errorf("without a key: %s, want NO_IDENTITY", got)
	}
	if !strings.Contains(first, key) {
		t.Errorf("printed %q, want the key in it", first)
	}
	chosen := composeSecrets(t, filepath.Join(folder, "chosen"), "SERVICE_PASSWORD=chosen")
	if url := readText(t, filepath.Join(folder, "chosen/service/database-url")); !strings.Contains(url, "game_service:chosen@postgres:5432") || strings.Contains(chosen, key) {
		t.Errorf("SERVICE_PASSWORD=chosen: %s, want the password in it, and another key", url)
	}
}

// TestCompose checks that each file that a container reads is one that the script has made for it, and that no port is published to
// other machines.
func TestCompose(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	composeSecrets(t, folder)
	var compose struct {
		Services map[string]struct {
			Environment    map[string]string
			Volumes, Ports []string
		}
	}
	if err := yaml.Unmarshal([]byte(readText(t, "compose.yaml")), &compose); err != nil {
		t.Fatal(err)
	}
	files := 0
	for name, s := range compose.Services {
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s publishes %s, want this machine only", name, port)
			}
		}
		for variable, value := range s.Environment {
			if !strings.HasSuffix(variable, "_FILE") {
				continue
			}
			files++
			own := ""
			for _, v := range s.Volumes {
				if part, rest, ok := strings.Cut(strings.TrimPrefix(v, "secrets-"), ":"); ok && strings.HasPrefix(rest, "/secrets") {
					own = part
				}
			}
			if _, err := os.Stat(filepath.Join(folder, own, strings.TrimPrefix(value, "/secrets/"))); err != nil {
				t.Errorf("%s, %s: %v", name, variable, err)
			}
		}
	}
	if files < 5 {
		t.Errorf("found %d files, want 5 or more", files)
	}
}
