package awslogin

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"net/http"

	"github.com/osirose-new/database-service/shared/postgres"
)

var _ postgres.Login = (*Secret)(nil)

const (
	fetchTimeout = 2 * time.Second
	// quiet is how long nobody asks again after an answer that brought nothing new.
	quiet = time.Second

	current = "AWSCURRENT"
	pending = "AWSPENDING"
)

// Secret is a login that Secrets Manager keeps, as RDS stores it: JSON with username and password, perhaps also host,
// port and dbname. It is fetched once, and again when the server refuses the password.
type Secret struct {
	account *Account
	arn     string

	login atomic.Pointer[postgres.Credentials]

	mu     sync.Mutex
	client *secretsmanager.Client
	flight *flight
	again  time.Time // not before
	err    error     // of the last fetch
	seen   map[string]string
}

// flight is a fetch that several requests wait for.
type flight struct {
	done chan struct{}
	err  error
}

// Secret returns the login that is kept under the ARN.
func (a *Account) Secret(arn string) *Secret {
	return &Secret{account: a, arn: arn, seen: map[string]string{}}
}

// Ready implements postgres.Login: it fetches the secret the first time.
func (s *Secret) Ready(ctx context.Context) error {
	if s.has("") {
		return nil
	}
	return s.fetch(ctx, "")
}

// has reports whether there is a password, and another one than that.
func (s *Secret) has(refused string) bool {
	l := s.login.Load()
	return l != nil && l.Password != refused
}

// Credentials implements postgres.Login.
func (s *Secret) Credentials(context.Context, string, uint16, string) (postgres.Credentials, error) {
	if c := s.login.Load(); c != nil {
		return *c, nil
	}
	return postgres.Credentials{}, &postgres.LoginError{What: "the secret has not been fetched"}
}

// Renew implements postgres.Login. Where Secrets Manager does not answer, the old password stays: rotation may not be
// the reason, and connections that are open go on.
func (s *Secret) Renew(ctx context.Context, refused string) bool {
	if !s.has(refused) {
		_ = s.fetch(ctx, refused)
	}
	return s.has(refused)
}

// fetch waits for a fetch, its own or one that is under way. The fetch goes on where the request's time is over first,
// for the next one: over TLS, on a fraction of a CPU, it can take longer than a request has. It ends after 2 s.
func (s *Secret) fetch(ctx context.Context, refused string) error {
	s.mu.Lock()
	f := s.flight
	if f == nil && s.has(refused) { // one has ended just now
		s.mu.Unlock()
		return nil
	}
	if f == nil {
		if s.account.now().Before(s.again) {
			defer s.mu.Unlock()
			return s.err
		}
		f = &flight{done: make(chan struct{})}
		s.flight = f
		go s.run(context.WithoutCancel(ctx), f, refused)
	}
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return &postgres.LoginError{What: "no secret in time", Err: ctx.Err()}
	}
}

func (s *Secret) run(ctx context.Context, f *flight, refused string) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	login, news, err := s.look(ctx, refused)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.login.Store(login)
	}
	if !news {
		s.again = s.account.now().Add(quiet)
	}
	s.flight, s.err, f.err = nil, err, err
	close(f.done)
}

// look fetches the current version of the secret. Where that has the password that was refused, it tries the pending one:
// a rotation sets a new password in the database first, and makes it the current one after that; which may have happened
// between the two questions. News is a version that was not seen before.
func (s *Secret) look(ctx context.Context, refused string) (login *postgres.Credentials, news bool, err error) {
	for _, stage := range []string{current, pending, current} {
		found, fresh, err := s.version(ctx, stage)
		if err != nil && stage == current {
			return nil, false, err
		}
		if err != nil {
			continue // no rotation is under way
		}
		login, news = found, news || fresh
		if login.Password != refused {
			break
		}
	}
	return login, news, nil
}

// version is called by one flight at a time.
func (s *Secret) version(ctx context.Context, stage string) (login *postgres.Credentials, news bool, err error) {
	client, err := s.secretsManager(ctx)
	if err != nil {
		return nil, false, err
	}
	out, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &s.arn, VersionStage: &stage})
	if err != nil {
		return nil, false, describe("secrets manager", err)
	}
	login, err = parseSecret(aws.ToString(out.SecretString))
	if err != nil {
		return nil, false, err
	}
	id := aws.ToString(out.VersionId)
	news = s.seen[stage] != id
	s.seen[stage] = id
	return login, news, nil
}

// secretsManager makes the client, for the region that the ARN names.
func (s *Secret) secretsManager(ctx context.Context) (*secretsmanager.Client, error) {
	if s.client != nil {
		return s.client, nil
	}
	c, err := s.account.configuration(ctx)
	if err != nil {
		return nil, err
	}
	s.client = secretsmanager.NewFromConfig(c, func(o *secretsmanager.Options) {
		if parsed, err := arn.Parse(s.arn); err == nil && parsed.Region != "" {
			o.Region = parsed.Region
		}
		// The next fetch is hours away, and a connection that was kept would be dead by then.
		if h, ok := o.HTTPClient.(*awshttp.BuildableClient); ok {
			o.HTTPClient = h.WithTransportOptions(func(t *http.Transport) { t.DisableKeepAlives = true })
		}
	})
	return s.client, nil
}

// parseSecret takes a port as number or as text.
func parseSecret(text string) (*postgres.Credentials, error) {
	var fields struct {
		Username, Password, Host, DBName string
		Port                             json.RawMessage
	}
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		return nil, &postgres.LoginError{What: "the secret is not JSON with texts"} // the error may repeat it
	}
	if fields.Username == "" || fields.Password == "" {
		return nil, &postgres.LoginError{What: "the secret has no username or no password"}
	}
	c := &postgres.Credentials{User: fields.Username, Password: fields.Password, Host: fields.Host, Database: fields.DBName}
	if port := string(fields.Port); port != "" && port != "null" && port != `""` {
		if unquoted, err := strconv.Unquote(port); err == nil {
			port = unquoted
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return nil, &postgres.LoginError{What: "the secret's port is not a port"}
		}
		c.Port = uint16(n)
	}
	return c, nil
}
