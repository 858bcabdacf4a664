package awslogin

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// NewTestAccount is an account whose configuration load returns, on a clock of the test's.
func NewTestAccount(load func(context.Context) (aws.Config, error), now func() time.Time) *Account {
	return &Account{load: load, now: now}
}
