package main

// What a reader or a writer does next.
const (
	idle = iota
	lookupMark
	lookupValue
	lookupTime
	syncBegin
	syncSnapshot
	syncApply
	takeLease
	load
	fill
	memoryPosition
	memoryValue
	memoryClock
	takeTicket
	askServers
	memoryFill
)

const (
	unwritten = iota
	begun
	committed
	deleted
	done
)

// successors adds every state that one step leads to. If no read is left, nothing more can go wrong.
func (x *explorer) successors(s *state) {
	if s.finished() {
		return
	}
	for i := range s.readers {
		x.read(s, i)
	}
	for i := range s.writers {
		x.write(s, i)
	}
	if x.world.memory {
		x.memorySync(s)
	}
	if s.now < x.world.ticks+x.world.behind {
		t := *s
		t.now++
		x.add(t, stepTick)
	}
	x.faults(s)
}

func (s *state) finished() bool {
	for i := range s.readers {
		if s.readers[i].pc != idle || s.readers[i].left > 0 {
			return false
		}
	}
	return true
}

// process returns the process of a reader. The own writer is in process 0.
func (x *explorer) process(reader int) int {
	if x.world.sameProcess {
		return 0
	}
	return reader
}

// clock is the clock of a node.
func (x *explorer) clock(s *state, node uint8) uint8 {
	if node == 1 {
		return s.now - x.world.behind
	}
	return s.now
}

// reachable returns the nodes that a client may be connected to.
func (s *state) reachable() []uint8 {
	if s.split == 1 {
		return []uint8{0, 1}
	}
	return []uint8{s.primary}
}

func (x *explorer) bypassed(s *state, reader int) bool { return s.now < s.bypass[x.process(reader)] }

// check is called when a read gets its value. That version must not have been replaced more than MaxStaleness ago, nor be
// older than a write that the reader must see. A replica whose clock is behind makes the watermark seem younger by as
// much, and reads staler.
func (x *explorer) check(s *state, r *reader, version uint8, by step) {
	if version == foreign {
		x.violate("a value of another database", by)
		return
	}
	if gone := s.db.gone[version]; version != s.db.current && gone != none && s.now > gone+staleness+x.world.behind {
		x.violate("a read staler than MaxStaleness", by)
	}
	if version < r.floor {
		x.violate("a read behind an acknowledged own write", by)
	}
}

// checkWatermark is called when Redis serves a version. It must be as new as the database was at the watermark's time: the
// tier in the process relies on that.
func (x *explorer) checkWatermark(s *state, version, t uint8, by step) {
	if version == foreign || version == s.db.current || x.world.behind > 0 {
		return
	}
	if gone := s.db.gone[version]; gone != none && gone < t {
		x.violate("a value older than its watermark", by)
	}
}

// end answers the caller.
func (r *reader) end() { *r = reader{left: r.left} }

func (x *explorer) read(s *state, i int) {
	switch s.readers[i].pc {
	case idle:
		x.begin(s, i)
	case lookupMark, lookupValue, lookupTime:
		x.lookup(s, i)
	case syncBegin:
		x.atEachNode(s, i, x.syncBegin)
	case syncSnapshot:
		x.syncSnapshot(s, i)
	case syncApply:
		x.atEachNode(s, i, x.syncApply)
	case takeLease:
		x.atEachNode(s, i, x.lease)
	case load:
		x.load(s, i)
	case fill:
		x.atEachNode(s, i, x.fill)
	default:
		x.readInMemory(s, i)
	}
}

// atEachNode takes a step on each node that the client may be connected to now. A read keeps the names that it began with.
func (x *explorer) atEachNode(s *state, i int, step func(*state, int)) {
	if x.world.postgresFails {
		t := *s
		step(&t, i)
		return
	}
	for _, node := range s.reachable() {
		t := *s
		t.readers[i].node = node
		step(&t, i)
	}
}

func (x *explorer) begin(s *state, i int) {
	if s.readers[i].left == 0 {
		return
	}
	if x.world.memory {
		t := *s
		t.readers[i].left--
		t.readers[i].pc = x.firstInMemory()
		x.add(t, stepBegin.of(i))
		return
	}
	nodes := s.reachable()
	if x.world.postgresFails {
		nodes = []uint8{s.known[x.process(i)]}
	}
	for _, node := range nodes {
		t := *s
		r := &t.readers[i]
		r.left--
		r.node, r.pc = node, x.firstLookup() // the lookup stays on one connection
		if bound := s.weak == 0 || s.weak == weakOthers && x.process(i) == 0; s.acked != none && bound {
			r.floor = s.acked
		}
		if x.bypassed(s, i) {
			r.pc = load
		}
		x.add(t, stepBegin.of(i))
	}
}

func (x *explorer) firstLookup() uint8 {
	if x.bug == bugValueFirst {
		return lookupValue
	}
	return lookupMark
}

// lookup takes the next step of a lookup: the watermark, the value, the clock, in this order on one connection. Each case
// is one step.
func (x *explorer) lookup(s *state, i int) {
	t := *s
	r := &t.readers[i]
	n := &t.nodes[r.node]
	switch r.pc {
	case lookupMark:
		r.marked, r.t, r.epoch = n.marked, n.t, n.epoch
		r.pc = lookupValue
		if x.bug == bugValueFirst {
			r.pc = lookupTime
		}
		x.add(t, stepLookupMark.of(i))
	case lookupValue:
		r.held, r.valueEpoch, r.value = n.held, n.valueEpoch, n.value
		r.pc = lookupTime
		if x.bug == bugValueFirst {
			r.pc = lookupMark
		}
		x.add(t, stepLookupValue.of(i))
	case lookupTime:
		x.lookedUp(s, r, i)
		x.add(t, stepLookupTime.of(i))
	}
}

// lookedUp reads the clock, and goes on with what the lookup has read.
func (x *explorer) lookedUp(s *state, r *reader, i int) {
	now := x.clock(s, r.node)
	r.fresh = x.within(r.marked, r.t, now, staleness)
	if r.held == 1 && r.valueEpoch == r.epoch && r.fresh == 1 {
		x.check(s, r, r.value, stepLookupTime.of(i))
		x.checkWatermark(s, r.value, r.t, stepLookupTime.of(i))
		r.hit = 1
	}
	if r.fresh == 1 {
		r.until = s.now + staleness - min(staleness, now-min(now, r.t))
	}
	young := x.within(r.marked, r.t, now, syncAge) == 1
	r.marked, r.t, r.epoch, r.held, r.valueEpoch = 0, 0, 0, 0, 0
	if r.hit == 0 {
		r.value = 0
	}
	if r.again == 1 || young {
		x.decide(s, r, i)
	} else {
		r.pc = syncBegin
	}
}

// within is 1 if the watermark is at most age old. A watermark from the future proves nothing.
func (x *explorer) within(marked, t, now, age uint8) uint8 {
	switch {
	case marked == 0:
		return 0
	case x.bug == bugNoAge:
		return 1
	case now < t:
		return 0
	case now-t > age:
		return 0
	}
	return 1
}

// decide goes on with the result of the lookup.
func (x *explorer) decide(s *state, r *reader, i int) {
	switch {
	case r.fresh == 0:
		r.pc = load
	case r.hit == 1:
		r.end()
		return
	default:
		r.pc = takeLease
		if x.bypassed(s, i) {
			r.avoid = 1
		}
	}
	r.again, r.fresh, r.until = 0, 0, 0
}
