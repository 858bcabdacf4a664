package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// queueLength is the maximum number of waiting statements per connection of the pool.
	queueLength = 32
	// One in reserve connections of the pool is reserved for urgent statements.
	reserve = 4
)

// ErrOverloaded is in every error of a statement that got no connection, because other statements used all of them and
// the database was answering. The statement was not run.
var ErrOverloaded = errors.New("more statements than connections")

var errQueue = fmt.Errorf("no connection became free: %w", context.DeadlineExceeded)

// limiter admits as many statements as the pool has connections. Ordinary statements get fewer, so that sessions can be
// read under any load.
type limiter struct {
	all, ordinary chan struct{}
	queue, urgent time.Duration // Budgets.Queue and UrgentQueue
	waiting       atomic.Int64
	refused       atomic.Uint64
	// answered is when the database last answered any statement, in unix ns. If statements wait in vain, it
	// distinguishes overload from a database that hangs.
	answered atomic.Int64
}

func newLimiter(conns, reserved int, b Budgets) *limiter {
	return &limiter{
		all: make(chan struct{}, conns), ordinary: make(chan struct{}, conns-reserved), queue: b.Queue, urgent: b.UrgentQueue,
	}
}

// enter waits for a place; leave returns it.
func (l *limiter) enter(ctx context.Context, urgent bool) error {
	var timer *time.Timer
	if !urgent {
		if err := l.take(ctx, l.ordinary, urgent, &timer); err != nil {
			return err
		}
	}
	err := l.take(ctx, l.all, urgent, &timer)
	if timer != nil {
		timer.Stop()
	}
	if err != nil && !urgent {
		<-l.ordinary
	}
	return err
}

func (l *limiter) leave(urgent bool) {
	<-l.all
	if !urgent {
		<-l.ordinary
	}
}

// take creates the timer at the first wait. One timer bounds all waits of a statement together.
func (l *limiter) take(ctx context.Context, places chan struct{}, urgent bool, timer **time.Timer) error {
	select {
	case places <- struct{}{}:
		return nil
	default:
	}
	defer l.waiting.Add(-1)
	if l.waiting.Add(1) > int64(queueLength*cap(l.all)) {
		return l.refuse()
	}
	if *timer == nil {
		patience := l.queue
		if urgent {
			patience = l.urgent
		}
		*timer = time.NewTimer(patience)
	}
	select {
	case places <- struct{}{}:
		return nil
	case <-(*timer).C:
		return l.refuse()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *limiter) refuse() error {
	l.refused.Add(1)
	if time.Now().UnixNano()-l.answered.Load() > int64(l.queue) {
		return errQueue
	}
	return &classified{ErrOverloaded, errQueue}
}

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
