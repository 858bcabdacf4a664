package characters

import (
	"context"
	"time"
)

const FinishBatchSQL = finishBatchSQL

// Decode reads a document. ReadSection is its short way, which leaves some documents to protojson.
var (
	Decode      = decode
	ReadSection = readSection
)

// PurgeBy is Purge with another clock. It asks for the time once at its start and once before each statement.
func (r *Repository) PurgeBy(ctx context.Context, now func() time.Time) (Purged, error) {
	return r.purge(ctx, now)
}
