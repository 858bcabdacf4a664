package main

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestEmbedded(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs PostgreSQL, and -short is set")
	}
	temp := openDir(t)
	p := start(t, []string{"TMPDIR=" + temp})

	t.Run("the printed line", func(t *testing.T) {
		code, answer := p.try(t)
		if code != http.StatusOK || at(answer, "user", "username") != "alice" {
			t.Errorf("got %d %v, want alice", code, answer)
		}
		_, list := p.post(t, "CharacterDbService/GetCharacterList", `{"user_id":"`+at(answer, "user", "id").(string)+`"}`)
		if all, _ := at(list, "characters").([]any); len(all) != 2 {
			t.Errorf("alice's characters: got %v, want 2", list)
		}
	})
	t.Run("health", func(t *testing.T) {
		if code, answer := request(t, http.MethodGet, p.url+"/healthz", ""); code != http.StatusOK || answer["text"] != "ok\n" {
			t.Errorf("/healthz: got %d %v, want 200 ok", code, answer)
		}
		code, answer := p.ready(t)
		if code != http.StatusOK || answer["ready"] != true || answer["database"] != "ok" || answer["schema"] != "ok" || answer["redis"] != "ok" {
			t.Errorf("/readyz: got %d %v, want all ok", code, answer)
		}
		port := "SERVICE_PORT=" + p.url[strings.LastIndexByte(p.url, ':')+1:]
		runToEnd(t, 0, []string{port}, "healthcheck")
	})
	t.Run("banned", func(t *testing.T) {
		if _, answer := p.post(t, "UserService/GetUserByUsername", `{"username":"carol"}`); at(answer, "user", "banned") != true {
			t.Errorf("carol: got %v, want a banned user", answer)
		}
	})
	t.Run("least privilege", func(t *testing.T) {
		wantServiceRole(t, p)
	})

	p.signal(t, syscall.SIGTERM)
	p.wantExit(t, 0)
	wantNothingLeft(t, temp)
	if strings.Contains(p.stderr.String(), `"rpc":""`) {
		t.Errorf("a probe was logged: %s", &p.stderr)
	}
	if strings.Contains(p.stderr.String(), "any caller that reaches the port") {
		t.Error("the log warns of callers, although the port is for this machine and has demo data")
	}
}

func wantNothingLeft(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 || len(processes(t, dir)) != 0 {
		t.Errorf("left behind: %v, %v, processes %v", left, err, processes(t, dir))
	}
}

// wantServiceRole checks the role and the settings of the service's connections. It connects as the superuser with the
// printed psql line.
func wantServiceRole(t *testing.T, p *program) {
	t.Helper()
	line := regexp.MustCompile(`psql '(.*)'`).FindStringSubmatch(p.stdout.String())
	if line == nil {
		t.Fatal("no psql line in the greeting")
	}
	conn, err := pgx.Connect(t.Context(), line[1])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var name, settings string
	var super, users, sessions bool
	err = conn.QueryRow(t.Context(), `
SELECT DISTINCT r.rolname, r.rolsuper, has_table_privilege(r.oid, 'public.user', 'SELECT,INSERT,UPDATE,DELETE'),
       has_table_privilege(r.oid, 'public.session', 'SELECT,INSERT,UPDATE,DELETE'), coalesce(array_to_string(r.rolconfig, ','), '')
  FROM pg_stat_activity AS a
  JOIN pg_roles AS r ON r.oid = a.usesysid
 WHERE a.application_name = 'database-service'`).Scan(&name, &super, &users, &sessions, &settings)
	if err != nil || super || users || sessions || settings != "statement_timeout=500ms" {
		t.Errorf("connected as %s: %v, superuser %t, rights on users %t, on sessions %t, settings %q", name, err, super, users, sessions, settings)
	}
}

func TestKeptData(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs PostgreSQL, and -short is set")
	}
	dir, env := filepath.Join(openDir(t), "data"), []string{"DATABASE_SCHEMA=other"} // the embedded database has the chosen schema
	first := start(t, env, "-data", dir)
	_, alice := first.try(t)
	id := at(alice, "user", "id").(string)
	made, answer := first.post(t, "CharacterDbService/CreateCharacter", `{"user_id":"`+id+`","name":"Survivor"}`)
	if made != http.StatusOK {
		t.Fatalf("CreateCharacter: got %d %v", made, answer)
	}
	first.signal(t, syscall.SIGKILL)
	<-first.exited

	second := start(t, env, "-data", dir)
	code, again := second.try(t)
	if code != http.StatusOK || at(again, "user", "id") != id {
		t.Errorf("the new token: got %d %v, want alice with id %s", code, again, id)
	}
	if again["session"] == nil || at(again, "session", "id") == at(alice, "session", "id") {
		t.Errorf("the session is not a new one: %v", again)
	}
	_, list := second.post(t, "CharacterDbService/GetCharacterList", `{"user_id":"`+id+`"}`)
	if all, _ := at(list, "characters").([]any); len(all) != 3 || at(all[2], "name") != "Survivor" {
		t.Errorf("characters: got %v, want the two of the demo and Survivor", list)
	}

	busy := runToEnd(t, 1, env, "-data", dir)
	wantText(t, &busy.stderr, dir, "in use")

	second.signal(t, syscall.SIGINT)
	second.wantExit(t, 0)
	if left := processes(t, dir); len(left) != 0 {
		t.Errorf("left behind: processes %v", left)
	}
}

func TestPostgresDies(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs PostgreSQL, and -short is set")
	}
	temp := openDir(t)
	p := start(t, []string{"TMPDIR=" + temp})
	servers := processes(t, temp)
	if len(servers) == 0 {
		t.Fatal("no server found below /proc")
	}
	if err := syscall.Kill(servers[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.wantExit(t, 1)
	wantText(t, &p.stderr, "PostgreSQL has ended")
}

func TestSignalWhileStarting(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs PostgreSQL, and -short is set")
	}
	temp := openDir(t)
	p := launch(t, []string{"TMPDIR=" + temp})
	eventually(t, "initdb", func() bool {
		found, _ := filepath.Glob(filepath.Join(temp, "*", "unfinished-*"))
		return len(found) > 0
	})
	p.signal(t, syscall.SIGTERM)
	p.wantExit(t, 0)
	wantNothingLeft(t, temp)
}
