package main

import (
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

// bucket is the time that one point of a plot covers.
const bucket = 50 * time.Millisecond

// moment is an event during a stream.
type moment struct {
	name string
	at   time.Duration
}

// overTime plots the latency of requests by the time at which they were due, from 1 s before the first moment on.
func (ts timings) overTime(name, title string, moments ...moment) (figure, error) {
	const before, bottom, top = time.Second, 0.2, 20_000 // room for the legend
	f := newFigure(name, title, "time since the "+moments[0].name+" (s)", "latency (ms)")
	f.plot.Y.Scale, f.plot.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	zero, last := moments[0].at, ts[len(ts)-1].at
	var p50, p99, worst, failed plotter.XYs
	for at := zero - before; at < last; at += bucket {
		all := ts.between(at, at+bucket)
		if len(all) == 0 {
			continue
		}
		add := func(points *plotter.XYs, took time.Duration) {
			*points = append(*points, plotter.XY{X: (at + bucket/2 - zero).Seconds(), Y: max(took.Seconds()*1000, bottom)})
		}
		add(&p50, all.quantile(0.5))
		add(&p99, ts.between(at-4*bucket, at+5*bucket).quantile(0.99)) // a bucket has too few requests for a p99
		add(&worst, all.worst())
		if n := all.failed(); n > 0 {
			add(&failed, all.failures().worst())
		}
	}
	return f, f.addLatencies(p50, p99, worst, failed, moments, bottom, top)
}

func (f figure) addLatencies(p50, p99, worst, failed plotter.XYs, moments []moment, bottom, top float64) error {
	for i, l := range []struct {
		name   string
		points plotter.XYs
	}{{"median", p50}, {"p99 over 0.45 s", p99}, {"maximum", worst}} {
		if err := f.line(l.name, l.points, palette([]int{2, 0, 3}[i])); err != nil {
			return err
		}
	}
	if len(failed) > 0 {
		s, err := plotter.NewScatter(failed)
		if err != nil {
			return err
		}
		s.Color = palette(1)
		f.plot.Add(s)
		f.plot.Legend.Add("maximum of the failed requests", s)
	}
	for i, m := range moments {
		if err := f.vertical(m.name, (m.at - moments[0].at).Seconds(), bottom, top, palette(4+i)); err != nil {
			return err
		}
	}
	f.plot.Y.Min, f.plot.Y.Max = bottom, top
	return nil
}

// failures returns the requests with a code.
func (ts timings) failures() (failed timings) {
	for _, t := range ts {
		if t.code != "" {
			failed = append(failed, t)
		}
	}
	return failed
}
