package cache

import (
	"context"

	"github.com/osirose-new/database-service/shared/request"
)

// Status is the result of a request's use of the cache. If a request used it more than once, the last result counts.
type Status uint8

// The statuses.
const (
	NotAsked  Status = iota
	Hit              // served from Redis
	Memory           // served from the process
	Miss             // not found in Redis, under a fresh watermark
	Untrusted        // Redis failed or had no fresh watermark: read from the database
	Bypassed         // Redis not asked: the breaker is open, or an own write could not be deleted
	Shared           // served by the lookup or the load of another request of this process
)

// String is the status in logs and metrics, empty for NotAsked.
func (s Status) String() string {
	return [...]string{"", "hit", "memory", "miss", "untrusted", "bypassed", "shared"}[s]
}

// note writes the status to the record of the request, if there is one.
func note(ctx context.Context, s Status) {
	if r := request.From(ctx); r != nil {
		r.Class.Cache = s.String()
	}
}
