package metrics

import (
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/postgres"
)

// Show makes m export a constant state.
func (m *Metrics) Show(inFlight int, c cache.Stats, p postgres.Stats) {
	m.ask(func() now { return now{inFlight, c, p, false} })
}
