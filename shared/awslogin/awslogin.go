// Package awslogin logs in to PostgreSQL and Redis with what AWS knows: a secret of Secrets Manager, or a token that is
// signed with the process' own credentials (RDS and ElastiCache IAM authentication).
//
// AWS is configured as everywhere: region, credentials, AWS_ENDPOINT_URL for an emulator; in a build for Lambda by its
// environment alone. Nothing of that is read, and no client is made, before the first connection. No error holds a secret, a token
// or a name.
package awslogin

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/osirose-new/database-service/shared/postgres"
)

// Account is an AWS configuration that is loaded when it is first needed. Its methods may be called concurrently.
type Account struct {
	load func(context.Context) (aws.Config, error)
	now  func() time.Time

	mu     sync.Mutex
	config *aws.Config
}

// NewAccount returns the Account that the environment describes.
func NewAccount() *Account {
	return &Account{now: time.Now, load: load}
}

// configuration loads the configuration, once it can be loaded.
func (a *Account) configuration(ctx context.Context) (aws.Config, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.config != nil {
		return *a.config, nil
	}
	c, err := a.load(ctx)
	if err != nil {
		return aws.Config{}, &postgres.LoginError{What: "the AWS configuration cannot be loaded", Err: err}
	}
	a.config = &c
	return c, nil
}

// signing is what a token is signed with.
func (a *Account) signing(ctx context.Context) (aws.Config, aws.Credentials, error) {
	c, err := a.configuration(ctx)
	if err != nil {
		return c, aws.Credentials{}, err
	}
	if c.Region == "" {
		return c, aws.Credentials{}, &postgres.LoginError{What: "AWS_REGION is not set"}
	}
	if c.Credentials == nil {
		return c, aws.Credentials{}, errNoCredentials
	}
	credentials, err := c.Credentials.Retrieve(ctx)
	if err != nil {
		return c, aws.Credentials{}, &postgres.LoginError{What: errNoCredentials.What, Err: err}
	}
	return c, credentials, nil
}

var errNoCredentials = &postgres.LoginError{What: "there are no AWS credentials"}

// describe names an error of AWS by its code, "AccessDeniedException" say.
func describe(what string, err error) error {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return &postgres.LoginError{What: what + ": " + e.ErrorCode(), Err: err}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &postgres.LoginError{What: what + ": timeout", Err: err}
	}
	return &postgres.LoginError{What: what + ": no answer", Err: err}
}
