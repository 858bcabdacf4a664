package metrics

import (
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/limiter"
	"github.com/osirose-new/database-service/shared/postgres"
)

// Show makes m export a constant state.
func (m *Metrics) Show(r limiter.Stats, c cache.Stats, p postgres.Stats) {
	m.ask(func() now { return now{r, c, p, false} })
}
