package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	slots "github.com/osirose-new/database-service/shared/limiter"
	"github.com/osirose-new/database-service/shared/request"
)

const (
	// queueLength is the maximum number of waiting statements of one principal, per connection of the pool.
	queueLength = 32
	// One in reserve connections of the pool is reserved for urgent statements.
	reserve = 4
	// Statements of heavy requests get one in heavyShare connections. Their results are large, for the database and for this program.
	heavyShare = 8
)

// ErrOverloaded is in every error of a statement that got no connection, because other statements used all of them and
// the database was answering. The statement was not run.
var ErrOverloaded = errors.New("more statements than connections")

var errQueue = fmt.Errorf("no connection became free: %w", context.DeadlineExceeded)

// limiter admits as many statements as the pool has connections, and shares them between principals. Ordinary statements get fewer,
// so that sessions can be read under any load.
type limiter struct {
	slots *slots.Limiter
	// heavy admits the statements of heavy requests before slots does. A statement leaves it when its request works again. So heavy
	// also limits the results that wait in memory.
	heavy *slots.Limiter
	// answered is when the database last answered any statement, in unix ns. If statements wait in vain, it
	// distinguishes overload from a database that hangs.
	answered atomic.Int64
}

func newLimiter(conns, reserved int) *limiter {
	queue := 2 * queueLength * conns
	return &limiter{
		slots: slots.New(slots.Options{Slots: conns, Reserved: reserved, MaxWaiting: queue}),
		heavy: slots.New(slots.Options{Slots: max(conns/heavyShare, 1), MaxWaiting: queue}),
	}
}

// stats returns how many statements wait, and how many were refused.
func (l *limiter) stats() (waiting int, refused uint64) {
	all, heavy := l.slots.Stats(), l.heavy.Stats()
	return all.Waiting + heavy.Waiting, all.Refused + heavy.Refused
}

// place is that of a statement in a limiter.
type place struct {
	of          *limiter
	held, heavy slots.Slot
	request     request.Slot // paused
}

// enter waits for the place, for the time of b at most, and not so long that too little of the time until deadline is left. The request
// keeps its slot while it waits, so that the requests that wait here are not more than can be served; heavy ones do not, see
// [request.Slot]. Then its slot is free for others, until the statement ends.
func (p *place) enter(ctx context.Context, b *Budgets, urgent bool, deadline time.Time) error {
	kind, patience, now := slots.Ordinary, b.Queue, time.Now()
	if urgent {
		kind, patience = slots.Urgent, b.UrgentQueue
	}
	latest := deadline.Add(-minLeft)
	want := slots.Want{Kind: kind, Until: now.Add(min(patience, latest.Sub(now))), Latest: latest}
	p.request = noSlot{}
	if r := request.From(ctx); r != nil {
		want.Principal = r.Principal
		if r.Slot != nil {
			p.request = r.Slot
		}
	}
	if p.wait(ctx, now, want) {
		p.request.Pause()
		return nil
	}
	p.leave(false)
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return p.of.refusal(ctx, max(time.Since(now), b.Queue))
}

// refusal is the error of a statement that was not started. If the database has answered none for that long, it hangs, or this process
// gets no CPU and has not read the answers.
func (l *limiter) refusal(ctx context.Context, recent time.Duration) error {
	if time.Since(time.Unix(0, l.answered.Load())) > recent {
		return late(ctx, errQueue)
	}
	return &classified{ErrOverloaded, errQueue}
}

// late adds ErrOverloaded to the error of a statement whose time was over before it was started, if that is because this process gets too
// little CPU for its requests.
func late(ctx context.Context, err error) error {
	if r := request.From(ctx); r != nil && r.Slot != nil && r.Slot.Starved() {
		return &classified{ErrOverloaded, err}
	}
	return err
}

func (p *place) wait(ctx context.Context, now time.Time, want slots.Want) (ok bool) {
	if p.request.Queue() {
		if p.heavy, ok = p.of.heavy.Enter(ctx, now, want); !ok {
			return false
		}
	}
	p.held, ok = p.of.slots.Enter(ctx, now, want)
	return ok
}

// leave ends the statement.
func (p *place) leave(hasResult bool) {
	if p.held.Held() {
		p.of.slots.Leave(p.held)
	}
	p.request.Resume(hasResult)
	if p.heavy.Held() {
		p.of.heavy.Leave(p.heavy)
	}
}

// noSlot is for work that belongs to no request.
type noSlot struct{}

func (noSlot) Queue() bool   { return false }
func (noSlot) Starved() bool { return false }
func (noSlot) Pause()        {}
func (noSlot) Resume(bool)   {}

// observe records when the database last answered. An error from the server is an answer too.
func (l *limiter) observe(err error) {
	_, answered := errors.AsType[*pgconn.PgError](err)
	if err == nil || answered || errors.Is(err, pgx.ErrNoRows) {
		l.answered.Store(time.Now().UnixNano())
	}
}

// retries is a retry budget: one call in ten may be retried, plus a burst. Without it, a database in trouble would get
// twice the load.
type retries struct{ tenths atomic.Int64 }

const retryBurst = 32

func newRetries() *retries {
	r := &retries{}
	r.tenths.Store(10 * retryBurst)
	return r
}

func (r *retries) earn() {
	if r.tenths.Load() < 10*retryBurst {
		r.tenths.Add(1)
	}
}

func (r *retries) spend() bool {
	for {
		n := r.tenths.Load()
		if n < 10 {
			return false
		}
		if r.tenths.CompareAndSwap(n, n-10) {
			return true
		}
	}
}
