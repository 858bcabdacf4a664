package testenv

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/osirose-new/database-service/shared/embedded"
	"github.com/osirose-new/database-service/shared/faultproxy"
)

// clusterDatabase is the name of the database in every cluster.
const clusterDatabase = "game"

// Cluster is a PostgreSQL server with a migrated database that one test has to itself. The test can kill it, lock clients
// out or promote it. A start takes 1 to 2 s, so a test uses a database of the shared server if that is enough.
type Cluster struct {
	*embedded.Postgres
	dir string
}

// NewCluster starts a cluster that ends with the test.
func NewCluster(t testing.TB, settings map[string]string) *Cluster {
	t.Helper()
	c := startCluster(t, clusterDir(t), settings)
	if err := runSQL(t.Context(), c.Postgres, "postgres", rolesSQL); err != nil {
		t.Fatal(err)
	}
	if err := makeMigrated(t.Context(), c.Postgres, clusterDatabase, Variants[0]); err != nil {
		t.Fatal(err)
	}
	return c
}

// NewStandby starts a cluster and an asynchronous hot standby of it, which streams from the primary through the proxy.
func NewStandby(t testing.TB) (primary, standby *Cluster, replication *faultproxy.Proxy) {
	t.Helper()
	first := NewCluster(t, nil)
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	// A cold copy serves as a base backup. Not every installation of the server has pg_basebackup.
	dir := clusterDir(t)
	if err := copyFolder(first.dir, dir); err != nil {
		t.Fatalf("copy the data: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "standby.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	primary = startCluster(t, first.dir, map[string]string{"wal_keep_size": "64MB"})
	replication = NewProxy(t, primary.Addr())
	standby = startCluster(t, dir, map[string]string{
		"primary_conninfo": "postgres://postgres@" + replication.Addr() + "/postgres?sslmode=disable", "wal_retrieve_retry_interval": "50ms",
	})
	return primary, standby, replication
}

// copyFolder copies files with their modes and owners.
func copyFolder(from, to string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		copied := to + strings.TrimPrefix(path, from)
		if err := os.Chmod(copied, info.Mode()); err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		return os.Lchown(copied, int(stat.Uid), int(stat.Gid))
	})
}

// clusterDir makes a folder that the server's user can enter. It cannot enter t.TempDir.
func clusterDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(memoryDir(), "osirose-cluster-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func startCluster(t testing.TB, dir string, settings map[string]string) *Cluster {
	t.Helper()
	all := map[string]string{"fsync": "off", "shared_buffers": "16MB"} // the machine does not crash
	maps.Copy(all, settings)
	p, err := embedded.StartPostgres(t.Context(), embedded.PostgresOptions{Dir: dir, Trust: true, Settings: all})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	return &Cluster{p, dir}
}

// Env starts an Env on the cluster.
func (c *Cluster) Env(t testing.TB, redisKind string) *Env {
	t.Helper()
	e := &Env{Database: c.Database(t), Redis: StartRedis(t, redisKind), PGProxy: NewProxy(t, c.Addr())}
	e.RDProxy = NewProxy(t, e.Redis.Addr)
	e.Program = e.Open(t)
	return e
}

// Database connects to the cluster's database directly, not through the proxy of an Env.
func (c *Cluster) Database(t testing.TB) *Database {
	t.Helper()
	return &Database{
		Variant: Variants[0], Name: clusterDatabase,
		Owner: pool(t, c.URL(clusterDatabase)), Web: pool(t, c.UserURL(webRole, "", clusterDatabase)),
	}
}

// Signal sends the main process a signal. SIGQUIT is an immediate shutdown. SIGTERM is a smart one: it refuses new
// connections and waits for open sessions to end.
func (c *Cluster) Signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(c.PID(), s); err != nil {
		t.Fatal(err)
	}
}

// SetAccess puts a rule before all others in pg_hba.conf. An empty rule removes it again.
func (c *Cluster) SetAccess(t testing.TB, rule string) {
	t.Helper()
	rules := fmt.Sprintf("%s\nhost all,replication all 127.0.0.1/32 trust\n", rule)
	if err := os.WriteFile(filepath.Join(c.dir, "pg_hba.conf"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Signal(t, syscall.SIGHUP)
}
