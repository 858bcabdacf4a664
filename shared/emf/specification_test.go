package emf_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// document is the part of a line that CloudWatch reads.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
type document struct {
	AWS struct {
		Timestamp         *int64 // ms
		CloudWatchMetrics []directive
	} `json:"_aws"`
}

type directive struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []struct {
		Name, Unit        string
		StorageResolution *int
	}
}

var units = strings.Fields(`Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes Bits Kilobits
	Megabits Gigabits Terabits Percent Count Bytes/Second Kilobytes/Second Megabytes/Second Gigabytes/Second Terabytes/Second
	Bits/Second Kilobits/Second Megabits/Second Gigabits/Second Terabits/Second Count/Second None`)

// line is a line as CloudWatch reads it: the metrics by name with their dimensions, and the other members.
type line struct {
	raw        string
	members    map[string]any
	metrics    map[string]float64
	dimensions map[string][][]string
}

func (l line) text(name string) string {
	s, _ := l.members[name].(string)
	return s
}

// parse checks a line against the specification.
func parse(t testing.TB, raw string) line {
	t.Helper()
	l := line{raw: raw, metrics: map[string]float64{}, dimensions: map[string][][]string{}}
	var d document
	strict := json.NewDecoder(bytes.NewReader(metadata(t, raw)))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&d.AWS); err != nil || json.Unmarshal([]byte(raw), &l.members) != nil || strings.Count(raw, "\n") != 1 || !strings.HasSuffix(raw, "}\n") {
		t.Fatalf("%q is not a line of the format: %v", raw, err)
	}
	if at := d.AWS.Timestamp; at == nil || time.Since(time.UnixMilli(*at)).Abs() > time.Hour {
		t.Errorf("%s does not have the current time in milliseconds as its timestamp", raw)
	}
	if len(raw) > 4096 { // a larger write to a pipe is not atomic; CloudWatch accepts 1 MB
		t.Errorf("%s has %d bytes", raw, len(raw))
	}
	for _, directive := range d.AWS.CloudWatchMetrics {
		l.add(t, directive)
	}
	return l
}

func metadata(t testing.TB, raw string) []byte {
	t.Helper()
	var root struct {
		AWS json.RawMessage `json:"_aws"`
	}
	if err := json.Unmarshal([]byte(raw), &root); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return root.AWS
}

func (l line) add(t testing.TB, d directive) {
	t.Helper()
	if n := len(d.Namespace); n < 1 || n > 1024 || strings.HasPrefix(d.Namespace, "AWS/") || len(d.Dimensions) == 0 || len(d.Metrics) == 0 || len(d.Metrics) > 100 {
		t.Errorf("%s has a wrong directive: namespace %q, %d sets of dimensions, %d metrics", l.raw, d.Namespace, len(d.Dimensions), len(d.Metrics))
	}
	for _, set := range d.Dimensions {
		if len(set) > 30 {
			t.Errorf("%s has %d dimensions", l.raw, len(set))
		}
		for _, name := range set {
			if v := l.text(name); v == "" || len(v) > 1024 || len(name) > 250 {
				t.Errorf("%s: the dimension %s is %q, want a string of up to 1024 bytes", l.raw, name, v)
			}
		}
	}
	for _, m := range d.Metrics {
		value, ok := l.members[m.Name].(float64)
		if _, twice := l.metrics[m.Name]; !ok || twice || m.Name == "" || !slices.Contains(units, m.Unit) || m.StorageResolution != nil {
			t.Errorf("%s: the metric %q in %q is %v, want a number, once, in a known unit", l.raw, m.Name, m.Unit, l.members[m.Name])
		}
		l.metrics[m.Name], l.dimensions[m.Name] = value, d.Dimensions
	}
}
