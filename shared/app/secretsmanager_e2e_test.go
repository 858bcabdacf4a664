//go:build e2e

package app_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/errtext"
	"github.com/osirose-new/database-service/shared/postgres"
)

// open starts a program with short-lived connections.
func (c *cloud) open(t *testing.T, arn string) *app.Program {
	t.Helper()
	read, err := config.Read(environment(map[string]string{
		"DATABASE_SECRET_ARN": arn, "DATABASE_URL": "postgres://?sslmode=disable&pool_max_conn_lifetime=100ms", "AWS_REGION": "eu-central-1",
	}))
	if err != nil {
		t.Fatal(err)
	}
	p, err := app.Open(app.Options{Config: read})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// load makes requests until it is stopped.
type load struct {
	done, late atomic.Int64
	each       [8]atomic.Int64
	lost       atomic.Pointer[error]
	stop       chan struct{}
	all        sync.WaitGroup
}

func startLoad(db *postgres.DB) *load {
	l := &load{stop: make(chan struct{})}
	for i := range l.each {
		l.all.Go(func() {
			for ; ; l.each[i].Add(1) {
				select {
				case <-l.stop:
					return
				default:
				}
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // the emulators are slower than Secrets Manager
				err := selectOne(ctx, db)
				cancel()
				switch {
				case err == nil:
					l.done.Add(1)
				case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded): // a busy machine
					l.late.Add(1)
				default:
					l.lost.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	return l
}

// settle waits until all connections have logged in after the call of settle, and all older requests have ended.
func (c *cloud) settle(t *testing.T, l *load, role string) {
	t.Helper()
	const oldSQL = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND backend_start < $2"
	var now time.Time
	if err := c.super.QueryRow(t.Context(), "SELECT clock_timestamp()").Scan(&now); err != nil {
		t.Fatal(err)
	}
	for old := 1; old > 0 && l.lost.Load() == nil; {
		if err := c.super.QueryRow(t.Context(), oldSQL, role, now).Scan(&old); err != nil {
			t.Fatal(err)
		}
	}
	for i := range l.each {
		for end := l.each[i].Load() + 2; l.each[i].Load() < end && t.Context().Err() == nil; {
			time.Sleep(time.Millisecond)
		}
	}
}

// more waits for n more requests.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	for end := l.done.Load() + n; l.done.Load() < end && l.lost.Load() == nil && t.Context().Err() == nil; {
		time.Sleep(time.Millisecond)
	}
}

func TestSecretsManager(t *testing.T) { //nolint:paralleltest // it needs the machine to itself
	for name, emulator := range map[string]func(*testing.T) (address string){"moto": startMoto, "LocalStack": startLocalStack} {
		t.Run(name, func(t *testing.T) { testSecretsManager(t, newCloud(t, emulator(t))) })
	}
}

func testSecretsManager(t *testing.T, c *cloud) {
	t.Run("rotations under load", func(t *testing.T) {
		arn := c.role(t, "rotating", "p", "p")
		p := c.open(t, arn)
		l := startLoad(p.DB)
		const rotations = 6
		for i := range rotations {
			l.more(t, 500)
			if l.lost.Load() != nil {
				t.Fatalf("before rotation %d, after %d requests: a request was lost: %v", i, l.done.Load(), *l.lost.Load())
			}
			password := fmt.Sprint("p", i)
			version := c.put(t, arn, "rotating", password, "AWSPENDING")
			if i%2 == 0 { // like Secrets Manager's own rotation
				c.alter(t, "rotating", password)
				l.more(t, 200)
				c.promote(t, arn, version)
			} else {
				c.promote(t, arn, version)
				c.alter(t, "rotating", password)
			}
			c.settle(t, l, "rotating") // a request may meet one rotation
		}
		l.more(t, 500)

		c.proxy.Refuse()
		l.more(t, 500)
		c.proxy.Accept()
		close(l.stop)
		l.all.Wait()
		if err := l.lost.Load(); err != nil {
			t.Errorf("a request was lost: %v", *err)
		}
		t.Logf("%d requests over %d rotations, %d too late for this machine", l.done.Load(), rotations, l.late.Load())
	})

	t.Run("a wrong password, until it is right", func(t *testing.T) {
		arn := c.role(t, "mistaken", "right", "hunter2canary")
		p := c.open(t, arn)
		err := selectOne(t.Context(), p.DB)
		if said := errtext.ForLog(err); !errors.Is(err, postgres.ErrUnavailable) || strings.Contains(said+err.Error(), "hunter2canary") {
			t.Errorf("Read = %v (%s), want ErrUnavailable without the password", err, said)
		}
		c.put(t, arn, "mistaken", "right")
		for err != nil && t.Context().Err() == nil {
			err = selectOne(t.Context(), p.DB)
		}
	})

	t.Run("no such secret", func(t *testing.T) {
		p := c.open(t, "arn:aws:secretsmanager:eu-central-1:123456789012:secret:hunter2canary")
		err := selectOne(t.Context(), p.DB)
		said := errtext.ForLog(err)
		if !errors.Is(err, postgres.ErrUnavailable) || !strings.Contains(said, "ResourceNotFoundException") || strings.Contains(said+err.Error(), "hunter2canary") {
			t.Errorf("Read = %v (%s), want ErrUnavailable, the code, and no name", err, said)
		}
	})

	t.Run("no answer at first", func(t *testing.T) {
		arn := c.role(t, "waiting", "p", "p")
		c.proxy.Refuse()
		p := c.open(t, arn)
		err := selectOne(t.Context(), p.DB)
		if !errors.Is(err, postgres.ErrUnavailable) {
			t.Errorf("Read = %v, want ErrUnavailable", err)
		}
		c.proxy.Accept()
		for err != nil && t.Context().Err() == nil {
			err = selectOne(t.Context(), p.DB)
		}
	})
}
