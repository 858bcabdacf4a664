//go:build !lambda.norpc

package awslogin

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// load looks everywhere where the AWS CLI does.
func load(ctx context.Context) (aws.Config, error) { return config.LoadDefaultConfig(ctx) }
