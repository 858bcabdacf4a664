//go:build e2e

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// promtool runs Prometheus's promtool in the folder.
func promtool(t *testing.T, dir, stdin string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestPromtool(t *testing.T) {
	t.Parallel()
	t.Run("metrics", func(t *testing.T) {
		t.Parallel()
		s, _ := scrapeEverything(t)
		promtool(t, "", s.text, "check", "metrics")
	})
	t.Run("alerts", func(t *testing.T) {
		t.Parallel()
		promtool(t, observability, "", "check", "rules", "prometheus-alerts.yaml")
		promtool(t, observability, "", "test", "rules", "prometheus-alerts-test.yaml")
	})
	t.Run("README's configuration", func(t *testing.T) {
		t.Parallel()
		block := regexp.MustCompile("(?s)```yaml\n(rule_files:.*?)```").FindStringSubmatch(readText(t, observability+"README.md"))
		if block == nil {
			t.Fatal("no configuration of Prometheus in the README")
		}
		dir := t.TempDir()
		alerts, err := os.ReadFile(observability + "prometheus-alerts.yaml")
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "prometheus-alerts.yaml"), alerts)
		writeFile(t, filepath.Join(dir, "prometheus.yml"), []byte(block[1]))
		promtool(t, dir, "", "check", "config", "prometheus.yml")
	})
	t.Run("dashboard", func(t *testing.T) {
		t.Parallel()
		promtool(t, dashboardRules(t), "", "check", "rules", "rules.yaml")
	})
}

// dashboardRules writes the dashboard's expressions as a file of rules, because promtool reads no dashboards.
func dashboardRules(t *testing.T) (dir string) {
	t.Helper()
	type rule struct{ Record, Expr string }
	variables := strings.NewReplacer("$__rate_interval", "5m", "$job", "database-service", "$instance", ".*")
	var rules []rule
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			rules = append(rules, rule{"dashboard:expression", variables.Replace(target.Expr)})
		}
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	writeFile(t, filepath.Join(dir, "rules.yaml"), text)
	return dir
}

func writeFile(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
