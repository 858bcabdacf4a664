package awslogin_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/redis/go-redis/v9"

	"github.com/osirose-new/database-service/shared/awslogin"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	accessKey, secretKey, sessionToken = "AKIDTEST", "s3cretKey/+", "session/+token=="
	region                             = "eu-central-1"
)

// role returns a configuration with credentials like those of a Lambda function's role.
func role(context.Context) (aws.Config, error) {
	return aws.Config{Region: region, Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, sessionToken)}, nil
}

// serveRDS acts as RDS or RDS Proxy: it requires the user's token as a clear-text password.
func serveRDS(server string) func(*front, net.Conn) error {
	return func(f *front, c net.Conn) error {
		request := make([]byte, 8)
		if _, err := io.ReadFull(c, request); err != nil || string(request[4:]) != "\x04\xd2\x16\x2f" {
			return fmt.Errorf("want a request for TLS, got %x: %w", request, err)
		}
		_, _ = c.Write([]byte("S"))
		secure := tls.Server(c, f.tls)
		backend := pgproto3.NewBackend(secure, secure)
		first, err := backend.ReceiveStartupMessage()
		if err != nil {
			return err
		}
		startup, ok := first.(*pgproto3.StartupMessage)
		if !ok {
			return nil // a cancel request
		}
		backend.Send(&pgproto3.AuthenticationCleartextPassword{})
		if err := backend.SetAuthType(pgproto3.AuthTypeCleartextPassword); err != nil {
			return err
		}
		if err := backend.Flush(); err != nil {
			return err
		}
		message, err := backend.Receive()
		if err != nil {
			return err
		}
		password, _ := message.(*pgproto3.PasswordMessage)
		user := startup.Parameters["user"]
		if err := checkToken(password.Password, "rds-db", map[string]string{"Action": "connect", "DBUser": user}); err != nil {
			return err
		}
		if host, _, _ := strings.Cut(password.Password, "?"); strings.TrimSuffix(host, "/") != "localhost:"+f.port() {
			return fmt.Errorf("the token is for %s, not for localhost:%s", host, f.port())
		}
		f.logins.Add(1)
		s, err := net.Dial("tcp", server)
		if err != nil {
			return err
		}
		hello, err := startup.Encode(nil)
		if err != nil {
			return err
		}
		_, _ = s.Write(hello)
		splice(secure, s)
		return nil
	}
}

// TestRDS connects through a proxy that verifies each token.
func TestRDS(t *testing.T) {
	t.Parallel()
	d := testenv.NewDatabase(t, testenv.Variants[0])
	f := newFront(t, serveRDS(testenv.Postgres(t).Addr()))
	account := awslogin.NewTestAccount(role, time.Now)
	u := fmt.Sprintf("postgres://game_service@localhost:%s/%s?sslmode=verify-full&sslrootcert=%s", f.port(), d.Name, f.ca)
	login := account.RDS()
	for i := range 3 {
		db, err := postgres.Open(u, postgres.Options{Login: login, Token: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		eventually(t, db)
		if got := f.logins.Load(); got <= int64(i) {
			t.Errorf("%d logins after %d pools, want one for each connection", got, i+1)
		}
	}
}

func TestRDSRefuses(t *testing.T) {
	t.Parallel()
	account := awslogin.NewTestAccount(role, time.Now)
	for _, u := range []string{
		"", "postgres://", "host=h user=u", "postgres://h/d", "postgres:///d?user=u", "postgres://u:p@h/d", "postgres://u@h/d?password=p",
		"postgres://u@h/d?sslmode=disable", "postgres://u@h/d?sslmode=allow", "postgres://u@h/d?sslmode=prefer", "postgres://u@h/d?sslmode=require",
		"postgres:///d?user=u&host=/tmp", "postgres://u@/d?host=a,b",
	} {
		if db, err := postgres.Open(u, postgres.Options{Login: account.RDS(), Token: true}); err == nil {
			db.Close()
			t.Errorf("Open(%q) succeeds with a token", u)
		}
	}
}

// serveElastiCache requires HELLO with a token and then forwards everything to a real server.
func serveElastiCache(server, name, user string, serverless bool) func(*front, net.Conn) error {
	return func(f *front, c net.Conn) error {
		secure := tls.Server(c, f.tls)
		in := bufio.NewReader(secure)
		var words []string
		for range 11 { // *5, then HELLO 2 AUTH user token, each after its length
			line, err := in.ReadString('\n')
			if err != nil {
				return err
			}
			words = append(words, strings.TrimSpace(line))
		}
		if words[0] != "*5" || !strings.EqualFold(words[2], "hello") || !strings.EqualFold(words[6], "auth") || words[8] != user {
			return fmt.Errorf("want HELLO 2 AUTH %s and a token, got %q", user, words)
		}
		want := map[string]string{"Action": "connect", "User": user, "ResourceType": ""}
		if serverless {
			want["ResourceType"] = "ServerlessCache"
		}
		if err := checkToken(words[10], "elasticache", want); err != nil {
			return err
		}
		if host, _, _ := strings.Cut(words[10], "/"); host != name {
			return fmt.Errorf("the token is for %s, not for %s", host, name)
		}
		f.logins.Add(1)
		s, err := net.Dial("tcp", server)
		if err != nil {
			return err
		}
		_, _ = io.WriteString(s, "*2\r\n$5\r\nHELLO\r\n$1\r\n2\r\n")
		splice(struct {
			io.Reader
			io.Writer
		}{in, secure}, s)
		return nil
	}
}

// TestElastiCache uses the cache over connections that log in with tokens.
func TestElastiCache(t *testing.T) {
	t.Parallel()
	for _, serverless := range []bool{false, true} {
		t.Run(fmt.Sprintf("serverless %t", serverless), func(t *testing.T) {
			t.Parallel()
			e := testenv.New(t, testenv.Variants[0], "miniredis")
			f := newFront(t, serveElastiCache(e.Redis.Addr, "game-cache", "game-user", serverless))
			account := awslogin.NewTestAccount(role, time.Now)
			client, err := cache.Connect("rediss://game-user@localhost:"+f.port(),
				cache.ConnectOptions{Concurrency: 1, Password: account.ElastiCache("game-cache", serverless), Budgets: testenv.Budgets().Redis})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = client.Close() })
			client.(*redis.Client).Options().TLSConfig.RootCAs = f.roots
			eventually(t, e.Program.DB)
			c := cache.New(client, e.Program.DB, cache.Options{})
			thing := c.Kind("thing:", func() string { return "v1" }, func(context.Context, string) (cache.Entry, error) {
				return cache.Entry{Bytes: []byte("x"), Now: time.Now()}, nil
			})
			for range 4 {
				if _, err := thing.Get(t.Context(), "1"); err != nil {
					t.Fatal(err)
				}
			}
			if s := c.Stats(); s.Hits < 2 || s.RedisErrors != 0 {
				t.Errorf("%+v, want hits and no errors", s)
			}
			if f.logins.Load() != 1 {
				t.Errorf("%d logins, want one connection", f.logins.Load())
			}
		})
	}
}
