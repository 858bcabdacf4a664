package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	deployFolder = "../scripts/deploy/"
	// longestStop bounds the shutdown after a signal and -grace. The 750 ms are for the steps without a time limit.
	longestStop = farewell + shutdownTimeout + adminTimeout + 750*time.Millisecond
)

// manifest is the part of a Kubernetes object that the test reads.
type manifest struct {
	Kind string
	Spec struct {
		Ports []struct {
			TargetPort string `yaml:"targetPort"`
		}
		Template struct {
			Spec struct {
				Grace      int `yaml:"terminationGracePeriodSeconds"`
				Containers []container
			}
		}
	}
}

type container struct {
	Args  []string
	Env   []struct{ Name, Value string }
	Ports []struct {
		Name          string
		ContainerPort string `yaml:"containerPort"`
	}
	Liveness  probe `yaml:"livenessProbe"`
	Readiness probe `yaml:"readinessProbe"`
	Startup   probe `yaml:"startupProbe"`
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

// TestDeploy compares the manifests and units in scripts/deploy with the program: ports, paths, flags, environment and
// shutdown time.
func TestDeploy(t *testing.T) {
	t.Parallel()
	for _, name := range environmentOfDeploy(t) {
		if name != "GOMEMLIMIT" && !readByProgram(t, name) { // Go's runtime reads that one
			t.Errorf("scripts/deploy sets %s, which the program does not read", name)
		}
	}
	all := readManifests(t, "kubernetes.yaml")
	spec := all["Deployment"].Spec.Template.Spec
	if len(spec.Containers) != 1 {
		t.Fatalf("the Deployment has %d containers, want 1", len(spec.Containers))
	}
	c := spec.Containers[0]
	ports, env := map[string]string{}, map[string]string{}
	for _, p := range c.Ports {
		ports[p.Name] = p.ContainerPort
	}
	for _, e := range c.Env {
		env[e.Name] = e.Value
	}
	if ports["service"] != env["SERVICE_PORT"] || !strings.HasSuffix(env["ADMIN_ADDR"], ":"+ports["admin"]) {
		t.Errorf("container ports %v do not match SERVICE_PORT %q and ADMIN_ADDR %q", ports, env["SERVICE_PORT"], env["ADMIN_ADDR"])
	}
	for what, p := range map[string]struct {
		got  probe
		want string
	}{"liveness": {c.Liveness, "/healthz"}, "readiness": {c.Readiness, "/readyz"}, "startup": {c.Startup, "/healthz"}} {
		if p.got.HTTPGet.Path != p.want || p.got.HTTPGet.Port != "admin" {
			t.Errorf("the %s probe asks %v, want %s on admin", what, p.got.HTTPGet, p.want)
		}
	}
	if s := all["Service"].Spec.Ports; len(s) != 1 || s[0].TargetPort != "service" {
		t.Errorf("the Service exposes %v, want the port service only", s)
	}
	if len(c.Args) != 2 || c.Args[0] != "-grace" {
		t.Fatalf("the Deployment's args are %v, want -grace D", c.Args)
	}
	grace, err := time.ParseDuration(c.Args[1])
	if longest := grace + longestStop; err != nil || time.Duration(spec.Grace)*time.Second <= longest {
		t.Errorf("terminationGracePeriodSeconds is %d, but the program may need %v to stop (%v)", spec.Grace, longest, err)
	}
	if args := readManifests(t, "kubernetes-migrate.yaml")["Job"].Spec.Template.Spec.Containers[0].Args; !slices.Equal(args, []string{"migrate"}) {
		t.Errorf("the Job's args are %v, want migrate", args)
	}
}

func readManifests(t *testing.T, name string) map[string]manifest {
	t.Helper()
	text, err := os.ReadFile(deployFolder + name)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]manifest{}
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var m manifest
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[m.Kind] = m
	}
}

// environmentOfDeploy returns the names of the variables that a manifest or a unit sets.
func environmentOfDeploy(t *testing.T) (names []string) {
	t.Helper()
	for _, file := range []string{"kubernetes.yaml", "kubernetes-migrate.yaml"} {
		for _, m := range readManifests(t, file) {
			for _, c := range m.Spec.Template.Spec.Containers {
				for _, e := range c.Env {
					names = append(names, e.Name)
				}
			}
		}
	}
	unit, err := os.ReadFile(deployFolder + "database-service.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range regexp.MustCompile(`(?m)^Environment=(.*)$`).FindAllStringSubmatch(string(unit), -1) {
		for setting := range strings.FieldsSeq(line[1]) {
			name, _, _ := strings.Cut(setting, "=")
			names = append(names, name)
		}
	}
	if len(names) < 8 {
		t.Fatalf("scripts/deploy sets only %v", names)
	}
	return names
}

// readByProgram reports whether the program's sources contain the name in quotes.
func readByProgram(t *testing.T, name string) bool {
	t.Helper()
	found := false
	for _, folder := range []string{"../shared", "."} {
		err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || found || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			found = bytes.Contains(text, []byte(`"`+name+`"`))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}
