//go:build !noaws

package boot

import (
	"github.com/osirose-new/database-service/shared/awslogin"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/postgres"
)

// logins adds to the options what AWS is to answer. Nothing is asked yet.
func logins(a AWS, db *postgres.Options, redis *cache.ConnectOptions) error {
	account := awslogin.NewAccount()
	switch {
	case a.DatabaseSecretARN != "":
		db.Login = account.Secret(a.DatabaseSecretARN)
	case a.DatabaseIAM:
		db.Login, db.Token = account.RDS(), true
	}
	if a.RedisIAMCache != "" {
		redis.Password = account.ElastiCache(a.RedisIAMCache, a.RedisIAMServerless)
	}
	return nil
}
