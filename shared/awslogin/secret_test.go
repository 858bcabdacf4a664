package awslogin_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/osirose-new/database-service/shared/awslogin"
	"github.com/osirose-new/database-service/shared/errtext"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/testenv"
)

const secretARN = "arn:aws:secretsmanager:ap-south-1:123456789012:secret:hidden-AbCdEf"

func TestSecret(t *testing.T) {
	t.Parallel()
	const current, pending = "AWSCURRENT", "AWSPENDING"
	start := func(t *testing.T, first map[string]string) (*manager, *awslogin.Secret) {
		t.Helper()
		m := newManager(t)
		m.set(first, false, 0)
		s := m.account.Secret(secretARN)
		for range 3 {
			if err := s.Ready(t.Context()); err != nil {
				t.Fatalf("Ready: %v", err)
			}
		}
		return m, s
	}
	renew := func(t *testing.T, s *awslogin.Secret, refused string, want bool) {
		t.Helper()
		if got := s.Renew(t.Context(), refused); got != want {
			t.Errorf("Renew(%s) = %t, want %t", refused, got, want)
		}
	}

	t.Run("fetched once", func(t *testing.T) {
		t.Parallel()
		m, s := start(t, stages("a", ""))
		m.want(t, "at first", s, "a", current)
	})

	t.Run("rotated", func(t *testing.T) {
		t.Parallel()
		m, s := start(t, stages("a", ""))
		m.set(stages("b", ""), false, 0)
		renew(t, s, "a", true)
		renew(t, s, "a", true) // another connection, which started before the rotation
		m.want(t, "afterwards", s, "b", current, current)
	})

	t.Run("in the middle of a rotation", func(t *testing.T) {
		t.Parallel()
		m, s := start(t, stages("a", ""))
		m.set(stages("a", "b"), false, 0)
		renew(t, s, "a", true)
		m.want(t, "pending", s, "b", current, current, pending)
		m.set(stages("b", ""), false, 0)
		m.want(t, "done", s, "b")
	})

	t.Run("at the end of a rotation", func(t *testing.T) {
		t.Parallel()
		m, s := start(t, stages("a", ""))
		m.after(current, stages("b", ""))
		renew(t, s, "a", true)
		m.want(t, "done", s, "b", current, current, pending, current)
	})

	t.Run("a wrong password", func(t *testing.T) {
		t.Parallel()
		m, s := start(t, stages("a", ""))
		for range 5 {
			renew(t, s, "a", false)
		}
		m.want(t, "at once", s, "a", current, current, pending, current)
		m.set(stages("a", ""), false, time.Second)
		for range 5 {
			renew(t, s, "a", false)
		}
		m.want(t, "a second later", s, "a", current, pending, current)
		m.set(stages("b", ""), false, time.Second)
		renew(t, s, "a", true)
		m.want(t, "when it is right", s, "b", current)
	})

	t.Run("a wrong pending password too", func(t *testing.T) {
		t.Parallel()
		m, s := start(t, stages("a", "b"))
		renew(t, s, "a", true)
		renew(t, s, "b", true) // tries a again, which may be right now
		m.calls()
		for range 5 {
			renew(t, s, "a", false)
		}
		m.want(t, "both refused", s, "a")
	})

	t.Run("down while there is one", func(t *testing.T) {
		t.Parallel()
		m, s := start(t, stages("a", ""))
		m.set(nil, true, 0)
		renew(t, s, "a", false)
		if err := s.Ready(t.Context()); err != nil {
			t.Errorf("Ready: %v", err)
		}
		m.want(t, "down", s, "a", current, current)
	})

	t.Run("down at first", func(t *testing.T) {
		t.Parallel()
		m := newManager(t)
		m.set(nil, true, 0)
		s := m.account.Secret(secretARN)
		for range 5 {
			if err := s.Ready(t.Context()); err == nil {
				t.Error("Ready without a secret = nil, want an error")
			}
		}
		if got := len(m.calls()); got != 1 {
			t.Errorf("%d calls, want one per second", got)
		}
		m.set(stages("a", ""), false, time.Second)
		if err := s.Ready(t.Context()); err != nil {
			t.Errorf("Ready after it came back: %v", err)
		}
	})

	t.Run("many ask for one", func(t *testing.T) {
		t.Parallel()
		m := newManager(t)
		m.set(stages("a", ""), false, 0)
		m.hold = make(chan struct{})
		s := m.account.Secret(secretARN)
		gone, leave := context.WithCancel(t.Context())
		leave()
		if err := s.Ready(gone); err == nil { // the fetch continues after its first caller has gone
			t.Error("Ready with a canceled context = nil, want an error")
		}
		errs := make(chan error)
		for range 16 {
			go func() { errs <- s.Ready(context.Background()) }()
		}
		close(m.hold)
		for range 16 {
			if err := <-errs; err != nil {
				t.Errorf("Ready: %v", err)
			}
		}
		m.want(t, "many", s, "a", current)
	})
}

// loginSentences is the section of the sentences of this package.
const loginSentences = "Log: a login by AWS"

// wantSentence reads by a login that fails, and adds what the log says. It must say want, and no "hidden".
func wantSentence(t *testing.T, sentences *testenv.Sentences, what, url string, o postgres.Options, want string) {
	t.Helper()
	db, err := postgres.Open(url, o)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = selectOne(t.Context(), db)
	said := errtext.ForLog(err)
	if !errors.Is(err, postgres.ErrUnavailable) || strings.Contains(err.Error()+said, "hidden") || !strings.Contains(said, want) {
		t.Errorf("%s: Read = %v (%s), want ErrUnavailable and %q, without the secret", what, err, said, want)
	}
	sentences.Add(said)
}

// TestLoginSentences makes a login fail in each way that an operator can meet.
func TestLoginSentences(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, loginSentences)
	const noStrings, missing, port = "not a JSON object of strings", "no username or no password", "a number from 1 to 65535"
	for text, want := range map[string]string{
		"": noStrings, "hidden": noStrings, "[]": noStrings, `{"username": "u", "password": 1}`: noStrings,
		`{"username": "hidden"}`: missing, `{"password": "hidden"}`: missing,
		`{"username": "u", "password": "hidden", "port": "hidden"}`: port, `{"username": "u", "password": "hidden", "port": 70000}`: port,
	} {
		m := newManager(t)
		m.set(map[string]string{"AWSCURRENT": text}, false, 0)
		wantSentence(t, sentences, "the secret "+text, "", postgres.Options{Login: m.account.Secret(secretARN)}, want)
	}
	for code, want := range map[string]string{
		"": "has no such secret", "AccessDeniedException": "grant secretsmanager:GetSecretValue", "DecryptionFailure": "kms:Decrypt",
		"InvalidRequestException": "being deleted", "UnrecognizedClientException": "renew", "InvalidSignatureException": "clock",
		"ExpiredTokenException": "have expired", "ThrottlingException": "too many", "InternalServiceError": "InternalServiceError",
	} {
		m := newManager(t)
		m.code = code // empty: the manager has no secret
		wantSentence(t, sentences, "Secrets Manager says "+code, "", postgres.Options{Login: m.account.Secret(secretARN)}, want)
	}
	away := newManager(t)
	away.server.Close()
	wantSentence(t, sentences, "Secrets Manager is away", "", postgres.Options{Login: away.account.Secret(secretARN)}, "cannot be reached")

	slow := newManager(t)
	slow.hold = make(chan struct{})
	s := slow.account.Secret(secretARN)
	gone, leave := context.WithTimeout(t.Context(), 0)
	defer leave()
	err := s.Ready(gone)
	if said := errtext.ForLog(err); !strings.Contains(said, "within the request's time") {
		t.Errorf("Ready in no time = %v (%s)", err, said)
	}
	sentences.Add(errtext.ForLog(err))
	err = s.Ready(t.Context()) // the fetch has its own time
	close(slow.hold)
	if said := errtext.ForLog(err); !strings.Contains(said, "does not answer in time") {
		t.Errorf("Ready of a silent Secrets Manager = %v (%s)", err, said)
	}
	sentences.Add(errtext.ForLog(err))

	for name, test := range map[string]struct {
		load func(context.Context) (aws.Config, error)
		want string
	}{
		"no region":      {func(context.Context) (aws.Config, error) { return aws.Config{}, nil }, "AWS_REGION"},
		"no credentials": {func(context.Context) (aws.Config, error) { return aws.Config{Region: region}, nil }, "no AWS credentials"},
		"no file":        {func(context.Context) (aws.Config, error) { return aws.Config{}, errors.New("hidden path") }, "cannot be loaded"},
	} {
		wantSentence(t, sentences, name, "postgres://u@h/d", postgres.Options{Login: awslogin.NewTestAccount(test.load, time.Now).RDS(), Token: true}, test.want)
	}
	_, err = awslogin.NewTestAccount(role, time.Now).ElastiCache("no name", false)(t.Context(), "u")
	if said := errtext.ForLog(err); !strings.Contains(said, "REDIS_IAM_CACHE") {
		t.Errorf("a token for a name with a space: %v (%s)", err, said)
	}
	sentences.Add(errtext.ForLog(err))
}

// TestSecretHost uses a secret with the server's host. The server must have a certificate for this name.
func TestSecretHost(t *testing.T) {
	t.Parallel()
	d := testenv.NewDatabase(t, testenv.Variants[0])
	server := testenv.Postgres(t).Addr()
	names := make(chan string, 100)
	f := newFront(t, func(f *front, c net.Conn) error {
		if _, err := io.ReadFull(c, make([]byte, 8)); err != nil {
			return err
		}
		_, _ = c.Write([]byte("S"))
		secure := tls.Server(c, f.tls)
		first, err := pgproto3.NewBackend(secure, secure).ReceiveStartupMessage()
		names <- secure.ConnectionState().ServerName
		if err != nil {
			return nil // the client refused the certificate
		}
		s, err := net.Dial("tcp", server)
		if err != nil {
			return err
		}
		hello, err := first.Encode(nil)
		if err != nil {
			return err
		}
		_, _ = s.Write(hello)
		splice(secure, s)
		return nil
	})
	for _, host := range []string{"localhost", "127.0.0.1"} {
		m := newManager(t)
		secret := fmt.Sprintf(`{"username": "game_service", "password": "p", "host": %q, "port": %s, "dbname": %q, "engine": "postgres"}`, host, f.port(), d.Name)
		m.set(map[string]string{"AWSCURRENT": secret}, false, 0)
		db, err := postgres.Open("postgres://?sslrootcert="+f.ca, postgres.Options{Login: m.account.Secret(secretARN)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		if host == "localhost" {
			eventually(t, db)
			if got := <-names; got != host {
				t.Errorf("the client requested the certificate of %q, want %q", got, host)
			}
		} else if err := selectOne(t.Context(), db); !errors.Is(err, postgres.ErrUnavailable) {
			t.Errorf("Read from %s with another host's certificate = %v, want ErrUnavailable", host, err)
		}
	}
}
