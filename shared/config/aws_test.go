//go:build !noaws

package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/osirose-new/database-service/shared/config"
)

func TestReadAWS(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:x"
	for what, test := range map[string]struct {
		environment map[string]string
		databaseURL string
		want        config.AWS
	}{
		"IAM for both": {
			map[string]string{
				"DATABASE_URL": "postgres://db", "REDIS_URL": "rediss://cache?cluster=true", "DATABASE_IAM_AUTH": "true",
				"REDIS_IAM_CACHE": "game-1", "REDIS_IAM_SERVERLESS": "true", "AWS_REGION": "eu-central-1",
			},
			"postgres://db", config.AWS{DatabaseIAM: true, RedisIAMCache: "game-1", RedisIAMServerless: true},
		},
		"a secret names the database": {
			map[string]string{"DATABASE_SECRET_ARN": arn}, "postgres://", config.AWS{DatabaseSecretARN: arn},
		},
	} {
		got, err := config.Read(environment(test.environment))
		if err != nil {
			t.Errorf("%s: Read: %v", what, err)
		}
		if diff := cmp.Diff(test.want, got.AWS); diff != "" || got.DatabaseURL != test.databaseURL {
			t.Errorf("%s: Read: DatabaseURL = %q, want %q; AWS (-want +got):\n%s", what, got.DatabaseURL, test.databaseURL, diff)
		}
	}
}
