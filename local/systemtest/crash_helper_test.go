package systemtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/childprocess"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/faultproxy"
	"github.com/osirose-new/database-service/shared/testenv"
)

// Points at which a process can die, in addition to those of package testenv.
const (
	beforeStatement testenv.Point = "before the statement"
	inStatement     testenv.Point = "in the statement" // the server executes it nevertheless
)

// crashVariable makes this test binary a process that runs no test and dies as the value describes.
const crashVariable = "SYSTEMTEST_CRASH"

// diedAsAsked is the exit code of such a process.
const diedAsAsked = 86

// crash is one call of a process and the point at which the process dies.
type crash struct {
	Database, Redis string
	At              testenv.Point
	Write           bool
	Entity          entity
	User, Request   string
	Character       int64
}

// crashIfAsked ends this process if crashVariable is set.
func crashIfAsked() {
	text := os.Getenv(crashVariable)
	if text == "" {
		return
	}
	var c crash
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		err = c.run(context.Background())
	}
	fmt.Fprintln(os.Stderr, "still alive:", err)
	os.Exit(1)
}

// run returns only if the process did not die.
func (c crash) run(ctx context.Context) error {
	read, err := config.Read(func(string) string { return "" })
	if err != nil {
		return err
	}
	read.DatabaseURL, read.RedisURL = c.Database, c.Redis
	if c.At == beforeStatement {
		if read.DatabaseURL, err = dieBefore("game.character", c.Database); err != nil {
			return err
		}
	}
	b := testenv.Budgets()
	b.Redis = cache.DefaultBudgets() // the test waits until the lock and the lease expire
	b.Redis.Call *= testenv.Stretch
	p, err := app.Open(app.Options{Config: read, Budgets: b})
	if err != nil {
		return err
	}
	defer p.Close()
	s := &stage{entity: c.Entity, user: c.User, request: c.Request, character: c.Character}
	s.processes[0] = newScheduled(p)
	s.processes[0].points.At(c.At, func() error {
		os.Exit(diedAsAsked)
		return nil
	})
	if c.Write {
		_, err = s.write(ctx, 0)
	} else {
		_, err = s.read(ctx, 0)
	}
	return err
}

// dieBefore returns the URL of a proxy to the database. The proxy ends the process before it sends a statement that contains
// text.
func dieBefore(text, database string) (string, error) {
	_, address, _ := strings.Cut(database, "@")
	address, _, _ = strings.Cut(address, "/")
	proxy, err := faultproxy.New(address)
	if err != nil {
		return "", err
	}
	proxy.OnSend(func(chunk []byte) {
		if bytes.Contains(chunk, []byte(text)) {
			os.Exit(diedAsAsked)
		}
	})
	return strings.Replace(database, address, proxy.Addr(), 1), nil
}

// dies makes a third process that makes the stage's call and dies at a point.
func dies(at testenv.Point, write bool) step {
	return func(t *testing.T, s *stage) error {
		if at == inStatement {
			return s.killInStatement(t)
		}
		cmd, out := s.crashing(t, at, write)
		err := cmd.Run()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != diedAsAsked {
			return fmt.Errorf("%w: the process did not die %s: %v: %s", errNotPlayed, at, err, out)
		}
		return nil
	}
}

func (s *stage) crashing(t *testing.T, at testenv.Point, write bool) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	c := s.Program.Config
	text, err := json.Marshal(crash{c.DatabaseURL, c.RedisURL, at, write, s.entity, s.user, s.request, s.character})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	childprocess.Attach(cmd, syscall.SIGKILL)
	cmd.Env = append(os.Environ(), crashVariable+"="+string(text))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	return cmd, &out
}

// killInStatement kills the writer while its statement waits for a lock. During that time the server does not check the
// connection, so it executes and commits the statement.
func (s *stage) killInStatement(t *testing.T) (err error) {
	if s.open, err = s.Owner.Begin(t.Context()); err != nil {
		return err
	}
	// The trigger that logs the write waits for this row. On a locked table the preparation of the statement would wait.
	if _, err := s.open.Exec(t.Context(), `INSERT INTO game.cache_change (key, xid) VALUES ($1, pg_current_xact_id())
		ON CONFLICT (key) DO UPDATE SET xid = excluded.xid`, "characters:"+s.user); err != nil {
		return err
	}
	cmd, out := s.crashing(t, inStatement, true)
	if err := cmd.Start(); err != nil {
		return err
	}
	dead := make(chan struct{})
	go func() {
		defer close(dead)
		_ = cmd.Wait() // the error says that it was killed
	}()
	for waiting := false; !waiting; {
		select {
		case <-dead:
			return fmt.Errorf("%w: %s", errNotPlayed, out)
		default:
		}
		if waiting, err = s.writerWaits(t); err != nil {
			return err
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		return err
	}
	<-dead
	return unlocks(t, s)
}
