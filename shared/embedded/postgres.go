// Package embedded runs PostgreSQL (as a child process) and Redis (in this process) for `go run ./local` and for the tests.
//
// A server that this process leaves behind never blocks the next start, even after kill -9. On Linux the kernel ends the
// server with this process; elsewhere the next start on the same directory stops it. Unix only.
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

// startLimit ends a start whose context has no deadline. It leaves enough time to fetch PostgreSQL over a slow connection.
const startLimit = 5 * time.Minute

// PostgresOptions says where a server keeps its data and who may connect.
type PostgresOptions struct {
	// Dir is the folder that keeps the data between starts. It is created if it is missing, and one process at a time can
	// use it. If Dir is empty, the data is in a temporary directory that Stop removes.
	Dir string

	// TempDir is the folder for the temporary directory, without symbolic links. The default is the system's.
	TempDir string

	// Trust lets every local process connect without a password, for tests. Otherwise the superuser has a random password,
	// which is kept in Dir in a file that only its owner can read. Both kinds of start work on one Dir.
	Trust bool

	// Settings are server settings by name. They override those of this package.
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

// StartPostgres starts a server and returns when it accepts connections. It looks for PostgreSQL in POSTGRES_BIN only, if
// that is set, else in PATH and in the usual folders. If PostgreSQL is not installed, it fetches it once, unless
// POSTGRES_FETCH is "never". If this process is root, the server runs as the user postgres or nobody, because PostgreSQL
// refuses root.
//
// ctx limits only the start: the server runs until Stop. After an error nothing
// is left running. An error never contains the password.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()

	bin, err := locator{getenv: os.Getenv, folders: usualFolders}.find(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := openDirectory(o.Dir, o.TempDir)
	if err != nil {
		return nil, err
	}
	p := &Postgres{options: o, bin: bin, dir: dir}
	if err := p.start(ctx); err != nil {
		return nil, errors.Join(err, dir.close())
	}
	return p, nil
}

// URL returns the URL of a database for the superuser.
func (p *Postgres) URL(database string) string {
	if p.options.Trust {
		return p.UserURL(superuser, "", database)
	}
	return p.UserURL(superuser, p.password, database)
}

// UserURL returns the URL of a database for another role. It leaves out an empty password.
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

// Addr returns host:port of the server. Restart does not change it.
func (p *Postgres) Addr() string {
	p.state.RLock()
	defer p.state.RUnlock()
	return net.JoinHostPort(loopback, strconv.Itoa(p.port))
}

// Version returns the server's version without the packager's suffix, for example "15.18".
func (p *Postgres) Version() string {
	p.state.RLock()
	defer p.state.RUnlock()
	return p.version
}

// Fresh reports whether StartPostgres created the data, because there was none.
func (p *Postgres) Fresh() bool { return p.fresh }

// PID returns the process id of the server's main process, or of the last one if it has ended.
func (p *Postgres) PID() int { return p.current().PID() }

// Done returns a channel that is closed when the main process has ended, also by
// Stop or Kill. After Restart there is a new channel.
func (p *Postgres) Done() <-chan struct{} { return p.current().Done() }

// Kill ends the main process as a crash would and returns when it is gone. A
// session ends when it next waits for something, so a busy one ends later.
func (p *Postgres) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current().Kill()
	return nil
}

// Restart starts the server again on the same port and data. If the server still runs, Restart stops it first.
func (p *Postgres) Restart(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return errors.New("restart postgres: Stop was called before")
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
