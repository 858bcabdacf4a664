package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestImagesAreVariables checks that an operator can pin each image by its digest without editing a file: the images that the
// Dockerfile starts from are arguments, and the images of compose.yaml are variables.
func TestImagesAreVariables(t *testing.T) {
	t.Parallel()
	dockerfile, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	from := regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(string(dockerfile), -1)
	if len(from) != 2 || strings.Contains(string(dockerfile), "--from=docker.io") {
		t.Errorf("the Dockerfile starts from %v, want two", from)
	}
	for _, f := range from {
		name, isArgument := strings.CutPrefix(f[1], "${")
		name = strings.TrimSuffix(name, "}")
		if f[1] != "scratch" && (!isArgument || !strings.Contains(string(dockerfile), "\nARG "+name+"=")) {
			t.Errorf("FROM %s: want an ARG", f[1])
		}
	}

	text, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var compose struct {
		Services map[string]struct {
			Image string
			Build struct{ Args map[string]string }
		}
	}
	if err := yaml.Unmarshal(text, &compose); err != nil {
		t.Fatal(err)
	}
	variable := regexp.MustCompile(`^\$\{[A-Z_]+:-[^}]+\}$`)
	for name, s := range compose.Services {
		if !variable.MatchString(s.Image) {
			t.Errorf("compose.yaml, %s: image %q is no variable with a default", name, s.Image)
		}
		for argument, value := range s.Build.Args {
			if !variable.MatchString(value) {
				t.Errorf("compose.yaml, %s: the argument %s is %q, no variable with a default", name, argument, value)
			}
		}
	}
	if got := compose.Services["service"].Build.Args["GO_IMAGE"]; got == "" {
		t.Error("compose.yaml cannot choose the Go image: want build.args.GO_IMAGE")
	}
}
