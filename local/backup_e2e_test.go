//go:build e2e

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/embedded"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestBackup moves a database to a new server with scripts/deploy/backup and restore, and then uses the service there.
func TestBackup(t *testing.T) {
	t.Parallel()
	old := testenv.New(t, "plugins", "miniredis")
	id := old.AddUser(t, "Alice")
	_, token := old.AddSession(t, id, time.Hour)
	p := start(t, outside(old))
	code, created := p.post(t, "CharacterDbService/CreateCharacter", `{"user_id":"`+id+`","name":"Canary"}`)
	if code != 200 {
		t.Fatalf("CreateCharacter = %d %v, want 200", code, created)
	}
	character := created["character"].(map[string]any)["id"].(string)
	p.signal(t, syscall.SIGTERM)
	p.wantExit(t, 0)

	file := filepath.Join(t.TempDir(), "backup")
	deployScript(t, testenv.Postgres(t).URL(old.Name), "backup", file)
	newServer, url := emptyServer(t)
	deployScript(t, url, "restore", file)
	wantText(t, &runToEnd(t, 0, []string{"DATABASE_URL=" + url}, "migrate").stdout, "adapter to") // gives it its owner again
	wantText(t, &runToEnd(t, 0, []string{"DATABASE_URL=" + url}, "migrate").stdout, "nothing to do")
	psql(t, url, "CREATE ROLE game_service LOGIN IN ROLE database_service")

	service := newServer.UserURL("game_service", "", "restored")
	restored, admin := startWithAdmin(t, []string{"DATABASE_URL=" + service, "REDIS_URL=redis://" + old.Redis.Addr})
	if code, answer := restored.ready(t); code != 200 {
		t.Errorf("/readyz = %d %v, want 200", code, answer)
	}
	if code, answer := restored.post(t, "UserService/GetUserBySession", `{"token":"`+token+`"}`); code != 200 {
		t.Errorf("GetUserBySession = %d %v, want 200", code, answer)
	}
	read := `{"user_id":"` + id + `","character_id":"` + character + `"}`
	if code, answer := restored.post(t, "CharacterDbService/GetCharacter", read); code != 200 {
		t.Errorf("GetCharacter = %d %v, want 200", code, answer)
	}
	save := `{"user_id":"` + id + `","character_id":"` + character + `","expected_version":"1","level":7}`
	if code, answer := restored.post(t, "CharacterDbService/SaveCharacter", save); code != 200 {
		t.Errorf("SaveCharacter = %d %v, want 200", code, answer)
	}
	if code, answer := restored.post(t, "CharacterDbService/CreateCharacter", `{"user_id":"`+id+`","name":"Another"}`); code != 200 {
		t.Errorf("CreateCharacter after the restore = %d %v, want 200: the sequence of ids must continue", code, answer)
	}
	waitForMetrics(t, admin, map[string]float64{`cache_reads_total{status="hit"}`: 1}, func() { // the cache works on the new server
		restored.post(t, "CharacterDbService/GetCharacter", read)
	})
	psql(t, url, `DELETE FROM "user"`) // the triggers are restored, too
	if code, answer := restored.post(t, "CharacterDbService/SaveCharacter", strings.Replace(save, `"1"`, `"2"`, 1)); code != 404 {
		t.Errorf("SaveCharacter of a removed user = %d %v, want 404", code, answer)
	}
}

// emptyServer starts a PostgreSQL without the service's roles. It returns the URL of an empty database.
func emptyServer(t *testing.T) (p *embedded.Postgres, url string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "osirose-restore-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p, err = embedded.StartPostgres(t.Context(), embedded.PostgresOptions{Dir: dir, Trust: true, Settings: map[string]string{"fsync": "off"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	psql(t, p.URL("postgres"), "CREATE ROLE web_application LOGIN") // see scripts/deploy/README.md
	psql(t, p.URL("postgres"), "CREATE DATABASE restored")
	return p, p.URL("restored")
}

func deployScript(t *testing.T, url, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), deployFolder+name, args...)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+url)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("scripts/deploy/%s: %v\n%s", name, err, out)
	}
}

func psql(t *testing.T, url, sql string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "psql", "-qX", "-v", "ON_ERROR_STOP=1", "-c", sql, url).CombinedOutput(); err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
}

// TestDeployTools checks scripts/deploy with the tools of Kubernetes and systemd.
func TestDeployTools(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"kubernetes.yaml", "kubernetes-migrate.yaml"} {
		cmd := exec.CommandContext(t.Context(), "../scripts/python/.venv/bin/kubernetes-validate", "--strict", deployFolder+name)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("kubernetes-validate %s: %v\n%s", name, err, out)
		}
	}
	dir := t.TempDir() // a copy without the parts that exist only on the service's machine
	replace := strings.NewReplacer("/usr/local/bin/database-service", "/bin/true")
	var units []string
	for _, name := range []string{"database-service.service", "database-service-migrate.service"} {
		text, err := os.ReadFile(deployFolder + name)
		if err != nil {
			t.Fatal(err)
		}
		units = append(units, filepath.Join(dir, name))
		writeFile(t, units[len(units)-1], []byte(replace.Replace(string(text))))
	}
	cmd := exec.CommandContext(t.Context(), "systemd-analyze", append([]string{"verify", "--man=no", "--recursive-errors=no"}, units...)...)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
