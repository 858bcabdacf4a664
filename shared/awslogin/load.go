//go:build !lambda.norpc

package awslogin

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// load reads the configuration from the same places as the AWS CLI.
func load(ctx context.Context) (aws.Config, error) { return config.LoadDefaultConfig(ctx) }
