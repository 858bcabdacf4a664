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

// errExited says that the server ended before it was ready. The server's log says why.
var errExited = errors.New("PostgreSQL ended while it was starting")

// start starts the server in a directory that this process has locked.
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
	if err := os.WriteFile(p.LogFile(), nil, 0o600); err != nil {
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

// prepareData runs initdb if there is no data yet. It uses another name first, so that a start that is killed leaves nothing
// that looks ready. Each start takes a new name: the initdb of a killed start may still run for a moment, and it empties its
// folder when it fails.
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
		return fmt.Errorf("the data exists, and its password cannot be read: %w; restore that file, or remove the data to start with new data", err)
	}
	p.password = strings.TrimSpace(string(text))
	return nil
}

// initdb always sets a password, so that the same data can be started with and without Trust.
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
		return fmt.Errorf("initdb was interrupted: %w", ctx.Err())
	}
	if err := initdb.Wait(); err != nil {
		return fmt.Errorf("initdb failed (%w); the end of its log:\n%s", err, p.logTail(0))
	}
	return nil
}

// writeAccessRules writes this start's pg_hba.conf. The file is beside the data,
// not in it, and replaces that of the last start.
func (p *Postgres) writeAccessRules() error {
	method := "scram-sha-256"
	if p.options.Trust {
		method = "trust"
	}
	rule := fmt.Sprintf("host all,replication all %s/32 %s\n", loopback, method)
	return p.account.writeFile(p.accessRules(), rule, 0o600)
}

// launch starts the server and waits until it accepts connections. It retries in two cases that end by themselves: another
// process has just taken the port, or sessions of a crashed server are still ending.
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
			return fmt.Errorf("%w; the end of its log:\n%s", err, p.logTail(seen))
		}
		select {
		case <-time.After(retryInterval):
		case <-ctx.Done():
			return fmt.Errorf("the start of PostgreSQL was interrupted: %w", ctx.Err())
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

// awaitReady waits for the word "ready" in the server's pid file before it
// connects, because another server could answer on the port.
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
			return "", fmt.Errorf("the start of PostgreSQL was interrupted: %w", ctx.Err())
		}
	}
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return "", fmt.Errorf("the PostgreSQL that was just started does not answer: %w", err)
	}
	version, _, _ = strings.Cut(conn.PgConn().ParameterStatus("server_version"), " ")
	return version, conn.Close(ctx)
}

// arguments puts -D first, because stopLeftover recognizes this program's servers by it.
func (p *Postgres) arguments() []string {
	settings := map[string]string{
		"listen_addresses":        loopback,
		"port":                    strconv.Itoa(p.port),
		"unix_socket_directories": "",
		"hba_file":                p.accessRules(),
		"logging_collector":       "off", // the server logs to stderr, which is the log file
		"timezone":                "UTC", // as on the production servers
		"jit":                     "off",
	}
	if p.dir.temporary {
		settings["fsync"] = "off" // temporary data need not survive a crash of the machine
	}
	maps.Copy(settings, p.options.Settings)
	args := []string{"-D", p.data()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// run starts a program of PostgreSQL as the server's user. Its output goes to the log file.
func (p *Postgres) run(program string, args ...string) (*childprocess.Process, error) {
	log, err := os.OpenFile(p.LogFile(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the server has its own descriptor
	cmd := exec.Command(filepath.Join(p.bin, program), args...)
	cmd.Dir = p.dir.path // the server's user may not be able to enter this process's folder
	cmd.Stdout, cmd.Stderr = log, log
	// LC_ALL keeps macOS from starting threads in the postmaster, which then
	// refuses to run. TZ keeps initdb from searching for the machine's time zone.
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

// dataInUse reports whether a server ended because the shared memory of an earlier server is still in use. In every other
// case the server removes the pid file when it ends.
func (p *Postgres) dataInUse() bool {
	_, err := readPIDFile(p.data())
	return err == nil
}

func (p *Postgres) accessRules() string { return filepath.Join(p.dir.path, "pg_hba.conf") }

// LogFile returns the path of the server's own log.
func (p *Postgres) LogFile() string { return filepath.Join(p.dir.path, "postgres.log") }

func (p *Postgres) logSize() int64 {
	info, err := os.Stat(p.LogFile())
	if err != nil {
		return 0
	}
	return info.Size()
}

// logTail returns the end of the log after its first skip bytes.
func (p *Postgres) logTail(skip int64) string {
	const limit = 2000
	f, err := os.Open(p.LogFile())
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
