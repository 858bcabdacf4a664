//go:build !noaws

package app

import (
	"github.com/osirose-new/database-service/shared/awslogin"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/postgres"
)

// addLogins adds the logins from AWS. It makes no calls.
func addLogins(a config.AWS, db *postgres.Options, redis *cache.ConnectOptions) {
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
}
