package main

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"os"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

const (
	plotWidth  = 9 * vg.Inch
	plotHeight = 3.5 * vg.Inch
)

// figure is a plot of the report. Its file is reliability-<name>.svg.
type figure struct {
	name, title string
	plot        *plot.Plot
}

// palette returns colors that are easy to distinguish on white.
func palette(i int) color.Color {
	colors := []color.RGBA{
		{0x1f, 0x77, 0xb4, 0xff}, {0xd6, 0x27, 0x28, 0xff}, {0x2c, 0xa0, 0x2c, 0xff}, {0xff, 0x7f, 0x0e, 0xff}, {0x94, 0x67, 0xbd, 0xff},
		{0x8c, 0x56, 0x4b, 0xff}, {0xe3, 0x77, 0xc2, 0xff}, {0x17, 0xbe, 0xcf, 0xff}, {0xbc, 0xbd, 0x22, 0xff}, {0x7f, 0x7f, 0x7f, 0xff},
	}
	return colors[i%len(colors)]
}

// newFigure returns an empty plot on white. The labels of the axes contain units.
func newFigure(name, title, x, y string) figure {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	for _, s := range []*text.Style{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle,
		&p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle} {
		s.Font = sans(s.Font.Size)
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(roundTicks), plot.TickerFunc(roundTicks)
	p.Title.Padding, p.Legend.Top, p.Legend.Padding = vg.Points(6), true, vg.Points(2)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{0xe0}, color.Gray{0xe0}
	p.Add(grid)
	return figure{name: name, title: title, plot: p}
}

// roundTicks returns about eight ticks at round numbers.
func roundTicks(least, most float64) (ticks []plot.Tick) {
	step := math.Pow(10, math.Floor(math.Log10((most-least)/8)))
	for _, factor := range []float64{2, 5, 10} {
		if (most-least)/step > 10 {
			step = math.Pow(10, math.Floor(math.Log10((most-least)/8))) * factor
		}
	}
	for n := math.Ceil(least / step); n*step <= most; n++ {
		ticks = append(ticks, plot.Tick{Value: n * step, Label: strconv.FormatFloat(n*step, 'g', 6, 64)})
	}
	return ticks
}

// logarithmic labels the y axis with powers of ten, for points whose y is a decimal logarithm. (The logarithmic scale of
// the library puts the margin for the labels in the wrong place.)
func (f figure) logarithmic(least, most float64) {
	f.plot.Y.Min, f.plot.Y.Max = least, most
	f.plot.Y.Tick.Marker = plot.TickerFunc(func(least, most float64) (ticks []plot.Tick) {
		for e := math.Ceil(least); e <= most; e++ {
			ticks = append(ticks, plot.Tick{Value: e, Label: strconv.FormatFloat(math.Pow(10, e), 'g', 6, 64)})
		}
		return ticks
	})
}

func sans(size vg.Length) font.Font {
	return font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, size)
}

// line adds a line. If name is empty, the legend does not contain it.
func (f figure) line(name string, points plotter.XYs, c color.Color) error {
	if len(points) == 0 {
		return nil
	}
	l, err := plotter.NewLine(points)
	if err != nil {
		return fmt.Errorf("plot %s, line %s: %w", f.name, name, err)
	}
	l.Color, l.Width = c, vg.Points(1.2)
	f.plot.Add(l)
	if name != "" {
		f.plot.Legend.Add(name, l)
	}
	return nil
}

// vertical adds a dashed vertical line at x.
func (f figure) vertical(name string, x, bottom, top float64, c color.Color) error {
	l, err := plotter.NewLine(plotter.XYs{{X: x, Y: bottom}, {X: x, Y: top}})
	if err != nil {
		return fmt.Errorf("plot %s, line %s: %w", f.name, name, err)
	}
	l.Color, l.Width, l.Dashes = c, vg.Points(0.8), []vg.Length{vg.Points(3), vg.Points(2)}
	f.plot.Add(l)
	if name != "" {
		f.plot.Legend.Add(name, l)
	}
	return nil
}

// marks adds a small mark at y for each x.
func (f figure) marks(name string, xs []float64, y float64, c color.Color) error {
	if len(xs) == 0 {
		return nil
	}
	points := make(plotter.XYs, len(xs))
	for i, x := range xs {
		points[i] = plotter.XY{X: x, Y: y}
	}
	m, err := plotter.NewScatter(points)
	if err != nil {
		return fmt.Errorf("plot %s, marks %s: %w", f.name, name, err)
	}
	m.GlyphStyle = draw.GlyphStyle{Color: c, Radius: vg.Points(2), Shape: draw.PyramidGlyph{}}
	f.plot.Add(m)
	f.plot.Legend.Add(name, m)
	return nil
}

func (f figure) save(file string) error {
	c := vgsvg.New(plotWidth, plotHeight)
	f.plot.Draw(draw.New(c))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return fmt.Errorf("plot %s: %w", f.name, err)
	}
	// The reader's machine may lack this font. The letters of the other fonts have nearly the same widths.
	svg := bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif"))
	return os.WriteFile(file, svg, 0o644) // a report that anyone may read
}
