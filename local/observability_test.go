package main

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const observability = "../scripts/observability/"

// dashboard is the part of Grafana's JSON that the tests read.
type dashboard struct {
	Panels []struct {
		ID                       int
		Type, Title, Description string
		GridPos                  struct{ H, W, X, Y int }
		Targets                  []struct{ Expr, LegendFormat string }
	}
	Templating struct {
		List []struct{ Definition string }
	}
}

type alert struct {
	Alert       string
	Expr        string
	Labels      map[string]string
	Annotations map[string]string
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile(observability + "grafana-dashboard.json")
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil || len(d.Panels) == 0 {
		t.Fatalf("%d panels, %v", len(d.Panels), err)
	}
	return d
}

func readAlerts(t *testing.T) (alerts []alert) {
	t.Helper()
	var file struct{ Groups []struct{ Rules []alert } }
	readYAML(t, observability+"prometheus-alerts.yaml", &file)
	for _, g := range file.Groups {
		alerts = append(alerts, g.Rules...)
	}
	if len(alerts) == 0 {
		t.Fatal("no alerts")
	}
	return alerts
}

func readYAML(t *testing.T, path string, to any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(text, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// expressions returns the expressions of the dashboard and the alerts, by the name of the panel or alert.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	d := readDashboard(t)
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all[p.Title+": "+target.LegendFormat] = target.Expr
		}
	}
	for _, a := range readAlerts(t) {
		all[a.Alert] = a.Expr
	}
	return all
}

// TestMetricNames compares the dashboard, the alerts and their README with what the program exports.
func TestMetricNames(t *testing.T) {
	t.Parallel()
	s, _ := scrapeEverything(t)
	exported := s.labels()
	for where, expr := range expressions(t) {
		for _, wrong := range wrongIn(expr, exported) {
			t.Errorf("%s uses %s, which the program does not export", where, wrong)
		}
	}
	_, section, _ := strings.Cut(readText(t, observability+"README.md"), "\n## Metrics\n")
	section, _, _ = strings.Cut(section, "\n## ")
	documented := regexp.MustCompile("`("+namespace+`\w+)`).FindAllString(section, -1)
	for i := range documented {
		documented[i] = strings.Trim(documented[i], "`")
	}
	var own []string
	for _, name := range s.families() {
		if strings.HasPrefix(name, namespace) {
			own = append(own, name)
		}
	}
	for _, name := range own {
		if !slices.Contains(documented, name) {
			t.Errorf("the README does not explain %s", name)
		}
	}
	for _, name := range documented {
		if !slices.Contains(own, name) {
			t.Errorf("the README has %s, which the program does not export", name)
		}
	}
}

func TestDashboard(t *testing.T) {
	t.Parallel()
	seen, place := map[int]bool{}, map[[2]int]string{}
	for _, p := range readDashboard(t).Panels {
		if seen[p.ID] {
			t.Errorf("%s has the id of another panel", p.Title)
		}
		seen[p.ID] = true
		if p.Type != "row" && (len(p.Description) < 40 || len(p.Targets) == 0) {
			t.Errorf("the panel %s has no query, or no description of what to do", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := place[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("the panel %s overlaps with %q or is too wide", p.Title, other)
				}
				place[[2]int{x, y}] = p.Title
			}
		}
	}
}

// TestAlerts requires that each alert has a severity, a summary, instructions, a test that it fires and a test that it
// does not fire.
func TestAlerts(t *testing.T) {
	t.Parallel()
	var file struct {
		Tests []struct {
			Expressions []struct {
				Samples []struct{ Labels string } `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		}
	}
	readYAML(t, observability+"prometheus-alerts-test.yaml", &file)
	fires, rests := map[string]bool{}, map[string]bool{}
	for _, a := range readAlerts(t) {
		for _, test := range file.Tests {
			for _, e := range test.Expressions {
				fired := slices.ContainsFunc(e.Samples, func(s struct{ Labels string }) bool { return strings.Contains(s.Labels, `"`+a.Alert+`"`) })
				fires[a.Alert], rests[a.Alert] = fires[a.Alert] || fired, rests[a.Alert] || !fired
			}
		}
		if !fires[a.Alert] || !rests[a.Alert] {
			t.Errorf("%s: has a test that it fires: %t; that it does not: %t", a.Alert, fires[a.Alert], rests[a.Alert])
		}
		if s := a.Labels["severity"]; s != "page" && s != "ticket" || a.Annotations["summary"] == "" || len(a.Annotations["description"]) < 40 {
			t.Errorf("%s: severity %q, annotations %q; want page or ticket, a summary and instructions", a.Alert, s, a.Annotations)
		}
	}
}
