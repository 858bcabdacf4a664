package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/childprocess"
)

const (
	loopback      = "127.0.0.1"
	pollInterval  = 10 * time.Millisecond
	retryInterval = 50 * time.Millisecond
	retryLimit    = 10 * time.Second
)

// errExited says that the server ended before it was ready. Why is in its log.
var errExited = errors.New("postgres ended while it was starting")

// start brings up the server in a directory that is locked for us.
func (p *Postgres) start(ctx context.Context) (err error) {
	if p.account, err = serverAccount(p.data()); err != nil {
		return err
	}
	for _, path := range []string{p.bin, p.dir.path} {
		if err := p.account.canEnter(path); err != nil {
			return err
		}
	}
	if err := stopLeftover(p.data()); err != nil {
		return err
	}
	if err := os.WriteFile(p.logFile(), nil, 0o600); err != nil {
		return err
	}
	if err := p.prepareData(ctx); err != nil {
		return err
	}
	if err := p.writeAccessRules(); err != nil {
		return err
	}
	return p.launch(ctx)
}

// prepareData runs initdb where there is no data yet. It works under another
// name first: a start that was killed half way leaves nothing that looks ready.
// Each start takes a new name, because the initdb of one that was killed may
// still be at work for a moment, and empties its folder when it fails.
func (p *Postgres) prepareData(ctx context.Context) error {
	passwordFile := filepath.Join(p.dir.path, "password")
	switch _, err := os.Stat(p.data()); {
	case err == nil:
		return p.readPassword(passwordFile)
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	p.password, p.fresh = rand.Text(), true
	if err := p.account.writeFile(passwordFile, p.password, 0o600); err != nil {
		return err
	}
	if err := p.dir.removeUnfinished(); err != nil {
		return err
	}
	unfinished, err := p.account.makeDir(p.dir.path, unfinishedPrefix)
	if err != nil {
		return err
	}
	if err := p.initdb(ctx, unfinished, passwordFile); err != nil {
		return err
	}
	return os.Rename(unfinished, p.data())
}

func (p *Postgres) readPassword(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("the data is there, its password is not: %w", err)
	}
	p.password = strings.TrimSpace(string(text))
	return nil
}

// initdb sets a password always, also for Trust, so that the same data can be
// started with and without.
func (p *Postgres) initdb(ctx context.Context, data, passwordFile string) error {
	initdb, err := p.run("initdb", "-D", data, "-U", superuser, "--pwfile="+passwordFile,
		"--auth=scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync")
	if err != nil {
		return err
	}
	select {
	case <-initdb.Done():
	case <-ctx.Done():
		initdb.Kill()
		return fmt.Errorf("initdb: %w", ctx.Err())
	}
	if err := initdb.Wait(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, p.logTail(0))
	}
	return nil
}

// writeAccessRules writes pg_hba.conf beside the data and not into it: the
// rules of this start, whatever the last one had.
func (p *Postgres) writeAccessRules() error {
	method := "scram-sha-256"
	if p.options.Trust {
		method = "trust"
	}
	rule := fmt.Sprintf("host all,replication all %s/32 %s\n", loopback, method)
	return p.account.writeFile(p.accessRules(), rule, 0o600)
}

// launch starts the server and waits until it accepts connections. It tries
// again in the two cases that pass: another process took the port that was
// free a moment ago, and sessions of a server that crashed still end.
func (p *Postgres) launch(ctx context.Context) error {
	deadline := time.Now().Add(retryLimit)
	first := p.port == 0
	for {
		if first {
			port, err := freePort()
			if err != nil {
				return err
			}
			p.setPort(port)
		}
		seen := p.logSize()
		err := p.launchOnce(ctx)
		if err == nil {
			return nil
		}
		passing := errors.Is(err, errExited) && (p.portTaken() || p.dataInUse())
		if !passing || time.Now().After(deadline) {
			return fmt.Errorf("%w\n%s", err, p.logTail(seen))
		}
		select {
		case <-time.After(retryInterval):
		case <-ctx.Done():
			return fmt.Errorf("start postgres: %w", ctx.Err())
		}
	}
}

func (p *Postgres) launchOnce(ctx context.Context) error {
	server, err := p.run("postgres", p.arguments()...)
	if err != nil {
		return err
	}
	version, err := p.awaitReady(ctx, server)
	if err != nil {
		return errors.Join(err, shutdownServer(server))
	}
	p.state.Lock()
	defer p.state.Unlock()
	p.server, p.version = server, version
	return nil
}

// awaitReady waits for the word "ready" in the server's own pid file before it
// connects: an answer on the port alone could come from another server.
func (p *Postgres) awaitReady(ctx context.Context, server *childprocess.Process) (version string, err error) {
	for {
		file, err := readPIDFile(p.data())
		if err == nil && file.ready && file.pid == server.PID() {
			break
		}
		select {
		case <-time.After(pollInterval):
		case <-server.Done():
			return "", errExited
		case <-ctx.Done():
			return "", fmt.Errorf("start postgres: %w", ctx.Err())
		}
	}
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return "", fmt.Errorf("connect to the postgres just started: %w", err)
	}
	version, _, _ = strings.Cut(conn.PgConn().ParameterStatus("server_version"), " ")
	return version, conn.Close(ctx)
}

// arguments puts -D first: stopLeftover knows a server of ours by it.
func (p *Postgres) arguments() []string {
	settings := map[string]string{
		"listen_addresses":        loopback,
		"port":                    strconv.Itoa(p.port),
		"unix_socket_directories": "",
		"hba_file":                p.accessRules(),
		"logging_collector":       "off", // its log is our file on stderr
		"timezone":                "UTC", // as on the servers this stands in for
		"jit":                     "off",
	}
	if p.dir.temporary {
		settings["fsync"] = "off" // no data outlives a crash of the machine here
	}
	maps.Copy(settings, p.options.Settings)
	args := []string{"-D", p.data()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// run starts a program of PostgreSQL as the server's user; its output goes to
// the log file.
func (p *Postgres) run(program string, args ...string) (*childprocess.Process, error) {
	log, err := os.OpenFile(p.logFile(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the server has its own descriptor
	cmd := exec.Command(filepath.Join(p.bin, program), args...)
	cmd.Dir = p.dir.path // ours may be closed to the server's user
	cmd.Stdout, cmd.Stderr = log, log
	// LC_ALL keeps macOS from starting threads in the postmaster, which refuses
	// to run then; TZ keeps initdb from searching for the machine's zone.
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.account.credential}
	return childprocess.Start(cmd, syscall.SIGQUIT) // an immediate shutdown when this program ends
}

func shutdownServer(server *childprocess.Process) error {
	send := func(s syscall.Signal) error { return server.Signal(s) }
	return shutdown(server.PID(), send, server.Exited)
}

func (p *Postgres) setPort(port int) {
	p.state.Lock()
	defer p.state.Unlock()
	p.port = port
}

func (p *Postgres) portTaken() bool {
	l, err := net.Listen("tcp", p.Addr())
	if err != nil {
		return errors.Is(err, syscall.EADDRINUSE)
	}
	l.Close()
	return false
}

// dataInUse says why a server that ended did so. It removes its pid file
// except where it met one of an earlier server whose shared memory is in use.
func (p *Postgres) dataInUse() bool {
	_, err := readPIDFile(p.data())
	return err == nil
}

func (p *Postgres) accessRules() string { return filepath.Join(p.dir.path, "pg_hba.conf") }

func (p *Postgres) logFile() string { return filepath.Join(p.dir.path, "postgres.log") }

func (p *Postgres) logSize() int64 {
	info, err := os.Stat(p.logFile())
	if err != nil {
		return 0
	}
	return info.Size()
}

// logTail is the end of what was logged after the first skip bytes.
func (p *Postgres) logTail(skip int64) string {
	const limit = 2000
	f, err := os.Open(p.logFile())
	if err != nil {
		return ""
	}
	defer f.Close() //nolint:errcheck // it was only read
	text, _ := io.ReadAll(io.NewSectionReader(f, max(skip, p.logSize()-limit), limit))
	return strings.TrimSpace(string(text))
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
