// Package awslogin provides logins for PostgreSQL and Redis from AWS. A login is a secret of Secrets Manager, or a
// token that is signed with the process's credentials (IAM authentication of RDS and ElastiCache).
//
// It uses the usual AWS configuration: region, credentials, and AWS_ENDPOINT_URL for an emulator. A build for Lambda
// reads only the environment. The configuration is read, and clients are created, at the first connection. Errors
// contain no secret, token or name.
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

// configuration returns the configuration. It loads it once; after an error the next call tries again.
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

// signing returns the configuration and the credentials for signing a token.
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

// describe returns an error with AWS's error code, for example "AccessDeniedException", but without AWS's message.
func describe(what string, err error) error {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return &postgres.LoginError{What: what + ": " + e.ErrorCode(), Err: err}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &postgres.LoginError{What: what + ": timeout", Err: err}
	}
	return &postgres.LoginError{What: what + ": no answer", Err: err}
}
