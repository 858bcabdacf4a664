package main

// The clock of the model, in ticks. What matters is the order of the limits, which is that of the code.
const (
	staleness = 2 // P
	syncAge   = 1 // a reader drains from an age beyond this on
	leaseTime = 2
)

const (
	readers    = 2
	ownWriter  = 0 // the transactions: the service's own, and two of the web application
	writers    = 3
	maxCommits = writers
	none       = 0xff
)

// node is the cache's part of one Redis.
type node struct {
	marked                  uint8 // 1: there is a watermark
	t, seen, line, epoch    uint8 // of the watermark: clock, snapshot as a set of transaction ids, timeline, epoch
	held, valueEpoch, value uint8 // held 1: there is a value
	lease, leaseEnd         uint8 // the token, none
}

// reader is one read of the service on its way. What follows pc is what its process holds in memory.
type reader struct {
	pc, node uint8
	left     uint8 // reads to begin yet
	floor    uint8 // the version that the read must see at least

	// The look, what it proved, and whether it is the second one, after a drain.
	again, marked, t, epoch, held, valueEpoch, value, fresh, hit, until uint8

	// The drain: the watermark and the clock at its begin, then the snapshot, and whether the entity is named.
	foundMark, foundT, foundSeen, foundLine, foundEpoch, clock, seen, line, touched uint8

	// The miss.
	avoid, granted, leaseEpoch, loaded uint8 // avoid: what Redis has, for the process's bypass
}

// writer is one transaction.
type writer struct{ pc, xid uint8 }

// database is PostgreSQL. The versions of the entity are numbered in the order of their commits, lost ones included.
type database struct {
	nextXid, line                uint8
	committed, lastXid, current  uint8 // the transactions, the one in the row of the change log, the version
	committed1, lastXid1, value1 uint8 // the same before the last commit, for a failover that loses it
	versions                     uint8
	gone                         [maxCommits + 1]uint8 // the tick in which a version ceased to be the current one, none
}

// state is all there is. It is hashed as words of 8 bytes, so it has nothing but bytes and a size that 8 divides.
type state struct {
	now, primary, split uint8 // split: some clients are still at the other node
	nodes               [2]node
	readers             [readers]reader
	writers             [writers]writer
	db                  database
	nextEpoch           uint8
	own, acked          uint8          // the version of the own write, and once it was acknowledged; none
	bypass              [readers]uint8 // until before which tick each process reads from the database
	weak                uint8          // whom the acknowledgement binds no more: weakOthers, weakAll
	faults              uint8          // that may come yet
	_                   [1]uint8
}

const (
	weakOthers = 1 // a DEL has failed: other processes learn of the write within P
	weakAll    = 2 // a failover took the DEL, or the write
)

// world is what can happen in one exploration.
type world struct {
	name          string
	sameProcess   bool // the readers are one process, else each one's own
	reads         [readers]uint8
	ticks         uint8
	web           int // transactions of the web application
	own           bool
	faults        uint8 // how many in one run
	lose          bool  // keys of Redis: a flush, an eviction
	failDelete    bool
	redisFails    bool  // a failover to a replica that lags, with the old node serving on
	behind        uint8 // ticks that the replica's clock is behind
	postgresFails bool  // a failover that loses the last commit
}

// worlds are the explorations of one run. Together they are large; each is whole.
var worlds = []world{
	{name: "the web application only", reads: [readers]uint8{2, 1}, ticks: 5, web: 1},
	{name: "own writes; lost keys, failed DELs", reads: [readers]uint8{1, 1}, ticks: 4, web: 1, own: true, faults: 1, lose: true, failDelete: true},
	{name: "the same in one process", sameProcess: true, reads: [readers]uint8{1, 1}, ticks: 3, web: 1, own: true, faults: 1, lose: true, failDelete: true},
	{name: "Redis fails over", reads: [readers]uint8{2, 1}, ticks: 4, web: 1, faults: 1, redisFails: true},
	{name: "Redis fails over, the new clock is behind", reads: [readers]uint8{1, 1}, ticks: 4, web: 1, faults: 1, redisFails: true, behind: 1},
	{name: "PostgreSQL fails over", reads: [readers]uint8{1, 1}, ticks: 4, web: 2, faults: 1, postgresFails: true},
}

func initial(w world) state {
	s := state{now: w.behind, own: none, acked: none, faults: w.faults}
	for i := range s.nodes {
		s.nodes[i] = emptyNode()
	}
	for i := range s.db.gone {
		s.db.gone[i] = none
	}
	s.db.lastXid, s.db.lastXid1 = none, none
	for i := range s.readers {
		s.readers[i].left = w.reads[i]
	}
	return s
}
