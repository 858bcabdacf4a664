//go:build e2e

package app_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/embedded"
	"github.com/osirose-new/database-service/shared/errtext"
	"github.com/osirose-new/database-service/shared/faultproxy"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/testenv"
)

// cloud is a PostgreSQL that wants passwords, and Secrets Manager as moto plays it, which AWS_ENDPOINT_URL leads to.
type cloud struct {
	server  *embedded.Postgres
	super   *pgx.Conn
	proxy   *faultproxy.Proxy // the way to moto
	secrets *secretsmanager.Client
}

// newCloud sets variables of the process, so its tests are not parallel.
func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{proxy: testenv.NewProxy(t, startMoto(t))}
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": "http://" + c.proxy.Addr(), "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "test",
		"AWS_SECRET_ACCESS_KEY": "test", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
	} {
		t.Setenv(name, value)
	}
	loaded, err := awsconfig.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.secrets = secretsmanager.NewFromConfig(loaded)
	if c.server, err = embedded.StartPostgres(t.Context(), embedded.PostgresOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.server.Stop() })
	if c.super, err = pgx.Connect(t.Context(), c.server.URL("postgres")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.super.Close(context.Background()) })
	return c
}

func startMoto(t *testing.T) (address string) {
	t.Helper()
	const program = "../../scripts/python/.venv/bin/moto_server"
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("moto is not there: scripts/python/install (%v)", err)
	}
	port := testenv.FreePort(t)
	cmd := exec.Command(program, "-H", "127.0.0.1", "-p", fmt.Sprint(port))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	address = fmt.Sprintf("127.0.0.1:%d", port)
	for t.Context().Err() == nil {
		if r, err := http.Get("http://" + address + "/moto-api/"); err == nil {
			_ = r.Body.Close()
			return address
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("moto did not start")
	return ""
}

// role makes a role with a password, and the secret that says so.
func (c *cloud) role(t *testing.T, name, password, told string) (arn string) {
	t.Helper()
	if _, err := c.super.Exec(t.Context(), fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", name, password)); err != nil {
		t.Fatal(err)
	}
	out, err := c.secrets.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretString: aws.String(c.secret(name, told))})
	if err != nil {
		t.Fatal(err)
	}
	return *out.ARN
}

// secret is what RDS would keep: where the server is, too.
func (c *cloud) secret(role, password string) string {
	host, port, _ := net.SplitHostPort(c.server.Addr())
	return fmt.Sprintf(`{"engine": "postgres", "username": %q, "password": %q, "host": %q, "port": %s, "dbname": "postgres"}`, role, password, host, port)
}

func (c *cloud) alter(t *testing.T, role, password string) {
	t.Helper()
	if _, err := c.super.Exec(t.Context(), fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'", role, password)); err != nil {
		t.Fatal(err)
	}
}

func (c *cloud) put(t *testing.T, arn, role, password string, stages ...string) (version string) {
	t.Helper()
	out, err := c.secrets.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: &arn, SecretString: aws.String(c.secret(role, password)), VersionStages: stages,
	})
	if err != nil {
		t.Fatal(err)
	}
	return *out.VersionId
}

// promote ends a rotation.
func (c *cloud) promote(t *testing.T, arn, version string) {
	t.Helper()
	now, err := c.secrets.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &arn, VersionStage: aws.String("AWSCURRENT")})
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []*secretsmanager.UpdateSecretVersionStageInput{
		{SecretId: &arn, VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: &version, RemoveFromVersionId: now.VersionId},
		{SecretId: &arn, VersionStage: aws.String("AWSPENDING"), RemoveFromVersionId: &version},
	} {
		if _, err := c.secrets.UpdateSecretVersionStage(t.Context(), change); err != nil {
			t.Fatal(err)
		}
	}
}

// open starts a program whose connections live for a moment only.
func (c *cloud) open(t *testing.T, arn string) *app.Program {
	t.Helper()
	read, err := config.Read(environment(map[string]string{
		"DATABASE_SECRET_ARN": arn, "DATABASE_URL": "postgres://?sslmode=disable&pool_max_conn_lifetime=100ms", "AWS_REGION": "eu-central-1",
	}))
	if err != nil {
		t.Fatal(err)
	}
	p, err := app.Open(app.Options{Config: read})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// load is requests that go on until it is stopped.
type load struct {
	done, late atomic.Int64
	each       [8]atomic.Int64
	lost       atomic.Pointer[error]
	stop       chan struct{}
	all        sync.WaitGroup
}

func startLoad(db *postgres.DB) *load {
	l := &load{stop: make(chan struct{})}
	for i := range l.each {
		l.all.Go(func() {
			for ; ; l.each[i].Add(1) {
				select {
				case <-l.stop:
					return
				default:
				}
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // moto is no Secrets Manager
				err := selectOne(ctx, db)
				cancel()
				switch {
				case err == nil:
					l.done.Add(1)
				case errors.Is(err, context.DeadlineExceeded): // a machine that is short of CPU
					l.late.Add(1)
				default:
					l.lost.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	return l
}

// settle waits until every connection is one that logged in after now, and no request is older than that.
func (c *cloud) settle(t *testing.T, l *load, role string) {
	t.Helper()
	const oldSQL = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND backend_start < $2"
	var now time.Time
	if err := c.super.QueryRow(t.Context(), "SELECT clock_timestamp()").Scan(&now); err != nil {
		t.Fatal(err)
	}
	for old := 1; old > 0 && l.lost.Load() == nil; {
		if err := c.super.QueryRow(t.Context(), oldSQL, role, now).Scan(&old); err != nil {
			t.Fatal(err)
		}
	}
	for i := range l.each {
		for end := l.each[i].Load() + 2; l.each[i].Load() < end && t.Context().Err() == nil; {
			time.Sleep(time.Millisecond)
		}
	}
}

// more waits for that many requests.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	for end := l.done.Load() + n; l.done.Load() < end && l.lost.Load() == nil && t.Context().Err() == nil; {
		time.Sleep(time.Millisecond)
	}
}

func TestSecretsManager(t *testing.T) { //nolint:paralleltest // it needs the machine to itself
	c := newCloud(t)

	t.Run("rotations under load", func(t *testing.T) {
		arn := c.role(t, "rotating", "p", "p")
		p := c.open(t, arn)
		l := startLoad(p.DB)
		const rotations = 6
		for i := range rotations {
			l.more(t, 500)
			if l.lost.Load() != nil {
				t.Fatalf("before rotation %d, after %d requests: a request was lost: %v", i, l.done.Load(), *l.lost.Load())
			}
			password := fmt.Sprint("p", i)
			version := c.put(t, arn, "rotating", password, "AWSPENDING")
			if i%2 == 0 { // as Secrets Manager's own rotation does it
				c.alter(t, "rotating", password)
				l.more(t, 200)
				c.promote(t, arn, version)
			} else {
				c.promote(t, arn, version)
				c.alter(t, "rotating", password)
			}
			c.settle(t, l, "rotating") // a request may meet one rotation
		}
		l.more(t, 500)

		c.proxy.Refuse()
		l.more(t, 500)
		c.proxy.Accept()
		close(l.stop)
		l.all.Wait()
		if err := l.lost.Load(); err != nil {
			t.Errorf("a request was lost: %v", *err)
		}
		t.Logf("%d requests over %d rotations, %d too late for this machine", l.done.Load(), rotations, l.late.Load())
	})

	t.Run("a wrong password, until it is right", func(t *testing.T) {
		arn := c.role(t, "mistaken", "right", "hunter2canary")
		p := c.open(t, arn)
		err := selectOne(t.Context(), p.DB)
		if said := errtext.ForLog(err); !errors.Is(err, postgres.ErrUnavailable) || strings.Contains(said+err.Error(), "hunter2canary") {
			t.Errorf("Read = %v (%s), want ErrUnavailable without the password", err, said)
		}
		c.put(t, arn, "mistaken", "right")
		for err != nil && t.Context().Err() == nil {
			err = selectOne(t.Context(), p.DB)
		}
	})

	t.Run("no such secret", func(t *testing.T) {
		p := c.open(t, "arn:aws:secretsmanager:eu-central-1:123456789012:secret:hunter2canary")
		err := selectOne(t.Context(), p.DB)
		said := errtext.ForLog(err)
		if !errors.Is(err, postgres.ErrUnavailable) || !strings.Contains(said, "ResourceNotFoundException") || strings.Contains(said+err.Error(), "hunter2canary") {
			t.Errorf("Read = %v (%s), want ErrUnavailable, the code, and no name", err, said)
		}
	})

	t.Run("no answer at first", func(t *testing.T) {
		arn := c.role(t, "waiting", "p", "p")
		c.proxy.Refuse()
		p := c.open(t, arn)
		err := selectOne(t.Context(), p.DB)
		if !errors.Is(err, postgres.ErrUnavailable) {
			t.Errorf("Read = %v, want ErrUnavailable", err)
		}
		c.proxy.Accept()
		for err != nil && t.Context().Err() == nil {
			err = selectOne(t.Context(), p.DB)
		}
	})
}
