// Package testenv gives each test its own database and its own Redis, real ones. Only tests import it.
//
// One PostgreSQL server runs for a test binary, found or fetched as `go run ./local` does it (package embedded). Each
// variant of better-auth's schema is loaded and migrated once, into a template that every test clones. The tables of
// better-auth belong to a role of the web application's, and the service logs in as a member of the role that the
// migration made, so every test is a test of the rights, too.
package testenv

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/embedded"
	"github.com/osirose-new/database-service/shared/faultproxy"
	"github.com/osirose-new/database-service/shared/sessiontoken"
)

// Variants are the schemas that better-auth can be told to make: see the files in schema/.
var Variants = []string{"plugins", "core", "snake", "uuid", "serial", "timestamp"}

// Secret signs cookies in tests.
const Secret = "a-secret-of-the-tests-that-signs-cookies"

// Main runs the tests of a package and stops what they started. Every TestMain calls it.
func Main(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if s := server.started; s != nil {
		if err := s.Stop(); err != nil {
			log.Print("stop PostgreSQL: ", err)
			code = 1
		}
	}
	os.Exit(code)
}

var server struct {
	once    sync.Once
	started *embedded.Postgres
	err     error
}

// Postgres is the server of this test binary. A machine on which it cannot be had fails the test.
func Postgres(t testing.TB) *embedded.Postgres {
	t.Helper()
	if testing.Short() {
		t.Skip("needs PostgreSQL, and -short is set")
	}
	server.once.Do(func() {
		server.started, server.err = embedded.StartPostgres(context.Background(), embedded.PostgresOptions{
			Trust: true,
			Settings: map[string]string{
				"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "400",
				"shared_buffers": "128MB",
			},
		})
	})
	if server.err != nil {
		t.Fatalf("PostgreSQL, which every test needs: %v", server.err)
	}
	return server.started
}

// PatientRedis is a query for a Redis URL: a test machine that is short of CPU is not a Redis that hangs. Tests of that
// go without it.
const PatientRedis = "?dial_timeout=5s&read_timeout=5s&write_timeout=5s&pool_timeout=5s"

// Env is a database, a Redis and the program between them, of one test.
type Env struct {
	*Database
	Redis   *Redis
	PGProxy *faultproxy.Proxy // the program's way to PostgreSQL
	RDProxy *faultproxy.Proxy // the program's way to Redis
	Program *app.Program
}

// New starts an Env on a variant of the schema and a kind of Redis (see RedisKinds).
func New(t testing.TB, variant, redisKind string) *Env {
	t.Helper()
	return NewOn(t, NewDatabase(t, variant), redisKind)
}

// NewOn starts an Env on a database that is there.
func NewOn(t testing.TB, d *Database, redisKind string) *Env {
	t.Helper()
	e := &Env{Database: d, Redis: StartRedis(t, redisKind)}
	e.PGProxy = NewProxy(t, Postgres(t).Addr())
	e.RDProxy = NewProxy(t, e.Redis.Addr)
	e.Redis.watch(t)
	e.Program = e.Open(t, nil)
	return e
}

// Open starts a further program, as another process would be, through the same proxies. change may alter its
// configuration.
func (e *Env) Open(t testing.TB, change func(*app.Options)) *app.Program {
	t.Helper()
	read, err := config.Read(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	c := app.Options{Config: read}
	c.DatabaseURL = fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", serviceLogin, e.PGProxy.Addr(), e.Name)
	c.RedisURL = "redis://" + e.RDProxy.Addr() + PatientRedis
	c.Sessions.Verifier = sessiontoken.NewVerifier(Secret)
	c.LogTo = Watched(t, "a log line", os.Stderr)
	if change != nil {
		change(&c)
	}
	p, err := app.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// Each runs f on every variant, and on every kind of Redis there is. The variants differ in PostgreSQL only, so the
// kinds are tried on the first one.
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

// EachRedis runs f on the first variant and every kind of Redis there is.
func EachRedis(t *testing.T, f func(t *testing.T, e *Env)) {
	t.Helper()
	for _, kind := range RedisKinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f(t, New(t, Variants[0], kind))
		})
	}
}

// Impatient is a program with the timeouts of production, to meet a Redis that hangs.
func (e *Env) Impatient(t testing.TB) *app.Program {
	t.Helper()
	return e.Open(t, func(c *app.Options) { c.RedisURL = "redis://" + e.RDProxy.Addr() })
}

// RedisKinds are the kinds of Redis on this machine: "redis-server" where it is installed, and "miniredis", which runs
// in process.
func RedisKinds() []string {
	if _, err := exec.LookPath("redis-server"); err == nil || os.Getenv("CI") != "" {
		return []string{"redis-server", "miniredis"}
	}
	return []string{"miniredis"}
}
