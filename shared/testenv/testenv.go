// Package testenv gives each test its own database and its own Redis. Only tests import it.
//
// One PostgreSQL server runs for a test binary. Package embedded finds or fetches it, as for `go run ./local`. Each variant
// of better-auth's schema is loaded and migrated once, into a template that every test clones. The web application's role
// owns better-auth's tables. The service logs in as a member of the role that the migration made. So every test also tests
// the access rights.
package testenv

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/embedded"
	"github.com/osirose-new/database-service/shared/faultproxy"
	"github.com/osirose-new/database-service/shared/sessiontoken"
)

// Variants are the schemas that better-auth can be configured to make: see the files in schema/ of package embedded.
var Variants = []string{"plugins", "core", "snake", "uuid", "serial", "timestamp"}

// Secret signs cookies in tests.
const Secret = "a-secret-of-the-tests-that-signs-cookies"

// Main runs the tests of a package and stops what they started. Every TestMain calls it.
func Main(m *testing.M) {
	flag.Parse()
	runAtLeast(4)
	code := m.Run()
	if s := server.started; s != nil {
		server.admin.Close()
		if err := s.Stop(); err != nil {
			log.Print("stop PostgreSQL: ", err)
			code = 1
		}
	}
	os.Exit(code)
}

// runAtLeast lets n tests of the package run at once, also on a machine of few cores, unless -parallel says otherwise. Tests wait
// for servers and programs more than they compute.
func runAtLeast(n int) {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if given || runtime.GOMAXPROCS(0) >= n {
		return
	}
	if err := flag.Set("test.parallel", strconv.Itoa(n)); err != nil {
		log.Fatal(err)
	}
}

var server struct {
	once    sync.Once
	started *embedded.Postgres
	admin   *pgxpool.Pool // creates and drops databases: a connection for each would take as much CPU as the database
	err     error
}

// Postgres returns the server of this test binary. The test fails if the server cannot be started.
func Postgres(t testing.TB) *embedded.Postgres {
	t.Helper()
	if testing.Short() {
		t.Skip("needs PostgreSQL, and -short is set")
	}
	server.once.Do(func() {
		server.started, server.err = embedded.StartPostgres(context.Background(), embedded.PostgresOptions{
			TempDir: memoryDir(),
			Trust:   true,
			Settings: map[string]string{
				"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "400",
				"shared_buffers": "128MB", "max_wal_size": "128MB",
			},
		})
		if server.err == nil {
			server.admin, server.err = pgxpool.New(context.Background(), server.started.URL("postgres"))
		}
	})
	if server.err != nil {
		t.Fatalf("start PostgreSQL: %v", server.err)
	}
	return server.started
}

// memoryDir returns Linux's folder in memory if it has room for several servers, else nothing. A database for each test means
// hundreds of files for each test: the whole suite took 194 s with them on a disk, and 150 s in memory.
func memoryDir() string {
	const (
		dir  = "/dev/shm"
		room = 4 << 30 // bytes; two servers need up to 400 MB
	)
	var fs syscall.Statfs_t
	if syscall.Statfs(dir, &fs) != nil || fs.Bavail*uint64(fs.Bsize) < room {
		return ""
	}
	return dir
}

// Env is one test's database, Redis and program.
type Env struct {
	*Database
	Redis   *Redis
	PGProxy *faultproxy.Proxy // between the program and PostgreSQL
	RDProxy *faultproxy.Proxy // between the program and Redis
	Program *app.Program

	watermark watermark
}

// New starts an Env on a variant of the schema and a kind of Redis (see RedisKinds). It passes the changes to [Env.Open].
func New(t testing.TB, variant, redisKind string, changes ...func(*app.Options)) *Env {
	t.Helper()
	return NewOn(t, NewDatabase(t, variant), redisKind, changes...)
}

// NewOn starts an Env on an existing database.
func NewOn(t testing.TB, d *Database, redisKind string, changes ...func(*app.Options)) *Env {
	t.Helper()
	e := &Env{Database: d, Redis: StartRedis(t, redisKind)}
	e.PGProxy = NewProxy(t, Postgres(t).Addr())
	e.RDProxy = NewProxy(t, e.Redis.Addr)
	e.Redis.watch(t)
	e.Program = e.Open(t, changes...)
	return e
}

// Open starts another program on the same proxies, as a second process would use them. The changes alter its
// configuration. Its budgets are stretched unless [RealBudgets] is one of the changes.
func (e *Env) Open(t testing.TB, changes ...func(*app.Options)) *app.Program {
	t.Helper()
	read, err := config.Read(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	c := app.Options{Config: read}
	c.DatabaseURL = fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", serviceLogin, e.PGProxy.Addr(), e.Name)
	c.RedisURL = "redis://" + e.RDProxy.Addr()
	c.Sessions.Verifier = sessiontoken.NewVerifier(Secret)
	c.LogTo = Watched(t, "a log line", os.Stderr)
	c.Budgets = Budgets()
	for _, change := range changes {
		change(&c)
	}
	p, err := app.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// OnlyPurge gives a program the login of a purge that has no other rights.
func OnlyPurge(o *app.Options) {
	o.DatabaseURL = strings.Replace(o.DatabaseURL, serviceLogin, purgeLogin, 1)
}

// AlsoPurge gives a program a login for everything: the service, StaffService and the purge.
func AlsoPurge(o *app.Options) {
	o.DatabaseURL = strings.Replace(o.DatabaseURL, serviceLogin, bothLogin, 1)
}

// AlsoStaff gives a program a login that may serve StaffService.
func AlsoStaff(o *app.Options) {
	o.DatabaseURL = strings.Replace(o.DatabaseURL, serviceLogin, staffLogin, 1)
}

// Each runs f on every variant of the schema. It runs f on every kind of Redis only for the first variant, because the
// variants differ in PostgreSQL only.
func Each(t *testing.T, f func(t *testing.T, e *Env)) {
	t.Helper()
	kinds := RedisKinds()
	for _, v := range Variants {
		for i, kind := range kinds {
			if i > 0 && v != Variants[0] {
				continue
			}
			t.Run(v+"/"+kind, func(t *testing.T) {
				t.Parallel()
				f(t, New(t, v, kind))
			})
		}
	}
}

// EachRedis runs f on the first variant and every kind of Redis.
func EachRedis(t *testing.T, f func(t *testing.T, e *Env)) {
	t.Helper()
	for _, kind := range RedisKinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f(t, New(t, Variants[0], kind))
		})
	}
}

// RedisKinds returns the kinds of Redis on this machine: "redis-server" if it is installed (in CI always), and "miniredis",
// which runs in this process.
func RedisKinds() []string {
	if _, err := exec.LookPath("redis-server"); err == nil || os.Getenv("CI") != "" {
		return []string{"redis-server", "miniredis"}
	}
	return []string{"miniredis"}
}
