package cache

import "context"

// Outcome is what the cache came to in a request.
type Outcome uint8

// The outcomes. A request that looked more than once has the last one.
const (
	NotAsked  Outcome = iota
	Hit               // served from Redis
	Miss              // looked for under a fresh watermark and not found
	Untrusted         // Redis failed, or had no fresh watermark: read from the database
	Bypassed          // not looked for: breaker open, or an own write could not be deleted
	Shared            // another request of this process looked, or loaded, for this one, too
)

// String is the outcome's name in logs and metrics, empty for NotAsked.
func (o Outcome) String() string {
	return [...]string{"", "hit", "miss", "untrusted", "bypassed", "shared"}[o]
}

// OutcomeKey is the key of an *Outcome in a reader's context, which is set to what the read came to.
type OutcomeKey struct{}

func note(ctx context.Context, is Outcome) {
	if o, ok := ctx.Value(OutcomeKey{}).(*Outcome); ok {
		*o = is
	}
}
