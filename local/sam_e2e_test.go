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

// samEnvironment keeps sam from asking an account, and from telling AWS that it runs.
func samEnvironment() []string {
	return []string{"AWS_DEFAULT_REGION=us-east-1", "SAM_CLI_TELEMETRY=0"}
}

// What AWS's own tools say of template.yaml, as it is and as CloudFormation gets it.
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

// TestSAM builds with SAM and invokes each function with it, in Docker: SAM's own Runtime Interface Emulator on a stand-in
// for AWS's base image, which cannot be had without the network. Of the image, a static binary needs nothing.
func TestSAM(t *testing.T) { //nolint:paralleltest // its containers need the machine to themselves
	// Not beside others: its containers reach the database through this machine, which has to have time for them.
	w := newEventWorld(t)
	dir := t.TempDir()
	processor := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	command(t, append(samEnvironment(), "CGO_ENABLED=0", `GOFLAGS=-tags=lambda.norpc -trimpath "-ldflags=-s -w"`),
		pythonTool(t, "sam"), "build", "--build-dir", dir, "--parameter-overrides", "Architecture="+processor)

	docker := startDocker(t)
	docker.buildStandIn(t, "public.ecr.aws/lambda/provided:al2023-"+processor)
	gateway := strings.TrimSpace(command(t, docker.env, "docker", "network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}"))
	variables := w.variablesFile(t, gateway)
	invoke := func(t *testing.T, function, event string) []byte {
		file := filepath.Join(t.TempDir(), "event.json")
		if err := os.WriteFile(file, w.event(t, event), 0o600); err != nil {
			t.Fatal(err)
		}
		var answer string
		for range 5 { // on a busy machine a function's first connection may take longer than it has
			answer = lastLine(command(t, append(samEnvironment(), docker.env...), pythonTool(t, "sam"), "local", "invoke", function,
				"-t", filepath.Join(dir, "template.yaml"), "-e", file, "--env-vars", variables, "--skip-pull-image",
				"--parameter-overrides", "Architecture="+processor))
			if !strings.Contains(answer, "DATABASE_UNAVAILABLE") && !strings.Contains(answer, `"errorMessage"`) {
				break
			}
		}
		return []byte(answer)
	}
	tried := map[string]bool{}
	for _, e := range shippedEvents() {
		if !tried[e.function] { // a container for each takes seconds, and TestRIE sends all of them
			tried[e.function] = true
			e.wantAnswer(t, invoke(t, strings.ToUpper(e.function[:1])+e.function[1:]+"Function", e.name))
		}
	}
	w.wantPurge(t, func() { invoke(t, "PurgeFunction", "purge") })
}

// variablesFile is what --env-vars takes: addresses that a container reaches.
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

// forward listens at host, and passes connections on to target.
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
					_, _ = io.Copy(way[0], way[1]) // one end or the other has gone
					_ = way[0].Close()
				}()
			}
		}
	}()
	return l.Addr().String()
}

// dockerDaemon is the environment that leads to one.
type dockerDaemon struct{ env []string }

// startDocker returns the daemon that runs, or starts one, which takes root.
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
		_ = cmd.Wait() // the test asks whether it answers
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
			t.Fatal("dockerd ended: it has to be started by root")
		default:
		}
		info := exec.Command("docker", "info")
		info.Env = append(os.Environ(), d.env...)
		return info.Run() == nil
	})
	return d
}

// buildStandIn makes an image with a shell for the two commands of SAM's Dockerfile, and nothing else.
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
