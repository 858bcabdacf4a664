package awslogin

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// NewTestAccount returns an Account with the configuration that load returns, and with the test's clock.
func NewTestAccount(load func(context.Context) (aws.Config, error), now func() time.Time) *Account {
	return &Account{load: load, now: now}
}
