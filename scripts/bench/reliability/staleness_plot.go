package main

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot/plotter"
)

func (l *load) addFigures(s *section, i *injector, phases []*phase) error {
	f, err := distribution(phases)
	if err != nil {
		return err
	}
	over, err := l.overTime(i.events)
	if err != nil {
		return err
	}
	s.figures = append(s.figures, f, over)
	return nil
}

// distribution plots, for each age, the share of the reads that were staler.
func distribution(phases []*phase) (figure, error) {
	f := newFigure("staleness", "Staleness of reads", "staleness (ms)", "share of the reads that were staler")
	p := float64(bound.Milliseconds())
	least, most := -1.0, p*1.4 // leaves room for the legend
	for n, phase := range phases {
		for k, a := range []*ages{&phase.users, &phase.characters} {
			points := a.exceeded()
			if err := f.line([]string{"users, ", "characters, "}[k]+[]string{"no faults", "no failover", "all faults"}[n], points, palette(2*n+k)); err != nil {
				return f, err
			}
			if len(points) > 0 {
				last := points[len(points)-1]
				least, most = min(least, last.Y), max(most, last.X)
			}
		}
	}
	err := f.vertical(fmt.Sprintf("bound, %v", bound), p, least, 0, color.Black)
	f.logarithmic(least, 0)
	f.plot.X.Min, f.plot.X.Max = 0, most
	return f, err
}

// exceeded returns, for each millisecond, the decimal logarithm of the share of the answers that were older.
func (a *ages) exceeded() (points plotter.XYs) {
	left := a.stale
	for i, n := range a.ms {
		points = append(points, plotter.XY{X: float64(i), Y: math.Log10(float64(left) / float64(a.n))})
		left -= n
	}
	return points
}

// overTime plots the maximum staleness in each slice of time, and the faults above it.
func (l *load) overTime(events []event) (figure, error) {
	f := newFigure("staleness-time", "Maximum staleness in each 0.1 s, and the faults", "time (s)", "staleness (ms)")
	f.plot.Legend.Left, f.plot.Legend.XOffs = true, 10
	p := float64(bound.Milliseconds())
	top, points := p, make(plotter.XYs, len(l.timeline))
	for i, age := range l.timeline {
		points[i] = plotter.XY{X: float64(i) * slice.Seconds(), Y: float64(age.Milliseconds())}
		top = max(top, points[i].Y)
	}
	if err := f.line("maximum", points, palette(0)); err != nil {
		return f, err
	}
	end := float64(len(l.timeline)) * slice.Seconds()
	if err := f.line(fmt.Sprintf("bound, %v", bound), plotter.XYs{{X: 0, Y: p}, {X: end, Y: p}}, color.Black); err != nil {
		return f, err
	}
	for kind, name := range []string{"Redis fault", "Redis failover", "PostgreSQL fault"} {
		var times []float64
		for _, e := range events {
			if e.kind == faultKind(kind) {
				times = append(times, e.from.Seconds())
			}
		}
		if err := f.marks(name, times, top*(1.08+0.08*float64(kind)), palette(1+kind)); err != nil {
			return f, err
		}
	}
	f.plot.Y.Min, f.plot.Y.Max = 0, top*1.7 // leaves room for the legend
	return f, nil
}
