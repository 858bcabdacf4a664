//go:build !noaws

package app_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/config"
)

const secretARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:hunter2canary"

// TestAWS opens programs with valid settings, which makes no calls to AWS, and checks that errors name the wrong
// variables.
func TestAWS(t *testing.T) {
	t.Parallel()
	const database, redis = "postgres://u@db/d?sslmode=verify-full", "rediss://u@cache"
	for what, test := range map[string]struct {
		environment map[string]string
		want        []string
	}{
		"a secret alone":          {map[string]string{"DATABASE_SECRET_ARN": secretARN}, nil},
		"a secret and half a URL": {map[string]string{"DATABASE_SECRET_ARN": secretARN, "DATABASE_URL": "postgres://db/d?sslmode=disable"}, nil},
		"a token":                 {map[string]string{"DATABASE_IAM_AUTH": "true", "DATABASE_URL": database, "AWS_REGION": "eu-central-1"}, nil},
		"a token for Redis":       {map[string]string{"REDIS_IAM_CACHE": "cache", "DATABASE_URL": database, "REDIS_URL": redis, "AWS_REGION": "eu-central-1"}, nil},
		"a serverless cache": {map[string]string{
			"REDIS_IAM_CACHE": "cache", "REDIS_IAM_SERVERLESS": "true", "DATABASE_URL": database, "REDIS_URL": redis + "?cluster=true", "AWS_REGION": "eu-central-1",
		}, nil},
		"all of it, off": {map[string]string{"DATABASE_IAM_AUTH": "false", "REDIS_IAM_SERVERLESS": "false", "DATABASE_URL": database}, nil},

		"no ARN":        {map[string]string{"DATABASE_SECRET_ARN": "hunter2canary"}, []string{"DATABASE_SECRET_ARN"}},
		"another ARN":   {map[string]string{"DATABASE_SECRET_ARN": "arn:aws:rds:eu-central-1:123456789012:db:x"}, []string{"DATABASE_SECRET_ARN"}},
		"half an ARN":   {map[string]string{"DATABASE_SECRET_ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret"}, []string{"DATABASE_SECRET_ARN"}},
		"no boolean":    {map[string]string{"DATABASE_URL": database, "DATABASE_IAM_AUTH": "yes", "REDIS_IAM_SERVERLESS": "1"}, []string{"DATABASE_IAM_AUTH", "REDIS_IAM_SERVERLESS"}},
		"two logins":    {map[string]string{"DATABASE_SECRET_ARN": secretARN, "DATABASE_IAM_AUTH": "true", "DATABASE_URL": database, "AWS_REGION": "x"}, []string{"DATABASE_IAM_AUTH"}},
		"two passwords": {map[string]string{"DATABASE_SECRET_ARN": secretARN, "DATABASE_URL": "postgres://u:hunter2canary@db/d"}, []string{"DATABASE_URL"}},
		"a secret and no URL": {
			map[string]string{"DATABASE_SECRET_ARN": secretARN, "DATABASE_URL": "host=db password=hunter2canary"}, []string{"DATABASE_URL"},
		},
		"a token and a password":   {map[string]string{"DATABASE_IAM_AUTH": "true", "DATABASE_URL": "postgres://u:hunter2canary@db/d", "AWS_REGION": "x"}, []string{"DATABASE_URL"}},
		"a token in clear text":    {map[string]string{"DATABASE_IAM_AUTH": "true", "DATABASE_URL": "postgres://u@db/d?sslmode=prefer", "AWS_REGION": "x"}, []string{"DATABASE_URL"}},
		"a token, no user":         {map[string]string{"DATABASE_IAM_AUTH": "true", "DATABASE_URL": "postgres://db/d", "AWS_REGION": "x"}, []string{"DATABASE_URL"}},
		"a token, no region":       {map[string]string{"DATABASE_IAM_AUTH": "true", "DATABASE_URL": database}, []string{"AWS_REGION"}},
		"Redis without TLS":        {map[string]string{"REDIS_IAM_CACHE": "cache", "DATABASE_URL": database, "REDIS_URL": "redis://u@cache", "AWS_REGION": "x"}, []string{"REDIS_URL"}},
		"Redis without a user":     {map[string]string{"REDIS_IAM_CACHE": "cache", "DATABASE_URL": database, "REDIS_URL": "rediss://cache", "AWS_REGION": "x"}, []string{"REDIS_URL"}},
		"Redis with a password":    {map[string]string{"REDIS_IAM_CACHE": "cache", "DATABASE_URL": database, "REDIS_URL": "rediss://u:hunter2canary@cache", "AWS_REGION": "x"}, []string{"REDIS_URL"}},
		"not a cache's name":       {map[string]string{"REDIS_IAM_CACHE": "hunter2canary.example", "DATABASE_URL": database, "REDIS_URL": redis, "AWS_REGION": "x"}, []string{"REDIS_IAM_CACHE"}},
		"a cache that is off":      {map[string]string{"REDIS_IAM_CACHE": "c", "DATABASE_URL": database, "REDIS_URL": "off", "AWS_REGION": "x"}, []string{"REDIS_IAM_CACHE"}},
		"no cache":                 {map[string]string{"REDIS_IAM_SERVERLESS": "true", "DATABASE_URL": database, "REDIS_URL": redis + "?cluster=true"}, []string{"REDIS_IAM_SERVERLESS"}},
		"serverless, no cluster":   {map[string]string{"REDIS_IAM_CACHE": "c", "REDIS_IAM_SERVERLESS": "true", "DATABASE_URL": database, "REDIS_URL": redis, "AWS_REGION": "x"}, []string{"REDIS_IAM_SERVERLESS"}},
		"a missing certificate":    {map[string]string{"DATABASE_SECRET_ARN": secretARN, "DATABASE_URL": "postgres://db/d?sslrootcert=/hunter2canary"}, []string{"DATABASE_URL"}},
		"a secret, a wrong option": {map[string]string{"DATABASE_SECRET_ARN": secretARN, "DATABASE_URL": "postgres://db/d?pool_max_conns=hunter2canary"}, []string{"DATABASE_URL"}},
	} {
		c, err := config.Read(environment(test.environment))
		if err == nil {
			var p *app.Program
			if p, err = app.Open(app.Options{Config: c}); err == nil {
				p.Close()
			}
		}
		if diff := cmp.Diff(test.want, names(err)); diff != "" {
			t.Errorf("%s: %v names (-want +got):\n%s", what, err, diff)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2canary") {
			t.Errorf("%s: %v, which repeats a value", what, err)
		}
	}
}
