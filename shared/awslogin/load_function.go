//go:build lambda.norpc

package awslogin

import (
	"context"
	"errors"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// load reads the environment that Lambda sets for a function. Its credentials are valid as long as the process lives.
// AWS's package config, which also supports profiles and SSO, would take a fifth of a function's start.
func load(context.Context) (aws.Config, error) {
	c := aws.Config{Region: firstOf("AWS_REGION", "AWS_DEFAULT_REGION"), Credentials: aws.CredentialsProviderFunc(environment)}
	if url := firstOf("AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"); url != "" {
		c.BaseEndpoint = &url
	}
	return c, nil
}

var errNoKey = errors.New("no AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY")

func environment(context.Context) (aws.Credentials, error) {
	c := aws.Credentials{
		AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
		SessionToken: os.Getenv("AWS_SESSION_TOKEN"), Source: "environment",
	}
	if !c.HasKeys() {
		return aws.Credentials{}, errNoKey
	}
	return c, nil
}

func firstOf(names ...string) string {
	for _, name := range names {
		if v := os.Getenv(name); v != "" {
			return v
		}
	}
	return ""
}
