//go:build noaws

package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/osirose-new/database-service/shared/config"
)

func TestNoAWS(t *testing.T) {
	t.Parallel()
	for name, variables := range map[string]map[string]string{
		"DATABASE_SECRET_ARN": {"DATABASE_SECRET_ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:x"},
		"DATABASE_IAM_AUTH":   {"DATABASE_IAM_AUTH": "true", "DATABASE_URL": "postgres://u@db/d", "AWS_REGION": "x"},
		"REDIS_IAM_CACHE":     {"REDIS_IAM_CACHE": "cache", "DATABASE_URL": "postgres://db", "REDIS_URL": "rediss://u@cache", "AWS_REGION": "x"},
	} {
		_, err := config.Read(environment(variables))
		if diff := cmp.Diff([]string{name}, names(err)); diff != "" || !strings.Contains(err.Error(), "noaws") {
			t.Errorf("Read = %v names (-want +got):\n%s", err, diff)
		}
	}
}
