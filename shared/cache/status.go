package cache

import "context"

// Status is what the cache came to in a request.
type Status uint8

// The outcomes. A request that looked more than once has the last one.
const (
	NotAsked  Status = iota
	Hit              // served from Redis
	Miss             // looked for under a fresh watermark and not found
	Untrusted        // Redis failed, or had no fresh watermark: read from the database
	Bypassed         // not looked for: breaker open, or an own write could not be deleted
	Shared           // another request of this process looked, or loaded, for this one, too
)

// String is the outcome's name in logs and metrics, empty for NotAsked.
func (o Status) String() string {
	return [...]string{"", "hit", "miss", "untrusted", "bypassed", "shared"}[o]
}

// StatusKey is the key of an *Status in a reader's context, which is set to what the read came to.
type StatusKey struct{}

func note(ctx context.Context, is Status) {
	if o, ok := ctx.Value(StatusKey{}).(*Status); ok {
		*o = is
	}
}
