package testenv

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Point is a step of the cache protocol at which a test can run code. Every point is a call to Redis.
type Point string

// The points, in the order in which a read and then a write reach them. A sync takes its snapshot between AfterBegin and
// BeforeApply. A miss loads between AfterLease and BeforeFill. A write commits before BeforeDelete.
const (
	InLookup     Point = "in the lookup, after its first command"
	AfterLookup  Point = "after the lookup"
	BeforeBegin  Point = "before a sync begins"
	AfterBegin   Point = "after a sync has begun"
	BeforeApply  Point = "before a sync applies"
	AfterApply   Point = "after a sync has applied"
	BeforeLease  Point = "before the lease"
	AfterLease   Point = "after the lease"
	BeforeFill   Point = "before the fill"
	AfterFill    Point = "after the fill"
	BeforeDelete Point = "before the deletion"
	AfterDelete  Point = "after the deletion"
)

// Points runs the planned code of one program.
type Points struct {
	mu      sync.Mutex
	planned map[Point][]func() error
}

// PointsOf returns the points of a client's program. It must be called before the program's first call to Redis.
func PointsOf(client redis.UniversalClient) *Points {
	p := &Points{planned: map[Point][]func() error{}}
	client.AddHook(p)
	return p
}

// At runs f when the program next reaches the point, in the goroutine that reaches it. If f returns an error, the Redis
// call returns that error. At a point before a call, the call is then not made.
func (p *Points) At(at Point, f func() error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.planned[at] = append(p.planned[at], f)
}

// Stop makes a goroutine wait at a point.
type Stop struct {
	Arrived chan struct{} // closed when the goroutine is at the point
	GoOn    func()        // may be called at any time, and more than once
}

// Stop makes the next goroutine that reaches the point wait there.
func (p *Points) Stop(at Point) *Stop {
	release := make(chan struct{})
	s := &Stop{Arrived: make(chan struct{}), GoOn: sync.OnceFunc(func() { close(release) })}
	p.At(at, func() error {
		close(s.Arrived)
		<-release
		return nil
	})
	return s
}

func (p *Points) reach(at Point) error {
	p.mu.Lock()
	var f func() error
	if planned := p.planned[at]; len(planned) > 0 {
		f, p.planned[at] = planned[0], planned[1:]
	}
	p.mu.Unlock()
	if f == nil {
		return nil
	}
	return f()
}

// around returns the points before and after a command. The scripts of package cache differ in the number of arguments
// that follow the keys.
func around(args []any) (before, after Point) {
	switch args[0] {
	case "evalsha", "eval":
		keys, _ := args[2].(int)
		switch len(args) - 3 - keys {
		case 1:
			return BeforeDelete, AfterDelete
		case 3:
			return BeforeBegin, AfterBegin
		case 10:
			return BeforeApply, AfterApply
		case 5:
			return BeforeLease, AfterLease
		case 6:
			return BeforeFill, AfterFill
		}
	}
	return "", ""
}

// DialHook implements redis.Hook.
func (p *Points) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (p *Points) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		before, after := around(command.Args())
		err := p.reach(before)
		if err == nil {
			err = next(ctx, command)
			if redis.HasErrorPrefix(err, "NOSCRIPT") {
				return err // the script itself follows
			}
			if failure := p.reach(after); failure != nil {
				err = failure
			}
		}
		command.SetErr(err)
		return err
	}
}

// ProcessPipelineHook implements redis.Hook. It sends the commands one by one, because a pipeline is no transaction: the
// server may run other commands between two of them.
func (p *Points) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		for i, command := range commands {
			if err := next(ctx, []redis.Cmder{command}); err != nil && err != redis.Nil {
				return err
			}
			if i == 0 {
				_ = p.reach(InLookup)
			}
		}
		return p.reach(AfterLookup)
	}
}

// IsDeletion reports whether a command is the cache's script that deletes the values of a write.
func IsDeletion(command redis.Cmder) bool {
	before, _ := around(command.Args())
	return before == BeforeDelete
}
