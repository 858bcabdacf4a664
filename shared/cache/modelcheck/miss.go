package main

// lease is the script that begins a miss. Its token is the reader and its number of reads left, so each is unique.
func (x *explorer) lease(s *state, i int) {
	t := *s
	r := &t.readers[i]
	n := &t.nodes[r.node]
	now := x.clock(s, r.node)
	avoid := r.avoid
	r.pc, r.avoid = load, 0
	switch {
	case x.within(n.marked, n.t, now, staleness) == 0:
	case n.held == 1 && n.valueEpoch == n.epoch:
		if avoid == 0 {
			x.check(s, r, n.value, stepLease.of(i))
			x.checkWatermark(s, n.value, n.t, stepLease.of(i))
			r.end()
		}
	case n.lease != none && n.leaseEnd > now:
	default:
		n.held, n.valueEpoch, n.value = 0, 0, 0
		n.lease, n.leaseEnd = leaseToken(r, i), now+leaseTime
		r.granted, r.leaseEpoch = 1, n.epoch
	}
	x.add(t, stepLease.of(i))
}

func leaseToken(r *reader, i int) uint8 { return uint8(i)<<4 | r.left }

// load is the SELECT on the primary.
func (x *explorer) load(s *state, i int) {
	t := *s
	r := &t.readers[i]
	r.loaded, r.pc = s.db.current, fill
	if r.granted == 0 {
		r.end()
	}
	x.add(t, stepLoad.of(i))
	if x.world.sameProcess {
		x.join(s, i)
	}
}

// join shares the load of the process's other reader. To join a load that has not started equals an own load at that
// load's moment, so it needs no step.
func (x *explorer) join(s *state, i int) {
	for j := range s.readers {
		if other := &s.readers[j]; j != i && other.pc == fill && x.bug == bugJoinStarted {
			x.check(s, &s.readers[i], other.loaded, stepJoin.of(i))
			t := *s
			t.readers[i].end()
			x.add(t, stepJoin.of(i))
		}
	}
}

// fill is the script that ends a miss.
func (x *explorer) fill(s *state, i int) {
	t := *s
	r := &t.readers[i]
	n := &t.nodes[r.node]
	leased := n.lease == leaseToken(r, i) || x.bug == bugFillWithoutLease
	sameEpoch := n.marked == 1 && n.epoch == r.leaseEpoch || x.bug == bugFillWithoutEpoch
	if leased && sameEpoch {
		n.held, n.valueEpoch, n.value = 1, r.leaseEpoch, r.loaded
		if x.bug == bugFillWithoutEpoch {
			n.valueEpoch = n.epoch
		}
		n.lease, n.leaseEnd = none, 0
	}
	r.end()
	x.add(t, stepFill.of(i))
}
