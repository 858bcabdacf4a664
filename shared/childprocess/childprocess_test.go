package childprocess_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/childprocess"
)

const roleVariable = "CHILDPROCESS_TEST_ROLE"

// TestMain also runs the programs that the tests start.
func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "parent": // starts a child that shares stdout, and reports it
		if _, err := childprocess.Start(program("child"), syscall.SIGKILL); err != nil {
			panic(err)
		}
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "child": // ends only by a signal
		_, _ = os.Stdout.WriteString("started\n")
		block()
	case "deaf": // ignores SIGTERM
		signal.Ignore(syscall.SIGTERM)
		_, _ = os.Stdout.WriteString("started\n")
		block()
	default:
		os.Exit(m.Run())
	}
}

// block waits for a signal that nothing sends; select {} would be a deadlock in a program without cgo.
func block() {
	never := make(chan os.Signal, 1)
	signal.Notify(never, syscall.SIGUSR2)
	<-never
}

func program(role string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd
}

// output gives cmd a pipe for its output, which the test reads.
func output(t *testing.T, cmd *exec.Cmd) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	cmd.Stdout = w
	return r, w
}

func start(t *testing.T, role string) *childprocess.Process {
	t.Helper()
	cmd := program(role)
	r, w := output(t, cmd)
	p, err := childprocess.Start(cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	_ = w.Close()
	if _, err := io.ReadFull(r, make([]byte, len("started\n"))); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestStart(t *testing.T) {
	t.Parallel()
	t.Run("no such program", func(t *testing.T) {
		t.Parallel()
		if _, err := childprocess.Start(exec.Command("/does/not/exist"), syscall.SIGKILL); err == nil {
			t.Error("Start = nil, want an error")
		}
	})
	t.Run("a killed parent takes its child with it", func(t *testing.T) {
		t.Parallel()
		cmd := program("parent")
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer stdin.Close()
		r, w := output(t, cmd)
		parent, err := childprocess.Start(cmd, syscall.SIGKILL)
		if err != nil {
			t.Fatal(err)
		}
		_ = w.Close()
		if _, err := io.ReadFull(r, make([]byte, len("started\n"))); err != nil {
			t.Fatal(err)
		}
		parent.Kill()
		if runtime.GOOS != "linux" {
			return
		}
		if _, err := io.ReadAll(r); err != nil { // ends when the child does, which holds the other end
			t.Error(err)
		}
	})
}

func TestStop(t *testing.T) {
	t.Parallel()
	t.Run("by SIGTERM", func(t *testing.T) {
		t.Parallel()
		p := start(t, "child")
		if p.Exited() || p.State() != nil {
			t.Error("the process has ended before Stop")
		}
		_ = p.Stop(time.Hour)
		if status := p.State().Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGTERM {
			t.Errorf("ended by %v, want SIGTERM", status.Signal())
		}
	})
	t.Run("a process that ignores SIGTERM is killed", func(t *testing.T) {
		t.Parallel()
		p := start(t, "deaf")
		if err := p.Stop(time.Millisecond); err == nil {
			t.Error("Stop = nil, want an error")
		}
		if status := p.State().Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
			t.Errorf("ended by %v, want SIGKILL", status.Signal())
		}
	})
	t.Run("ended before", func(t *testing.T) {
		t.Parallel()
		p := start(t, "child")
		p.Kill()
		if err := p.Stop(time.Hour); err == nil || !errors.Is(err, p.Wait()) {
			t.Errorf("Stop = %v, want the result of Wait, %v", err, p.Wait())
		}
	})
}
