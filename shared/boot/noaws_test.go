//go:build noaws

package boot_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/osirose-new/database-service/shared/boot"
)

func TestNoAWS(t *testing.T) {
	t.Parallel()
	for name, environmentOf := range map[string]map[string]string{
		"DATABASE_SECRET_ARN": {"DATABASE_SECRET_ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:x"},
		"DATABASE_IAM_AUTH":   {"DATABASE_IAM_AUTH": "true", "DATABASE_URL": "postgres://u@db/d", "AWS_REGION": "x"},
		"REDIS_IAM_CACHE":     {"REDIS_IAM_CACHE": "cache", "DATABASE_URL": "postgres://db", "REDIS_URL": "rediss://u@cache", "AWS_REGION": "x"},
	} {
		c, err := boot.Read(environment(environmentOf))
		if err != nil {
			t.Fatalf("Read: %v", err)
		}
		_, err = boot.Open(c)
		if diff := cmp.Diff([]string{name}, names(err)); diff != "" || !strings.Contains(err.Error(), "noaws") {
			t.Errorf("Open = %v names (-want +got):\n%s", err, diff)
		}
	}
}
