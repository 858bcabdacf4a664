package main

import (
	"fmt"
	"slices"
)

func cpuSection(variants []*variant, o options) (section, error) {
	s := section{
		title: "Server CPU per request",
		head: []string{"path", "to the constant", "quartiles", "quiet", "to its base", "quiet", "base", "goal", "", "allocations", "bytes",
			"us (drifts)", "misses in all"},
	}
	byName := map[string]*variant{}
	for _, v := range variants {
		byName[v.name] = v
	}
	missed := false
	for _, v := range variants {
		toConstant := ratios(v, byName[constantVariant])
		goal, verdict, toBase, quietToBase := "", "", "", ""
		against := median(toConstant)
		if b := byName[v.base]; b != nil {
			against = median(ratios(v, b))
			toBase, quietToBase = fmt.Sprintf("%.2f", against), fmt.Sprintf("%.2f", v.quiet()/b.quiet())
		}
		if v.goal > 0 {
			goal, verdict = fmt.Sprintf("%.2f", v.goal), held(against <= v.goal)
			missed = missed || against > v.goal
		}
		s.row(v.name, fmt.Sprintf("%.2f", median(toConstant)),
			fmt.Sprintf("%.2f to %.2f", quantile(toConstant, 0.25), quantile(toConstant, 0.75)),
			fmt.Sprintf("%.2f", v.quiet()/byName[constantVariant].quiet()), toBase, quietToBase, v.base, goal, verdict,
			fmt.Sprintf("%.0f", median(v.all(func(s slice) float64 { return s.mallocs }))),
			fmt.Sprintf("%.0f", median(v.all(func(s slice) float64 { return s.bytes }))),
			fmt.Sprintf("%.1f", median(v.all(func(s slice) float64 { return s.micros }))),
			fmt.Sprintf("%.0f", sum(v.all(func(s slice) float64 { return s.misses }))))
	}
	s.note("User and system time of the server process, in slices of %d requests on %d connections, %d slices of each path, interleaved. "+
		"The plain Twirp handlers run in another process, with the settings of Go that a plain program has. A ratio is the median over the rounds of the ratio within a round. The quiet ratio compares the first quartiles of the slices, "+
		"which other load on the machine affects least.", o.requests, o.connections, o.rounds)
	if missed {
		return s, errMissed
	}
	return s, nil
}

// ratios compares two variants round by round.
func ratios(v, base *variant) []float64 {
	r := make([]float64, len(v.slices))
	for i := range r {
		r[i] = v.slices[i].micros / base.slices[i].micros
	}
	return r
}

// quiet is the CPU time of the slices that other load affected least, in microseconds per request.
func (v *variant) quiet() float64 {
	return quantile(v.all(func(s slice) float64 { return s.micros }), 0.25)
}

func (v *variant) all(of func(slice) float64) []float64 {
	var all []float64
	for _, s := range v.slices {
		all = append(all, of(s))
	}
	return all
}

func sum(all []float64) (total float64) {
	for _, f := range all {
		total += f
	}
	return total
}

func median(all []float64) float64 { return quantile(all, 0.5) }

func quantile(all []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}
