package main

func (x *explorer) syncBegin(s *state, i int) {
	other := *s // another reader is syncing: a lock would only make this rarer
	x.synced(&other, i, false, stepSyncLost)
	x.add(other, stepSyncLost.of(i))

	t := *s
	r := &t.readers[i]
	n := &t.nodes[r.node]
	if now := x.clock(s, r.node); n.marked == 1 && n.t <= now && now-n.t < syncAge {
		x.synced(&t, i, true, stepSyncBegin)
	} else {
		r.foundMark, r.foundT, r.foundSeen, r.foundEpoch = n.marked, n.t, n.seen, n.epoch
		r.clock, r.pc = now, syncSnapshot
	}
	x.add(t, stepSyncBegin.of(i))
}

func (x *explorer) syncSnapshot(s *state, i int) {
	t := *s
	r := &t.readers[i]
	r.seen = s.db.committed
	r.touched = x.named(&s.db, r.foundSeen)
	r.pc = syncApply
	if x.world.postgresFails && r.node != s.db.line && x.bug != bugNoTimeline {
		t.known[x.process(i)] = s.db.line // the next read uses its names
		r.fresh, r.hit = 0, 0
		x.synced(&t, i, false, stepSyncSnapshot)
	}
	x.add(t, stepSyncSnapshot.of(i))
}

func (x *explorer) syncApply(s *state, i int) {
	t := *s
	node := t.readers[i].node
	x.synced(&t, i, x.apply(&t, i, x.clock(s, node)), stepSyncApply)
	x.add(t, stepSyncApply.of(i))
}

// named is 1 if the change log's row has a transaction that the earlier snapshot did not see.
func (x *explorer) named(db *database, before uint8) uint8 {
	if db.lastXid == none {
		return 0
	}
	seen := before&(1<<db.lastXid) != 0
	if x.bug == bugMaxXid {
		seen = before>>db.lastXid != 0 // a transaction of that or a higher id
	}
	if seen {
		return 0
	}
	return 1
}

// apply is the script at the end of a sync. It returns false if it did nothing.
func (x *explorer) apply(t *state, i int, now uint8) bool {
	r := &t.readers[i]
	n := &t.nodes[r.node]
	unmoved := n.marked == r.foundMark && (n.marked == 0 || n.seen == r.foundSeen)
	if !unmoved && x.bug != bugNoCompare {
		return false
	}
	epoch := r.foundEpoch
	if r.foundMark == 0 {
		epoch = x.newEpoch(t)
	} else if r.touched == 1 {
		x.delete(n)
	}
	n.marked, n.t, n.seen, n.epoch = 1, r.clock, r.seen, epoch
	if x.bug == bugClockAfterSnapshot {
		n.t = now
	}
	return true
}

// newEpoch returns an epoch that was never used; in the code it is random. It makes every older value and lease worthless.
func (x *explorer) newEpoch(t *state) uint8 {
	if x.bug == bugKeepEpoch {
		return 0
	}
	t.nextEpoch++
	return t.nextEpoch
}

// delete is DEL: it removes the value and the lease.
func (x *explorer) delete(n *node) {
	n.held, n.valueEpoch, n.value = 0, 0, 0
	if x.bug != bugKeepLease {
		n.lease, n.leaseEnd = none, 0
	}
}

// synced goes on after this reader's sync: with the lookup if it is still fresh, with a second lookup, or without the cache.
func (x *explorer) synced(s *state, i int, ok bool, by step) {
	r := &s.readers[i]
	r.foundMark, r.foundT, r.foundSeen, r.foundEpoch = 0, 0, 0, 0
	r.clock, r.seen, r.touched = 0, 0, 0
	switch {
	case r.fresh == 1 && (s.now <= r.until || x.bug == bugOldLookup):
		if r.hit == 1 {
			x.check(s, r, r.value, by.of(i))
		}
		x.decide(s, r, i)
	case ok:
		r.again, r.fresh, r.hit, r.until, r.value, r.pc = 1, 0, 0, 0, 0, x.firstLookup()
	default:
		r.fresh, r.hit, r.until, r.value, r.pc = 0, 0, 0, 0, load
	}
}
