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
		return aws.Config{}, &postgres.LoginError{What: "the AWS configuration cannot be loaded: check AWS_PROFILE, AWS_CONFIG_FILE and the files in ~/.aws", Err: err}
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
		return c, aws.Credentials{}, &postgres.LoginError{What: "AWS_REGION is not set: set it to the region of the database or the cache"}
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

var errNoCredentials = &postgres.LoginError{What: "there are no AWS credentials: give the process a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"}

// refusals say what the operator can do about an error code of Secrets Manager.
var refusals = map[string]string{
	"ResourceNotFoundException":   "has no such secret, or the secret has no value: check DATABASE_SECRET_ARN",
	"AccessDeniedException":       "refuses access to the secret: grant secretsmanager:GetSecretValue to the process's role, and kms:Decrypt if the secret has its own key",
	"DecryptionFailure":           "cannot decrypt the secret: enable its key, and grant kms:Decrypt to the process's role",
	"InvalidRequestException":     "cannot read the secret in its state: restore it if it is being deleted",
	"UnrecognizedClientException": "does not know the AWS credentials: renew them",
	"InvalidSignatureException":   "refuses the signature: check AWS_SECRET_ACCESS_KEY and the machine's clock",
	"ExpiredTokenException":       "refuses the AWS credentials, because they have expired: renew them",
	"ThrottlingException":         "gets too many requests of this account: wait, or raise the account's quota",
}

// describe says why Secrets Manager gave no secret. It contains AWS's error code, for example "AccessDeniedException", but not
// AWS's message.
func describe(err error) error {
	const who = "Secrets Manager "
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		if what := refusals[e.ErrorCode()]; what != "" {
			return &postgres.LoginError{What: who + what + " (" + e.ErrorCode() + ")", Err: err}
		}
		return &postgres.LoginError{What: who + "answers with an error: " + e.ErrorCode(), Err: err}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &postgres.LoginError{What: who + "does not answer in time: in a VPC it needs an endpoint or NAT", Err: err}
	}
	return &postgres.LoginError{What: who + "cannot be reached: check the network and AWS_ENDPOINT_URL", Err: err}
}
