package characters

import (
	"context"
	"time"
)

const FinishBatchSQL = finishBatchSQL

// PurgeBy is Purge with another clock. It asks for the time once at its start and once before each statement.
func (r *Repository) PurgeBy(ctx context.Context, now func() time.Time) (Purged, error) {
	return r.purge(ctx, now)
}
