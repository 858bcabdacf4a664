package systemtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/testenv"
)

// start makes an actor call and wait at a point. An empty point means no wait.
func (s *stage) start(t *testing.T, w who, call func(context.Context, int) (int64, error), at testenv.Point) error {
	a := &act{end: make(chan struct{})}
	s.acts[w] = a
	if at != "" {
		a.stop = s.processes[w.process].points.Stop(at)
	}
	go func() {
		defer close(a.end)
		a.got, a.err = call(t.Context(), w.process)
	}()
	return a.arrive(at)
}

func (a *act) arrive(at testenv.Point) error {
	if a.stop == nil {
		return nil
	}
	select {
	case <-a.stop.Arrived:
		return nil
	case <-a.end:
		return fmt.Errorf("%w: answered %d, %v and did not reach the point %s", errNotPlayed, a.got, a.err, at)
	}
}

// answer waits for the call's end. If a busy machine exceeds a statement's budget, the schedule was not played.
func (a *act) answer() (int64, error) {
	if a.stop != nil {
		a.stop.GoOn()
	}
	<-a.end
	if errors.Is(a.err, postgres.ErrUnavailable) {
		return 0, fmt.Errorf("%w: %w", errNotPlayed, a.err)
	}
	return a.got, a.err
}

func (w who) reads(at testenv.Point) step {
	return func(t *testing.T, s *stage) error { return s.start(t, w, s.read, at) }
}

func (w who) writes(at testenv.Point) step {
	return func(t *testing.T, s *stage) error {
		return s.start(t, w, func(ctx context.Context, process int) (int64, error) {
			_, err := s.write(ctx, process)
			return 1, err
		}, at)
	}
}

// goesOn continues to another point.
func (w who) goesOn(at testenv.Point) step {
	return func(_ *testing.T, s *stage) error {
		a, before := s.acts[w], s.acts[w].stop
		a.stop = nil
		if at != "" {
			a.stop = s.processes[w.process].points.Stop(at)
		}
		before.GoOn()
		return a.arrive(at)
	}
}

// ends checks that the call ends with version least or newer.
func (w who) ends(least int64) step {
	return func(_ *testing.T, s *stage) error {
		got, err := s.acts[w].answer()
		if err == nil && got < least {
			err = fmt.Errorf("process %d read version %d, want %d or newer", w.process+1, got, least)
		}
		return err
	}
}

func (w who) sees(least int64) step { return inOrder(w.reads(""), w.ends(least)) }

// acknowledged checks that a write ends with success.
func (w who) acknowledged(_ *testing.T, s *stage) error {
	got, err := s.acts[w].answer()
	s.version = got
	return err
}

func (w who) saves() step { return inOrder(w.writes(""), w.acknowledged) }

// waits checks that a call has not been answered yet.
func (w who) waits(t *testing.T, s *stage) error {
	if err := passes(20*time.Millisecond)(t, s); err != nil {
		return err
	}
	select {
	case <-s.acts[w].end:
		return fmt.Errorf("process %d has answered %d, %v before it deleted from Redis", w.process+1, s.acts[w].got, s.acts[w].err)
	default:
		return nil
	}
}

// breaksAt breaks the connection to Redis at a point.
func (w who) breaksAt(at testenv.Point) step {
	return func(_ *testing.T, s *stage) error {
		s.processes[w.process].points.At(at, func() error { return io.ErrUnexpectedEOF })
		return nil
	}
}

func inOrder(steps ...step) step {
	return func(t *testing.T, s *stage) error {
		for _, step := range steps {
			if err := step(t, s); err != nil {
				return err
			}
		}
		return nil
	}
}
