package testenv

import (
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// Stretch is the factor between the budgets of a tested program and those of production. It keeps a busy machine from
// failing tests that are not about time.
const Stretch = 20

// RequestBudget is the stretched time limit of a request.
const RequestBudget = Stretch * rpcserver.Budget

// Budgets are the stretched budgets. [Env.Open] sets them.
func Budgets() app.Budgets {
	return app.Budgets{
		Request:  RequestBudget,
		Database: postgres.DefaultBudgets().Times(Stretch),
		Redis:    cache.DefaultBudgets().Times(Stretch),
	}
}

// RealBudgets gives a program production's budgets. Tests about time pass it to [Env.Open].
func RealBudgets(c *app.Options) { c.Budgets = app.Budgets{} }

// RealDatabaseBudgets is [RealBudgets] for PostgreSQL only. Programs whose PostgreSQL hangs use it. On a busy machine such a
// program may answer that the database is unavailable, also when PostgreSQL works, so the test repeats the call.
func RealDatabaseBudgets(c *app.Options) { c.Budgets.Database = postgres.Budgets{} }

// RealRedisBudgets is [RealBudgets] for Redis calls, locks and leases only. Tests whose Redis hangs use it.
func RealRedisBudgets(c *app.Options) { c.Budgets.Redis = cache.Budgets{} }
