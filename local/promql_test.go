package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/twitchtv/twirp"
)

var (
	quoted   = regexp.MustCompile(`"[^"]*"`)
	interval = regexp.MustCompile(`\[[^\]]*\]`)
	matchers = regexp.MustCompile(`([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	grouping = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)`)
	function = regexp.MustCompile(`[a-z_]\w*\s*\(`)
	word     = regexp.MustCompile(`[a-zA-Z_:][\w:]*`)
)

// ofPrometheus are labels that a scrape adds, and metrics of Prometheus itself.
var ofPrometheus = []string{"job", "instance", "up"}

// wrongIn returns the metrics, labels and label values in an expression that are not exported. promtool checks the
// syntax.
func wrongIn(expr string, exported map[string]map[string][]string) (wrong []string) {
	known := append([]string{}, ofPrometheus...) // labels of the expression's metrics
	bare := quoted.ReplaceAllString(matchers.ReplaceAllString(interval.ReplaceAllString(expr, ""), "$1"), "")
	names := function.ReplaceAllString(grouping.ReplaceAllString(bare, ""), "(")
	for _, name := range word.FindAllString(names, -1) {
		labels, ok := exported[name]
		if !ok && !slices.Contains([]string{"and", "or", "unless", "bool", "offset", "up"}, name) {
			wrong = append(wrong, name)
		}
		for l := range labels {
			known = append(known, l)
		}
	}
	for _, s := range matchers.FindAllStringSubmatch(expr, -1) {
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			wrong = append(wrong, wrongMatcher(s[1], m[1], m[3], exported[s[1]])...)
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		for _, l := range word.FindAllString(g[1], -1) {
			if !slices.Contains(known, l) {
				wrong = append(wrong, "by "+l)
			}
		}
	}
	return wrong
}

// wrongMatcher also checks the values of labels with a fixed set of values.
func wrongMatcher(metric, label, value string, exported map[string][]string) (wrong []string) {
	values, ok := exported[label]
	if !ok && !slices.Contains(ofPrometheus, label) {
		return []string{metric + " by " + label}
	}
	for v := range strings.SplitSeq(value, "|") {
		isCode := v == "ok" || twirp.IsValidErrorCode(twirp.ErrorCode(v))
		isKnown := slices.Contains(values, v)
		if label == "code" && !isCode || (label == "status" || label == "class" || label == "state") && !isKnown {
			wrong = append(wrong, fmt.Sprintf("%s by %s=%q", metric, label, v))
		}
	}
	return wrong
}

func TestWrongIn(t *testing.T) {
	t.Parallel()
	exported := map[string]map[string][]string{"a_total": {"code": {"ok"}, "status": {"hit", "miss"}}, "b_bucket": {"le": {"1"}}}
	for expr, want := range map[string]string{
		`sum by (job, code) (rate(a_total{code=~"internal|ok"}[5m])) / ignoring (code) sum(rate(a_total[5m])) > 0.5 and up{job="x"} == 1`: "[]",
		`histogram_quantile(0.99, sum by (le) (rate(b_bucket[$__rate_interval])))`:                                                        "[]",
		`rate(c_total[5m])`:                         "[c_total]",
		`rate(a_totals{status="hit"}[5m])`:          "[a_totals a_totals by status]",
		`a_total{protocol="json"}`:                  "[a_total by protocol]",
		`a_total{code="internel"}`:                  `[a_total by code="internel"]`,
		`a_total{status=~"hit|hits"}`:               `[a_total by status="hits"]`,
		`sum by (rpc) (a_total) and sum(b_bucket)`:  "[by rpc]",
		`sum(b_bucket) or (a_total unless b_count)`: "[b_count]",
	} {
		if got := fmt.Sprint(wrongIn(expr, exported)); got != want {
			t.Errorf("%s: got %s, want %s", expr, got, want)
		}
	}
}
