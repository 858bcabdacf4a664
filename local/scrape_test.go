package main

import (
	"io"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// scraped is the result of a scrape: the text, and the values by series name without the namespace.
type scraped struct {
	text   string
	values map[string]float64
}

const namespace = "database_service_"

// startWithAdmin starts a program with an admin address and returns the address as a URL.
func startWithAdmin(t *testing.T, env []string, args ...string) (*program, string) {
	t.Helper()
	address := "127.0.0.1:" + freePort(t)
	p := start(t, append([]string{"ADMIN_ADDR=" + address}, env...), args...)
	wantText(t, &p.stdout, "http://"+address+"/metrics")
	return p, "http://" + address
}

func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	return r.StatusCode, string(text)
}

func scrape(t *testing.T, admin string) scraped {
	t.Helper()
	status, text := fetch(t, admin+"/metrics")
	s := scraped{text, map[string]float64{}}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(strings.TrimSpace(line[i+1:]), 64)
		if err != nil || i < 0 {
			t.Fatalf("no sample: %q", line)
		}
		s.values[strings.TrimPrefix(line[:i], namespace)] = value
	}
	if status != http.StatusOK || len(s.values) == 0 {
		t.Fatalf("/metrics: %d, %d samples", status, len(s.values))
	}
	return s
}

// waitForMetrics calls meanwhile and scrapes, until every series has had at least its value once.
func waitForMetrics(t *testing.T, admin string, least map[string]float64, meanwhile func()) {
	t.Helper()
	missing := maps.Clone(least) // a gauge may fall again, so one sample is enough
	eventually(t, "the metrics", func() bool {
		meanwhile()
		s := scrape(t, admin)
		maps.DeleteFunc(missing, func(series string, want float64) bool { return s.values[series] >= want })
		if t.Failed() {
			t.FailNow()
		}
		return len(missing) == 0
	})
}

var (
	typeLine = regexp.MustCompile(`(?m)^# TYPE (\w+) (\w+)$`)
	sample   = regexp.MustCompile(`(?m)^(\w+)(?:\{(.*)\})? `)
	label    = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

// families returns the names of the metrics without suffixes such as _bucket.
func (s scraped) families() (names []string) {
	for _, m := range typeLine.FindAllStringSubmatch(s.text, -1) {
		names = append(names, m[1])
	}
	return names
}

// labels returns the values of each label by the name of the series. Names are as in expressions, for example with
// _bucket.
func (s scraped) labels() map[string]map[string][]string {
	all := map[string]map[string][]string{}
	for _, m := range sample.FindAllStringSubmatch(s.text, -1) {
		if all[m[1]] == nil {
			all[m[1]] = map[string][]string{}
		}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			all[m[1]][l[1]] = append(all[m[1]][l[1]], l[2])
		}
	}
	return all
}
