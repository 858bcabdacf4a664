//go:build e2e

package app_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/embedded"
	"github.com/osirose-new/database-service/shared/faultproxy"
	"github.com/osirose-new/database-service/shared/testenv"
)

// cloud is a PostgreSQL with passwords, and an emulator of Secrets Manager at AWS_ENDPOINT_URL.
type cloud struct {
	server  *embedded.Postgres
	super   *pgx.Conn
	proxy   *faultproxy.Proxy // in front of the emulator
	secrets *secretsmanager.Client
}

// newCloud sets environment variables, so its tests are not parallel.
func newCloud(t *testing.T, emulator string) *cloud {
	t.Helper()
	c := &cloud{proxy: testenv.NewProxy(t, emulator)}
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

// startLocalStack also creates a secret, which these tests do not use.
func startLocalStack(t *testing.T) (address string) {
	t.Helper()
	return strings.TrimPrefix(testenv.StartLocalStack(t, "../..", "postgres://u:p@h/d")["AWS_ENDPOINT_URL"], "http://")
}

func startMoto(t *testing.T) (address string) {
	t.Helper()
	const program = "../../scripts/python/.venv/bin/moto_server"
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("moto is not installed: run scripts/python/install (%v)", err)
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

// role creates a role with a password, and a secret with the password inSecret.
func (c *cloud) role(t *testing.T, name, password, inSecret string) (arn string) {
	t.Helper()
	if _, err := c.super.Exec(t.Context(), fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", name, password)); err != nil {
		t.Fatal(err)
	}
	out, err := c.secrets.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretString: aws.String(c.secret(name, inSecret))})
	if err != nil {
		t.Fatal(err)
	}
	return *out.ARN
}

// secret returns a secret in the form of RDS, with host and port.
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

// promote makes a pending version the current one, which ends a rotation.
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
