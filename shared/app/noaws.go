//go:build noaws

package app

import (
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/postgres"
)

// addLogins does nothing: in this build config.Read refuses logins from AWS.
func addLogins(config.AWS, *postgres.Options, *cache.ConnectOptions) {}
