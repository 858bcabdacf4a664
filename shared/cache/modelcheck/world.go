package main

// write takes the next step of a transaction.
func (x *explorer) write(s *state, i int) {
	w := s.writers[i]
	if i != ownWriter && i > x.world.web || i == ownWriter && !x.world.own {
		return
	}
	t := *s
	switch w.pc {
	case unwritten:
		t.writers[i] = writer{begun, s.db.nextXid}
		t.db.nextXid++
		x.add(t, stepWriteBegin.of(i))
	case begun:
		t.commit(w.xid)
		t.writers[i].pc = done
		if i == ownWriter {
			t.writers[i].pc, t.own = committed, t.db.current
		}
		x.add(t, stepCommit.of(i))
	case committed:
		x.invalidate(s)
	case deleted:
		t.writers[i].pc, t.acked = done, s.own
		x.add(t, stepAnswer.of(i))
	}
}

// commit makes the transaction visible. A transaction gets its id at its first change, so the order of ids may differ from
// that of the commits.
func (s *state) commit(xid uint8) {
	db := &s.db
	db.committed1, db.lastXid1, db.value1 = db.committed, db.lastXid, db.current
	db.gone[db.current] = s.now
	db.versions++
	db.current = db.versions
	db.committed |= 1 << xid
	db.lastXid = xid
}

// invalidate is the DEL after an own commit, or what happens if it fails.
func (x *explorer) invalidate(s *state) {
	for _, node := range s.reachable() {
		t := *s
		x.delete(&t.nodes[node])
		if x.world.postgresFails {
			x.delete(&t.nodes[1]) // the entity has the fields of all databases
		}
		t.writers[ownWriter].pc = deleted
		x.add(t, stepDelete.of(ownWriter))
	}
	if x.world.failDelete && s.faults > 0 {
		t := *s
		t.faults--
		t.weak = max(t.weak, weakOthers)
		if x.bug != bugNoBypass {
			t.bypass[0] = s.now + staleness + 1
		}
		t.writers[ownWriter].pc = deleted
		x.add(t, stepDeleteFails.of(ownWriter))
	}
	if x.bug == bugAnswerBeforeDelete {
		t := *s
		t.acked = s.own
		x.add(t, stepAnswer.of(ownWriter))
	}
}

// faults adds what may happen to the servers.
func (x *explorer) faults(s *state) {
	if x.world.redisFails {
		x.replicate(s)
	}
	if s.faults == 0 {
		return
	}
	if x.world.lose {
		x.loseKeys(s)
	}
	if x.world.shared {
		x.useByAnotherDatabase(s)
	}
	if x.world.redisFails && s.primary == 0 {
		t := *s
		t.faults--
		t.primary, t.split, t.weak = 1, 1, weakAll
		x.add(t, stepFailover)
	}
	if x.world.postgresFails && s.db.versions > 0 && s.db.line == 0 {
		x.losePrimary(s)
	}
}

// useByAnotherDatabase is what another database's processes do to this database's entity of the same name.
func (x *explorer) useByAnotherDatabase(s *state) {
	t := *s
	t.faults--
	x.delete(&t.nodes[0])
	x.add(t, stepForeignDelete)
	if x.bug == bugSharedNames && s.nodes[0].marked == 1 {
		t = *s
		t.faults--
		n := &t.nodes[0]
		n.held, n.valueEpoch, n.value, n.lease, n.leaseEnd = 1, n.epoch, foreign, none, 0
		x.add(t, stepForeignFill)
	}
}

func (x *explorer) loseKeys(s *state) {
	for _, node := range s.reachable() {
		t := *s
		t.faults--
		n := &t.nodes[node]
		n.held, n.valueEpoch, n.value, n.lease, n.leaseEnd = 0, 0, 0, none, 0
		x.add(t, stepEvictEntity)
		t = *s
		t.faults--
		n = &t.nodes[node]
		n.marked, n.t, n.seen, n.epoch = 0, 0, 0, 0
		x.add(t, stepEvictMark)
		t = *s
		t.faults--
		t.nodes[node] = emptyNode()
		x.add(t, stepFlush)
	}
}

// replicate brings the replica up to date, or ends the time in which clients are connected to both nodes.
func (x *explorer) replicate(s *state) {
	t := *s
	switch {
	case s.primary == 0:
		t.nodes[1] = s.nodes[0]
		x.add(t, stepReplicate)
	case s.split == 1:
		t.split, t.nodes[0] = 0, emptyNode()
		for i := range t.readers {
			if r := &t.readers[i]; r.node == 0 && r.pc <= lookupTime && r.pc != idle {
				r.granted, r.pc = 0, load // its connection broke
			}
		}
		x.add(t, stepHeal)
	}
}

// losePrimary is a failover of PostgreSQL to a standby that lacks the last commit. The id of that transaction is used again.
func (x *explorer) losePrimary(s *state) {
	t := *s
	t.faults--
	db := &t.db
	lost := db.current
	db.committed, db.lastXid, db.current = db.committed1, db.lastXid1, db.value1
	db.gone[lost], db.gone[db.current] = s.now, none
	if x.world.memory {
		db.lost, db.promoted = lost, s.now
	}
	db.line++
	db.nextXid = 0
	for db.committed>>db.nextXid != 0 {
		db.nextXid++
	}
	for i := range t.writers {
		if t.writers[i].pc == begun {
			t.writers[i].pc = done // it was rolled back
		}
	}
	if s.own == lost {
		t.weak = weakAll
	}
	x.add(t, stepPromote)
}

func emptyNode() node { return node{lease: none} }
