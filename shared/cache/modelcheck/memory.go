package main

// memory is the tier in one process. A ticket is valid as long as no sync has named the entity and no era has begun: that
// stands for the numbers of syncs and eras in the code.
type memory struct {
	held, value uint8
	// The position: when its sync began, its snapshot, the timeline of its era, and gaps, the time up to which names may be
	// missing.
	placed, began, seen, line, gaps uint8
	named, namedAt                  uint8 // whether a sync has named the entity, and when

	// The sync that is under way, and when the last one began.
	pc, newBegan, newSeen, touched, newLine, now, tried, lastBegan uint8
}

// What the sync of a process does next.
const (
	memoryIdle = iota
	memorySnapshot
	memoryApply
	memoryDelete // only if the position is published first
)

// namesKept is for how many ticks a process remembers names. It is more in the code; any number must do.
const namesKept = 1

func (x *explorer) firstInMemory() uint8 {
	if x.bug == bugMemoryValueFirst {
		return memoryValue
	}
	return memoryPosition
}

// readInMemory takes the next step of a read with the tier in the process.
func (x *explorer) readInMemory(s *state, i int) {
	switch s.readers[i].pc {
	case takeTicket:
		x.takeTicket(s, i)
	case askServers:
		x.askServers(s, i)
	case memoryFill:
		x.memoryFill(s, i)
	default:
		x.memoryLookup(s, i)
	}
}

// memoryLookup reads the position, the value and the clock. Each is one step.
func (x *explorer) memoryLookup(s *state, i int) {
	t := *s
	r := &t.readers[i]
	m := &t.memory
	switch r.pc {
	case memoryPosition:
		r.position, r.positionAge = m.placed, m.began
		if x.bug == bugMemoryClockFirst {
			r.positionAge = s.now - m.began
		}
		r.pc = memoryValue
		if x.bug == bugMemoryValueFirst {
			r.pc = memoryClock
		}
		x.add(t, stepPosition.of(i))
	case memoryValue:
		r.kept, r.keptValue = m.held, m.value
		r.pc = memoryClock
		if x.bug == bugMemoryValueFirst {
			r.pc = memoryPosition
		}
		x.add(t, stepKept.of(i))
	case memoryClock:
		age := s.now - r.positionAge
		if x.bug == bugMemoryClockFirst {
			age = r.positionAge
		}
		young := age <= staleness || x.bug == bugMemoryNoAge
		hit, value := r.kept == 1 && r.position == 1 && young, r.keptValue
		r.kept, r.keptValue, r.position, r.positionAge = 0, 0, 0, 0
		r.pc = takeTicket
		if hit {
			x.check(s, r, value, stepKeptClock.of(i))
			r.end()
		}
		x.add(t, stepKeptClock.of(i))
	}
}

// takeTicket begins a search in the servers. A process has one such search for a key; the other reader waits, and then looks
// into the process again.
func (x *explorer) takeTicket(s *state, i int) {
	for j := range s.readers {
		if pc := s.readers[j].pc; j != i && (pc == askServers || pc == memoryFill) {
			return
		}
	}
	t := *s
	t.readers[i].ticket, t.readers[i].pc = t.memory.placed, askServers
	x.add(t, stepTicket.of(i))
}

// askServers gets the version that the database has, or one that Redis may have: see checkWatermark. Redis serves under a
// watermark that is not too old by its clock.
func (x *explorer) askServers(s *state, i int) {
	x.got(s, i, s.db.current, fresh, s.db.line, stepAskDatabase)
	for age := range staleness + x.world.behind + 1 {
		at := s.now - age
		if age > s.now {
			return
		}
		for version := range s.db.versions + 1 {
			if gone := s.db.gone[version]; version != s.db.current && (gone == none || gone < at) {
				continue
			}
			if at <= s.db.promoted || s.db.line == 0 {
				x.got(s, i, version, databaseClock(at, 0), 0, stepAskRedis)
			}
			if at >= s.db.promoted && s.db.line == 1 && version != s.db.lost {
				x.got(s, i, version, databaseClock(at, 1), 1, stepAskRedis)
			}
		}
	}
}

// databaseClock is the clock of the server of a timeline. The one that was promoted is behind.
func databaseClock(at, line uint8) uint8 { return at + 1 - line }

// got answers with a version under the names of a timeline. With a ticket the process may keep it.
func (x *explorer) got(s *state, i int, version, asOf, line uint8, by step) {
	t := *s
	r := &t.readers[i]
	if r.ticket == 0 {
		r.end()
	} else {
		*r = reader{left: r.left, node: line, ticket: 1, pc: memoryFill, loaded: version, asOf: asOf}
	}
	x.add(t, by.of(i))
}

func (x *explorer) memoryFill(s *state, i int) {
	t := *s
	r := &t.readers[i]
	m := &t.memory
	if r.ticket == 1 && m.placed == 1 && x.allows(m, r) {
		m.held, m.value = 1, r.loaded
	}
	r.end()
	x.add(t, stepKeep.of(i))
}

// allows reports whether the value lacks no change that the process's syncs have named.
func (x *explorer) allows(m *memory, r *reader) bool {
	if r.asOf == fresh {
		return true
	}
	if x.world.postgresFails && r.node != m.line && x.bug != bugMemoryFillOfOther {
		return false
	}
	return (r.asOf > m.gaps || x.bug == bugMemoryYoungPosition) &&
		(m.named == 0 || r.asOf > m.namedAt || x.bug == bugMemoryNamesIgnored)
}

// memorySync takes the next step of a process's own sync. It begins at most once in a tick.
func (x *explorer) memorySync(s *state) {
	t := *s
	m := &t.memory
	switch m.pc {
	case memoryIdle:
		if m.tried == 1 && m.lastBegan == s.now {
			return
		}
		m.pc, m.newBegan, m.tried, m.lastBegan = memorySnapshot, s.now, 1, s.now
		x.add(t, stepMemoryBegin)
	case memorySnapshot:
		m.pc, m.newSeen, m.newLine, m.now = memoryApply, s.db.committed, s.db.line, databaseClock(s.now, s.db.line)
		m.touched = x.named(&s.db, m.seen)
		x.add(t, stepMemorySnapshot)
		if x.world.syncFails && s.faults > 0 {
			t = *s
			t.faults--
			x.memoryForget(&t)
			x.add(t, stepMemoryFails)
		}
	case memoryApply:
		x.memoryApply(&t)
		x.add(t, stepMemoryApply)
	case memoryDelete:
		m.held, m.value, m.pc = 0, 0, memoryIdle
		x.add(t, stepMemoryDelete)
	}
}

// memoryForget is what a failed sync does.
func (x *explorer) memoryForget(t *state) {
	m := &t.memory
	kept := *m
	*m = memory{tried: 1, lastBegan: m.lastBegan}
	if x.bug == bugMemoryKeptAfterError {
		m.held, m.value = kept.held, kept.value
	}
	if x.bug != bugMemoryOldTicket {
		x.endTickets(t)
	}
}

func (x *explorer) endTickets(t *state) {
	for i := range t.readers {
		t.readers[i].ticket = 0
	}
}

// memoryApply deletes what the sync has named, or forgets everything, and publishes the new position.
func (x *explorer) memoryApply(t *state) {
	m := &t.memory
	next := memory{
		held: m.held, value: m.value, placed: 1, began: m.newBegan, seen: m.newSeen, line: m.newLine,
		gaps: m.gaps, named: m.named, namedAt: m.namedAt, tried: 1, lastBegan: m.lastBegan,
	}
	if x.bug == bugMemoryBeginsLate {
		next.began = t.now
	}
	switch {
	case m.placed == 0 || m.line != m.newLine && x.bug != bugMemoryOtherDatabase:
		next.gaps, next.named, next.namedAt = m.now, 0, 0
		if x.bug != bugMemoryKeptAfterError {
			next.held, next.value = 0, 0
		}
		if x.bug != bugMemoryOldTicket {
			x.endTickets(t)
		}
	case m.touched == 1:
		x.memoryName(t, &next)
	case m.named == 1 && m.now >= m.namedAt+namesKept:
		next.named, next.namedAt = 0, 0
		if x.bug != bugMemoryNamesForgotten {
			next.gaps = max(next.gaps, m.now-namesKept)
		}
	}
	*m = next
}

func (x *explorer) memoryName(t *state, next *memory) {
	next.named, next.namedAt = 1, t.memory.now
	if x.bug == bugMemoryPublishFirst {
		next.pc = memoryDelete
	} else {
		next.held, next.value = 0, 0
	}
	if x.bug != bugMemoryNoTicket {
		x.endTickets(t)
	}
}
