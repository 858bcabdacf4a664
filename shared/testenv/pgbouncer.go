package testenv

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/childprocess"
)

// PgBouncer is a pooler.
type PgBouncer struct {
	Addr string
	dir  string
	cmd  *exec.Cmd
}

// StartPgBouncer starts a pooler in transaction mode in front of the server, host:port. It opens up to size connections to
// each database and accepts the users without a password. It ends with the test.
func StartPgBouncer(t testing.TB, server string, size int, users ...string) *PgBouncer {
	t.Helper()
	return StartPgBouncerMode(t, "transaction", server, size, users...)
}

// StartPgBouncerMode is StartPgBouncer for another pool_mode.
func StartPgBouncerMode(t testing.TB, mode, server string, size int, users ...string) *PgBouncer {
	t.Helper()
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		t.Fatal(err)
	}
	b := &PgBouncer{dir: clusterDir(t)}
	own := FreePort(t)
	b.Addr = fmt.Sprintf("127.0.0.1:%d", own)
	var list strings.Builder
	for _, u := range users {
		fmt.Fprintf(&list, "%q \"\"\n", u)
	}
	// Without server_login_retry it reports a server as unavailable for 15 s after the server is back.
	config := fmt.Sprintf("[databases]\n* = host=%s port=%s\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\n"+
		"auth_type = trust\nauth_file = %s/users\npool_mode = %s\ndefault_pool_size = %d\nmax_client_conn = 1000\n"+
		"server_login_retry = 0.2\nlogfile = %s/log\n", host, port, own, b.dir, mode, size, b.dir)
	for name, text := range map[string]string{"pgbouncer.ini": config, "users": list.String()} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b.Start(t)
	t.Cleanup(b.Kill)
	return b
}

// Kill ends the pooler and its clients' connections at once.
func (b *PgBouncer) Kill() {
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait()
}

// Start starts the pooler again after Kill, at the same address.
func (b *PgBouncer) Start(t testing.TB) {
	t.Helper()
	b.cmd = exec.Command("pgbouncer", filepath.Join(b.dir, "pgbouncer.ini"))
	childprocess.Attach(b.cmd, syscall.SIGKILL)
	if os.Geteuid() == 0 { // pgbouncer refuses root
		if err := b.runAsNobody(); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.cmd.Start(); err != nil {
		t.Fatalf("pgbouncer: %v (apt install pgbouncer)", err)
	}
	for t.Context().Err() == nil && syscall.Kill(b.cmd.Process.Pid, 0) == nil {
		c, err := net.Dial("tcp", b.Addr)
		if err == nil {
			_ = c.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(b.dir, "log"))
	t.Fatalf("pgbouncer did not start: %s", log)
}

func (b *PgBouncer) runAsNobody() error {
	nobody, err := user.Lookup("nobody")
	if err != nil {
		return err
	}
	uid, uidErr := strconv.Atoi(nobody.Uid)
	gid, gidErr := strconv.Atoi(nobody.Gid)
	b.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return errors.Join(uidErr, gidErr, os.Chown(b.dir, uid, gid))
}
