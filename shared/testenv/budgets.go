package testenv

import (
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// Stretch is how many times longer than in production the budgets of a tested program are. A busy machine then fails no
// test that is about something else.
const Stretch = 20

// RequestBudget is the stretched time of a request.
const RequestBudget = Stretch * rpcserver.Budget

// Budgets are the stretched budgets. [Env.Open] sets them.
func Budgets() app.Budgets {
	return app.Budgets{
		Request:  RequestBudget,
		Database: postgres.DefaultBudgets().Times(Stretch),
		Redis:    cache.DefaultBudgets().Times(Stretch),
	}
}

// RealBudgets gives a program the budgets of production. It is an argument of [Env.Open], for tests about time.
func RealBudgets(c *app.Options) { c.Budgets = app.Budgets{} }

// RealRedisBudgets is [RealBudgets] for calls to Redis, locks and leases only: for tests whose Redis hangs.
func RealRedisBudgets(c *app.Options) { c.Budgets.Redis = cache.Budgets{} }
