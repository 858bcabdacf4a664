//go:build e2e

package main

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// samEnvironment lets sam run without an AWS account and without telemetry.
func samEnvironment() []string {
	return []string{"AWS_DEFAULT_REGION=us-east-1", "SAM_CLI_TELEMETRY=0"}
}

// TestTemplateIsValid checks template.yaml with AWS's tools, before and after SAM's transform.
func TestTemplateIsValid(t *testing.T) {
	t.Parallel()
	t.Run("cfn-lint", func(t *testing.T) {
		t.Parallel()
		command(t, nil, pythonTool(t, "cfn-lint"), "template.yaml")
	})
	t.Run("sam validate --lint", func(t *testing.T) {
		t.Parallel()
		command(t, samEnvironment(), pythonTool(t, "sam"), "validate", "--lint")
	})
	t.Run("transformed, with each combination of parameters", func(t *testing.T) {
		t.Parallel()
		t.Log(command(t, nil, pythonTool(t, "python"), "scripts/python/template.py"))
	})
}

// TestSAM builds the functions with SAM and invokes each one in Docker. A minimal image replaces AWS's base image,
// which is only on the network; a static binary needs nothing from it.
func TestSAM(t *testing.T) { //nolint:paralleltest // its containers need the machine to themselves
	// It does not run beside other tests: its containers reach the database through this machine, and time out if it is
	// busy.
	w := newEventWorld(t)
	dir := t.TempDir()
	processor := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	command(t, append(samEnvironment(), "CGO_ENABLED=0", `GOFLAGS=-tags=lambda.norpc -trimpath "-ldflags=-s -w"`),
		pythonTool(t, "sam"), "build", "--build-dir", dir, "--parameter-overrides", "Architecture="+processor)

	docker := startDocker(t)
	docker.buildStandIn(t, "public.ecr.aws/lambda/provided:al2023-"+processor)
	gateway := strings.TrimSpace(command(t, docker.env, "docker", "network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}"))
	options := []string{
		"-t", filepath.Join(dir, "template.yaml"), "--env-vars", w.variablesFile(t, gateway), "--skip-pull-image",
		"--parameter-overrides", "Architecture=" + processor,
	}
	invoke := func(t *testing.T, function, event string) []byte {
		file := filepath.Join(t.TempDir(), "event.json")
		if err := os.WriteFile(file, w.event(t, event), 0o600); err != nil {
			t.Fatal(err)
		}
		var answer string
		for range 5 { // on a busy machine a function may time out while it connects
			answer = lastLine(command(t, append(samEnvironment(), docker.env...), pythonTool(t, "sam"),
				append([]string{"local", "invoke", function, "-e", file}, options...)...))
			if !strings.Contains(answer, "DATABASE_UNAVAILABLE") && !strings.Contains(answer, `"errorMessage"`) {
				break
			}
		}
		return []byte(answer)
	}
	tried := map[string]bool{}
	for _, e := range shippedEvents() {
		if !tried[e.function] { // one event per function: each container takes seconds, and TestBuiltFunctions sends all events
			tried[e.function] = true
			e.wantAnswer(t, invoke(t, strings.ToUpper(e.function[:1])+e.function[1:]+"Function", e.name))
		}
	}
	w.wantPurge(t, func() { invoke(t, "PurgeFunction", "purge") })
	w.wantStartAPI(t, docker, options)
}

// variablesFile writes a file for --env-vars, with addresses that a container can reach.
func (w *eventWorld) variablesFile(t *testing.T, host string) string {
	t.Helper()
	c := w.Program.Config
	variables, err := json.Marshal(map[string]any{"Parameters": map[string]string{
		"DATABASE_URL": strings.Replace(c.DatabaseURL, w.PGProxy.Addr(), forward(t, host, w.PGProxy.Addr()), 1),
		"REDIS_URL":    strings.Replace(c.RedisURL, w.RDProxy.Addr(), forward(t, host, w.RDProxy.Addr()), 1),
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "env.json")
	if err := os.WriteFile(file, variables, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// forward listens at host and forwards connections to target.
func forward(t *testing.T, host, target string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", target)
			if err != nil {
				_ = from.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
				go func() {
					_, _ = io.Copy(way[0], way[1]) // ends when either side closes
					_ = way[0].Close()
				}()
			}
		}
	}()
	return l.Addr().String()
}

// dockerDaemon is the environment for the docker command.
type dockerDaemon struct{ env []string }

// startDocker returns the running daemon, or starts one, which requires root.
func startDocker(t *testing.T) *dockerDaemon {
	t.Helper()
	if exec.Command("docker", "info").Run() == nil {
		return &dockerDaemon{}
	}
	dir, err := os.MkdirTemp("", "docker-")
	if err != nil {
		t.Fatal(err)
	}
	socket := "unix://" + filepath.Join(dir, "docker.sock")
	cmd := exec.Command("dockerd", "-H", socket, "--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
		"--pidfile", filepath.Join(dir, "pid"), "--storage-driver", "vfs", "--iptables=false", "--ip6tables=false",
		"--log-level", "error")
	var log output
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatalf("dockerd (apt install docker.io): %v", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the test waits until the daemon answers
		close(exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-exited
		_ = os.RemoveAll(dir)
		if t.Failed() {
			t.Logf("dockerd: %s", &log)
		}
	})
	d := &dockerDaemon{[]string{"DOCKER_HOST=" + socket}}
	eventually(t, "dockerd", func() bool {
		select {
		case <-exited:
			t.Fatal("dockerd ended: run the test as root")
		default:
		}
		info := exec.Command("docker", "info")
		info.Env = append(os.Environ(), d.env...)
		return info.Run() == nil
	})
	return d
}

// buildStandIn builds an image with only a shell, which the two commands of SAM's Dockerfile need.
func (d *dockerDaemon) buildStandIn(t *testing.T, tag string) {
	t.Helper()
	dir := t.TempDir()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatalf("%v: apt install busybox-static", err)
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"busybox": program,
		"Dockerfile": []byte("FROM scratch\nADD busybox /bin/busybox\n" +
			"RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nENV PATH=/bin\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	command(t, d.env, "docker", "build", "--tag", tag, dir)
}
