//go:build noaws

package boot

import (
	"errors"

	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/postgres"
)

// logins refuses what asks for AWS, which is not linked.
func logins(a AWS, _ *postgres.Options, _ *cache.ConnectOptions) error {
	var errs []error
	for name, asked := range map[string]bool{
		"DATABASE_SECRET_ARN": a.DatabaseSecretARN != "", "DATABASE_IAM_AUTH": a.DatabaseIAM, "REDIS_IAM_CACHE": a.RedisIAMCache != "",
	} {
		if asked {
			errs = append(errs, errors.New(name+" needs a build without the tag noaws"))
		}
	}
	return errors.Join(errs...)
}
