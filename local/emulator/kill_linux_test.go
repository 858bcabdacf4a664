package emulator_test

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// Functions, including busy ones, end with the emulator, also if it is killed. This holds only on Linux: elsewhere a child
// outlives a killed parent.
func TestNoChildRemains(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			dir := binaries(t)
			writeFile(t, dir, "template.yaml", testTemplate)
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), programVariable+"="+dir)
			cmd.Stderr = os.Stderr
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			line, err := bufio.NewReader(stdout).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			e := running{url: strings.TrimSpace(line)}
			m := meet(t, 3)
			for range 3 {
				go e.abandon(m)
			}
			m.begun(t)
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // ended by the signal
			for _, pid := range m.pids() {
				eventually(t, "a function to end", func() bool { return pid != 0 && syscall.Kill(pid, 0) == syscall.ESRCH })
			}
		})
	}
}
