package console

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/osirose-new/database-service/shared/cache"
)

// The size of a chart in units of its SVG. The margin keeps the line's whole width visible at the edges.
const (
	chartWidth, chartHeight = 240, 48
	chartMargin             = 2
)

// chart is a figure over the last samples.
type chart struct {
	Name  string
	Value string // the newest
	Scale string // of the vertical axis
	Path  string // of the line, in SVG's form
}

// curve describes a chart.
type curve struct {
	name string
	of   func(before, now sample) float64 // the value, NaN if there is none; for the first sample, before is now
	text func(value float64) string
	top  func(sample) float64 // the end of the scale, unless a value is larger
	none string               // the text for NaN
	most bool                 // top limits the value: the text is "3 of 16"
}

func curves() []curve {
	one := func(sample) float64 { return 1 }
	count := func(f func(sample) int) func(sample, sample) float64 {
		return func(_, now sample) float64 { return float64(f(now)) }
	}
	took := func(q float64) func(sample, sample) float64 {
		return func(before, now sample) float64 { return quantile(q, now.since(before)) }
	}
	capacity, pool := func(s sample) float64 { return float64(s.Limits.Capacity) }, func(s sample) float64 { return float64(s.Pool.Max) }
	return []curve{
		{"Requests per second", rate, decimal, one, "", false},
		{"Duration, p50", took(.50), milliseconds, func(sample) float64 { return .001 }, "no requests", false},
		{"Duration, p99", took(.99), milliseconds, func(sample) float64 { return .001 }, "no requests", false},
		{"Cache hit rate", hitRate, percent, one, "no lookups", false},
		{"Watermark age", watermarkAge, milliseconds, func(sample) float64 { return .25 }, "no lookups in Redis", false},
		{"Redis breaker", func(_, now sample) float64 { return map[bool]float64{true: 1}[now.Cache.BreakerOpen] }, breaker, one, "", false},
		{"PostgreSQL connections", count(func(s sample) int { return s.Pool.InUse }), whole, pool, "", true},
		{"Waiting statements", count(func(s sample) int { return s.Pool.Waiting }), whole, one, "", false},
		{"Requests in flight", count(func(s sample) int { return s.Limits.Inside }), whole, capacity, "", true},
		{"Waiting requests", count(func(s sample) int { return s.Limits.Waiting }), whole, one, "", false},
	}
}

// charts draws the samples, of which there is at least one.
func charts(samples []sample) []chart {
	var all []chart
	for _, c := range curves() {
		all = append(all, c.draw(samples))
	}
	return all
}

func (c curve) draw(samples []sample) chart {
	last := samples[len(samples)-1]
	top, values := c.top(last), make([]float64, len(samples))
	for i, s := range samples {
		values[i] = c.of(samples[max(0, i-1)], s)
		switch {
		case math.IsInf(values[i], 1):
			top = max(top, last.took.Bound(len(last.took)-2))
		case !math.IsNaN(values[i]):
			top = max(top, values[i])
		}
	}
	text := c.none
	switch value := values[len(values)-1]; {
	case !math.IsNaN(value):
		text = c.text(value)
		if c.most {
			text += " of " + c.text(c.top(last))
		}
	case len(samples) == 1:
		text = "not known yet"
	}
	return chart{Name: c.name, Value: text, Scale: c.text(0) + " to " + c.text(top), Path: pathOf(samples, values, top)}
}

// pathOf draws a line through values, from 0 to top. It has a gap where there is no value.
func pathOf(samples []sample, values []float64, top float64) string {
	var b strings.Builder
	last, drawn := samples[len(samples)-1].at, false
	for i, v := range values {
		if math.IsNaN(v) {
			drawn = false
			continue
		}
		x := chartWidth - chartMargin - (chartWidth-2*chartMargin)*float64(last.Sub(samples[i].at))/float64(window)
		y := chartHeight - chartMargin - (chartHeight-2*chartMargin)*min(1, v/max(top, math.SmallestNonzeroFloat64))
		if !drawn {
			fmt.Fprintf(&b, "M%.1f %.1fh0", x, y) // h0 makes a single point visible
		} else {
			fmt.Fprintf(&b, "L%.1f %.1f", x, y)
		}
		drawn = true
	}
	return b.String()
}

// rate returns the requests per second.
func rate(before, now sample) float64 {
	return float64(now.requests-before.requests) / now.at.Sub(before.at).Seconds() // 0/0 is NaN
}

// hitRate returns the part of the lookups that Redis or this process served, from 0 to 1.
func hitRate(before, now sample) float64 {
	served, all := lookups(now.Cache)
	servedBefore, allBefore := lookups(before.Cache)
	return float64(served-servedBefore) / float64(all-allBefore) // 0/0 is NaN
}

func lookups(s cache.Stats) (served, all uint64) {
	served = s.Hits + s.MemoryHits
	return served, served + s.Misses + s.Untrusted + s.Bypassed
}

// watermarkAge is not known if there was no lookup in Redis since the sample before.
func watermarkAge(before, now sample) float64 {
	asked := func(s cache.Stats) uint64 { return s.Hits + s.Misses + s.Untrusted }
	if asked(now.Cache) == asked(before.Cache) {
		return math.NaN()
	}
	return now.Cache.WatermarkAge.Seconds()
}

// milliseconds writes a duration in seconds with about three digits. +Inf is beyond the last bound of the histogram, 1 s.
func milliseconds(seconds float64) string {
	if math.IsInf(seconds, 1) {
		return "over 1 s"
	}
	return decimal(seconds*float64(time.Second/time.Millisecond)) + " ms"
}

// decimal writes about three digits.
func decimal(v float64) string {
	digits := 2
	switch {
	case v >= 100 || v == math.Trunc(v):
		digits = 0
	case v >= 10:
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

func whole(v float64) string { return strconv.FormatFloat(v, 'f', 0, 64) }

func percent(v float64) string { return whole(math.Floor(v*100)) + " %" } // rounded down: 100 % means all

func breaker(v float64) string {
	if v > 0 {
		return "open"
	}
	return "closed"
}
