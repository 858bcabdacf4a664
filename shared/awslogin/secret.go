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
	// quiet is the pause before the next fetch if a fetch found no new version.
	quiet = time.Second

	current = "AWSCURRENT"
	pending = "AWSPENDING"
)

// Secret is a login in Secrets Manager in the form of RDS: JSON with username and password, and optionally host, port
// and dbname. It is fetched once, and again if the server refuses the password.
type Secret struct {
	account *Account
	arn     string

	login atomic.Pointer[postgres.Credentials]

	mu       sync.Mutex
	client   *secretsmanager.Client
	fetching *sharedFetch
	again    time.Time // no fetch before
	err      error     // of the last fetch
	seen     map[string]string
}

// sharedFetch is a fetch that several requests can wait for.
type sharedFetch struct {
	done chan struct{}
	err  error
}

// Secret returns the login in the secret with the ARN.
func (a *Account) Secret(arn string) *Secret {
	return &Secret{account: a, arn: arn, seen: map[string]string{}}
}

// Ready implements postgres.Login. It fetches the secret if there is none yet.
func (s *Secret) Ready(ctx context.Context) error {
	if s.has("") {
		return nil
	}
	return s.fetch(ctx, "")
}

// has reports whether there is a password other than refused.
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

// Renew implements postgres.Login. If Secrets Manager does not answer, the old password stays: the refusal may have
// another reason than a rotation, and open connections still work.
func (s *Secret) Renew(ctx context.Context, refused string) bool {
	if !s.has(refused) {
		_ = s.fetch(ctx, refused)
	}
	return s.has(refused)
}

// fetch waits for the running fetch, or starts one. If the request's time ends first, the fetch continues for the next
// request: over TLS and with a fraction of a CPU it can take longer than a request may. It has 2 s.
func (s *Secret) fetch(ctx context.Context, refused string) error {
	s.mu.Lock()
	f := s.fetching
	if f == nil && s.has(refused) { // a fetch has just ended
		s.mu.Unlock()
		return nil
	}
	if f == nil {
		if s.account.now().Before(s.again) {
			defer s.mu.Unlock()
			return s.err
		}
		f = &sharedFetch{done: make(chan struct{})}
		s.fetching = f
		go s.run(context.WithoutCancel(ctx), f, refused)
	}
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return &postgres.LoginError{What: "the secret did not arrive within the request's time: a later request uses it, or says why there is none", Err: ctx.Err()}
	}
}

func (s *Secret) run(ctx context.Context, f *sharedFetch, refused string) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	login, news, err := s.lookUp(ctx, refused)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.login.Store(login)
	}
	if !news {
		s.again = s.account.now().Add(quiet)
	}
	s.fetching, s.err, f.err = nil, err, err
	close(f.done)
}

// lookUp fetches the current version of the secret. If this has the refused password, it tries the pending version,
// because a rotation changes the password in the database before it makes the version current. If that is refused too,
// or missing, it tries the current version again: the rotation may have ended meanwhile. news reports whether any
// version is new.
func (s *Secret) lookUp(ctx context.Context, refused string) (login *postgres.Credentials, news bool, err error) {
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

// version fetches one version of the secret. Only one sharedFetch at a time calls it.
func (s *Secret) version(ctx context.Context, stage string) (login *postgres.Credentials, news bool, err error) {
	client, err := s.secretsManager(ctx)
	if err != nil {
		return nil, false, err
	}
	out, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &s.arn, VersionStage: &stage})
	if err != nil {
		return nil, false, describe(err)
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

// secretsManager returns the client for the ARN's region.
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
		// The next fetch is hours later; a kept connection would be dead by then.
		if h, ok := o.HTTPClient.(*awshttp.BuildableClient); ok {
			o.HTTPClient = h.WithTransportOptions(func(t *http.Transport) { t.DisableKeepAlives = true })
		}
	})
	return s.client, nil
}

// form is what a secret must be.
const form = `write {"username": "...", "password": "..."}`

// parseSecret accepts the port as a number or as a string.
func parseSecret(text string) (*postgres.Credentials, error) {
	var fields struct {
		Username, Password, Host, DBName string
		Port                             json.RawMessage
	}
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		return nil, &postgres.LoginError{What: "the secret is not a JSON object of strings: " + form} // err may contain the secret
	}
	if fields.Username == "" || fields.Password == "" {
		return nil, &postgres.LoginError{What: "the secret has no username or no password: " + form}
	}
	c := &postgres.Credentials{User: fields.Username, Password: fields.Password, Host: fields.Host, Database: fields.DBName}
	if port := string(fields.Port); port != "" && port != "null" && port != `""` {
		if unquoted, err := strconv.Unquote(port); err == nil {
			port = unquoted
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return nil, &postgres.LoginError{What: "the port in the secret is not a number from 1 to 65535: correct or remove it"}
		}
		c.Port = uint16(n)
	}
	return c, nil
}
