package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// section judges the counts of the phases of runStaleness. n is how many reads of each kind the goals need.
func (l *load) section(i *injector, phases []*phase, n int) (section, error) {
	s := section{title: "Staleness"}
	calm, partial, all := phases[0].tally, phases[1].tally, phases[2].tally
	faulty := partial.all()
	faulty.merge(all.all())
	quiet := calm.all()
	s.add(fmt.Sprintf("reads staler than %v, at least %s reads with faults", bound, thousands(n)), "0",
		fmt.Sprintf("%d of %s%s, the worst %v, under %d faults", faulty.over, thousands(faulty.n), tooFew(faulty.n, n), ms(faulty.worst), len(i.events)),
		faulty.over == 0 && faulty.n >= n)
	s.add(fmt.Sprintf("reads staler than %v, without faults", bound), "0",
		fmt.Sprintf("%d of %s, the worst %v", quiet.over, thousands(quiet.n), ms(quiet.worst)), quiet.over == 0)
	p99 := calm.users.quantile(0.99)
	s.add("p99 of the staleness of users, which the web application changes, without faults", fmt.Sprintf("at most %v", p99Bound),
		fmt.Sprintf("%v over %s reads", p99, thousands(calm.users.n)), p99 <= p99Bound && calm.users.n > 0)
	own, behind := calm.own.n+partial.own.n, calm.own.stale+partial.own.stale
	s.add("reads behind a write that the same process had acknowledged, without a failover of Redis", "0 of "+thousands(n),
		fmt.Sprintf("%d of %s%s", behind, thousands(own), tooFew(own, n)), behind == 0 && own >= n)
	s.add("reads behind a write that the other process had acknowledged, without faults", "0",
		fmt.Sprintf("%d of %s, the worst %v (with faults that kept deletions from Redis: %d of %s, the worst %v)", calm.others.stale,
			thousands(calm.others.n), ms(calm.others.worst), partial.others.stale, thousands(partial.others.n), ms(partial.others.worst)),
		calm.others.stale == 0)
	l.addFailures(&s, i.events, calm)
	invented := calm.invented + partial.invented + all.invented
	s.add("answers with a version that no writer wrote", "0", fmt.Sprint(invented), invented == 0)
	l.addDetails(&s, i, phases)
	return s, l.addFigures(&s, i, phases)
}

// addFailures reports the failed requests by the kind of fault.
func (l *load) addFailures(s *section, events []event, calm *tally) {
	other, quiet, wrong, excused := 0, 0, 0, 0
	codes, first := map[string]int{}, ""
	for _, f := range l.failures {
		if f.began < calm.from {
			continue
		}
		codes[f.code]++
		switch {
		case !during(f, events, postgresFault):
			other++
			if f.began < calm.to {
				quiet++
			}
			if first == "" {
				first = fmt.Sprintf("The first one that failed without a fault of PostgreSQL: at %.1f s, after %v: %s", f.began.Seconds(), ms(f.ended-f.began), f.text)
			}
		case strings.HasPrefix(f.code, "unavailable"):
			excused++
		default:
			wrong++
		}
	}
	s.add("requests that failed without a fault of PostgreSQL, faults of Redis included", "0",
		fmt.Sprintf("%d, %d of them without any fault", other, quiet), other == 0)
	s.add("requests that failed at a restart or crash of PostgreSQL with another code than unavailable", "0",
		fmt.Sprintf("%d; %s were unavailable", wrong, thousands(excused)), wrong == 0)
	var lines []string
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		lines = append(lines, fmt.Sprintf("%s: %s", code, thousands(codes[code])))
	}
	if lines != nil {
		s.note("Failed requests by code: %s.", strings.Join(lines, ", "))
	}
	if first != "" {
		s.note("%s", first)
	}
}

// during reports whether a request ran during a fault of that kind, or shortly after.
func during(f failure, events []event, k faultKind) bool {
	return slices.ContainsFunc(events, func(e event) bool {
		return e.kind == k && f.ended >= e.from && f.began <= e.to+recovery
	})
}

func (l *load) addDetails(s *section, i *injector, phases []*phase) {
	s.note("%d readers, %d writers through the service and %d writers of the web application use %d users and %d characters through %d processes. "+
		"The staleness of a read is the time from the acknowledgment of a newer version to the start of the read, by the harness's clock, "+
		"and 0 if its version was the newest. The web application writes users directly; the service writes characters by "+
		"SaveCharacter. A third of the reads of characters are lists. A read is behind a write if it was sent after the answer to SaveCharacter and "+
		"returned an older version. In the process that wrote, this must never happen. If Redis was unreachable during the write, "+
		"it may happen in the other process for up to %v; after a failover of Redis that lost the deletion, in both.", readers, writers, writers, entities, entities, len(l.processes), bound)
	rows := [][]string{}
	for _, p := range phases {
		a := p.all()
		rows = append(rows, []string{p.name, fmt.Sprintf("%.0f", (p.to - p.from).Seconds()), thousands(a.n),
			percent(p.users.stale, p.users.n), fmt.Sprintf("%v / %v", p.users.quantile(0.99), ms(p.users.worst)),
			percent(p.characters.stale, p.characters.n), fmt.Sprintf("%v / %v", p.characters.quantile(0.99), ms(p.characters.worst)),
			fmt.Sprint(p.own.stale), fmt.Sprintf("%d (%v)", p.others.stale, ms(p.others.worst)),
			thousands(p.updates), thousands(p.saves)})
	}
	s.table([]string{"phase", "s", "reads", "users stale", "p99 / worst", "characters stale", "p99 / worst",
		"behind, same process", "behind, other process (worst)", "updates", "saves"}, rows)
	counts := map[string]int{}
	for _, e := range i.events {
		counts[e.name]++
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		lines = append(lines, fmt.Sprintf("%s %d", name, counts[name]))
	}
	if lines != nil {
		s.note("Faults: %s.", strings.Join(lines, ", "))
	}
}

// ms rounds to 1 ms.
func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

func percent(n, of int) string {
	return fmt.Sprintf("%.2f %%", 100*float64(n)/math.Max(float64(of), 1))
}

// tooFew explains a missed goal if the count is too low.
func tooFew(n, goal int) string {
	if n < goal {
		return " (too few)"
	}
	return ""
}

// thousands formats 1234567 as 1,234,567.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
