// Package embedded runs PostgreSQL (a child process) and Redis (in this
// process) on a machine that has neither running: for `go run ./local` and
// for the tests.
//
// It promises that nothing it started outlives this process in a way that
// blocks the next start, kill -9 included: on Linux the kernel ends the server
// with us; elsewhere the next start on the same directory stops what is left.
// Unix only.
package embedded

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/osirose-new/database-service/shared/childprocess"
)

// superuser is the role that initdb makes and URL connects as.
const superuser = "postgres"

// startLimit ends a start whose context has no deadline. It leaves time for
// fetching PostgreSQL over a slow line.
const startLimit = 5 * time.Minute

// PostgresOptions says where a server keeps its data and who may connect.
type PostgresOptions struct {
	// Dir is where the data stays between starts; it is created where it is
	// missing and used by one process at a time. If it is empty, the data is
	// in a temporary directory that Stop removes.
	Dir string

	// Trust lets every local process connect without a password: for tests.
	// Otherwise the superuser's password is a random one, kept in Dir in a
	// file that only its owner can read. One Dir can be started either way.
	Trust bool

	// Settings are server settings by name. They win over the ones that this
	// package makes.
	Settings map[string]string
}

// Postgres is a running server. Its methods may be called concurrently.
type Postgres struct {
	options  PostgresOptions
	bin      string // folder of postgres and initdb
	account  account
	dir      *directory
	password string
	fresh    bool

	mu      sync.Mutex // held while the server is started or stopped
	stopped bool
	stopErr error

	state   sync.RWMutex // guards the fields below
	port    int
	version string
	server  *childprocess.Process
}

// StartPostgres starts a server and returns when it accepts connections. It
// looks for PostgreSQL in POSTGRES_BIN (and then nowhere else), in PATH and in
// the usual folders, and fetches it once where it is not installed, unless
// POSTGRES_FETCH is "never". Started by root, the server runs as the user
// postgres or nobody, because PostgreSQL refuses root.
//
// ctx limits the start only: the server runs until Stop. An error means that
// nothing was left running, and never contains the password.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()

	bin, err := locator{getenv: os.Getenv, folders: usualFolders}.find(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := openDirectory(o.Dir)
	if err != nil {
		return nil, err
	}
	p := &Postgres{options: o, bin: bin, dir: dir}
	if err := p.start(ctx); err != nil {
		return nil, errors.Join(err, dir.close())
	}
	return p, nil
}

// URL is the address of a database for the superuser.
func (p *Postgres) URL(database string) string {
	if p.options.Trust {
		return p.UserURL(superuser, "", database)
	}
	return p.UserURL(superuser, p.password, database)
}

// UserURL is the address of a database for another role. An empty password is
// left out.
func (p *Postgres) UserURL(user, password, database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.User(user),
		Host:     p.Addr(),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	if password != "" {
		u.User = url.UserPassword(user, password)
	}
	return u.String()
}

// Addr is host:port of the server; it stays the same over Restart.
func (p *Postgres) Addr() string {
	p.state.RLock()
	defer p.state.RUnlock()
	return net.JoinHostPort(loopback, strconv.Itoa(p.port))
}

// Version is the server's version without its packager's addition: "15.18".
func (p *Postgres) Version() string {
	p.state.RLock()
	defer p.state.RUnlock()
	return p.version
}

// Fresh says that StartPostgres made the data: there was none.
func (p *Postgres) Fresh() bool { return p.fresh }

// PID is the process id of the server's main process, the last one where it
// has ended.
func (p *Postgres) PID() int { return p.current().PID() }

// Done is closed when the main process has ended, for whatever reason: Stop
// and Kill close it too. After Restart there is a new channel.
func (p *Postgres) Done() <-chan struct{} { return p.current().Done() }

// Kill ends the main process as a crash would and returns when it is gone. A
// session ends when it next waits for something, a busy one therefore later.
func (p *Postgres) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current().Kill()
	return nil
}

// Restart starts the server again on the same port and data, after Kill or,
// stopping it first, while it runs.
func (p *Postgres) Restart(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return errors.New("restart postgres: it was stopped for good")
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := shutdownServer(p.current()); err != nil {
		return err
	}
	return p.launch(ctx)
}

// Stop disconnects the clients, ends the server, waits until it is gone and
// removes temporary data. Calling it again returns the same result.
func (p *Postgres) Stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stopped {
		p.stopped = true
		p.stopErr = errors.Join(shutdownServer(p.current()), p.dir.close())
	}
	return p.stopErr
}

func (p *Postgres) current() *childprocess.Process {
	p.state.RLock()
	defer p.state.RUnlock()
	return p.server
}

func (p *Postgres) data() string { return filepath.Join(p.dir.path, "data") }
