package main

// The clock of the model, in ticks. What matters is the order of the limits: it is the same as in the code.
const (
	staleness = 2 // MaxStaleness
	syncAge   = 1 // a reader syncs if the watermark is older than this
	leaseTime = 2
)

const (
	readers    = 2
	ownWriter  = 0 // of the transactions: one is the service's own, two are the web application's
	writers    = 3
	maxCommits = writers
	none       = 0xff
	foreign    = 0xfe // in place of a version: a value of another database
	fresh      = 0xff // in place of the time that a value is as of: the database said it
)

// node is what a process finds in one Redis under the names of one database. Where PostgreSQL fails over, the two nodes are
// one Redis under the names of both timelines.
type node struct {
	marked                  uint8 // 1: there is a watermark
	t, seen, epoch          uint8 // of the watermark: clock, snapshot (a set of transaction ids), epoch
	held, valueEpoch, value uint8 // held 1: there is a value
	lease, leaseEnd         uint8 // the token, none
}

// reader is one read that is under way. The fields after pc are what its process holds in memory.
type reader struct {
	pc, node uint8
	left     uint8 // reads that have not begun
	floor    uint8 // the version that the read must see at least

	// The lookup, what it proved, and whether it is the second one, after a sync.
	again, marked, t, epoch, held, valueEpoch, value, fresh, hit, until uint8

	// The sync: the watermark and the clock at its start, then the snapshot, and whether the change log names the entity.
	foundMark, foundT, foundSeen, foundEpoch, clock, seen, touched uint8

	// The miss.
	avoid, granted, leaseEpoch, loaded uint8 // avoid: do not take what Redis has, since the process bypasses the key

	// The tier in the process: what a hit has read so far, the ticket, and the time that the value of a fill is as of.
	kept, keptValue, position, positionAge, ticket, asOf uint8
}

// writer is one transaction.
type writer struct{ pc, xid uint8 }

// database is PostgreSQL. The versions of the entity are numbered in the order of their commits, including lost ones.
type database struct {
	nextXid, line                uint8
	committed, lastXid, current  uint8 // the transactions, the one in the change log's row, the version
	committed1, lastXid1, value1 uint8 // the same before the last commit, for a failover that loses it
	versions                     uint8
	gone                         [maxCommits + 1]uint8 // the tick in which a version was replaced, or none
	lost, promoted               uint8                 // the version that a failover has lost, and when
}

// state is the whole state of the model. It is hashed as words of 8 bytes, so it holds only bytes, and 8 divides its size.
type state struct {
	now, primary, split uint8 // split: some clients are still connected to the other node
	nodes               [2]node
	readers             [readers]reader
	writers             [writers]writer
	db                  database
	nextEpoch           uint8
	own, acked          uint8          // the version of the own write, and the same once it is acknowledged; none
	bypass              [readers]uint8 // before which tick each process reads from the database
	known               [readers]uint8 // the timeline by which each process names what it stores
	memory              memory         // the tier in the readers' process
	weak                uint8          // which readers need not see the acknowledged write: weakOthers, weakAll
	faults              uint8          // that may still happen
	_                   [6]uint8
}

const (
	weakOthers = 1 // a DEL has failed: other processes learn of the write within MaxStaleness
	weakAll    = 2 // a failover lost the DEL, or the write
)

// world is what can happen in one exploration.
type world struct {
	name          string
	sameProcess   bool // the readers share one process, otherwise each has its own
	reads         [readers]uint8
	ticks         uint8
	web           int // transactions of the web application
	own           bool
	faults        uint8 // how many in one run
	lose          bool  // keys of Redis: a flush, an eviction
	failDelete    bool
	redisFails    bool  // a failover to a lagging replica, while the old node still serves
	behind        uint8 // ticks that the replica's clock is behind
	postgresFails bool  // a failover that loses the last commit
	shared        bool  // another database uses the same Redis
	memory        bool  // the readers' process keeps the entity, and Redis is only what the other worlds prove of it
	syncFails     bool  // that of the tier in the process
}

// worlds are the explorations of one run. Each is explored completely.
var worlds = []world{
	{name: "the web application only", reads: [readers]uint8{2, 1}, ticks: 5, web: 1},
	{name: "own writes; lost keys, failed DELs", reads: [readers]uint8{1, 1}, ticks: 4, web: 1, own: true, faults: 1, lose: true, failDelete: true},
	{name: "the same in one process", sameProcess: true, reads: [readers]uint8{1, 1}, ticks: 3, web: 1, own: true, faults: 1, lose: true, failDelete: true},
	{name: "Redis fails over", reads: [readers]uint8{2, 1}, ticks: 4, web: 1, faults: 1, redisFails: true},
	{name: "Redis fails over, the new clock is behind", reads: [readers]uint8{1, 1}, ticks: 4, web: 1, faults: 1, redisFails: true, behind: 1},
	{name: "PostgreSQL fails over", reads: [readers]uint8{2, 1}, ticks: 4, web: 2, faults: 1, postgresFails: true},
	{name: "kept in the process", memory: true, sameProcess: true, reads: [readers]uint8{2, 1}, ticks: 5, web: 1, faults: 1, syncFails: true},
	{name: "the same, the clock of Redis is behind", memory: true, sameProcess: true, reads: [readers]uint8{1, 1}, ticks: 5, web: 1, behind: 1},
	{name: "the same, PostgreSQL fails over", memory: true, sameProcess: true, reads: [readers]uint8{1, 1}, ticks: 5, web: 1, faults: 1, postgresFails: true},
	{name: "another database on the same Redis", reads: [readers]uint8{2, 1}, ticks: 4, web: 1, faults: 2, shared: true},
}

func initial(w world) state {
	s := state{now: w.behind, own: none, acked: none, faults: w.faults}
	for i := range s.nodes {
		s.nodes[i] = emptyNode()
	}
	for i := range s.db.gone {
		s.db.gone[i] = none
	}
	s.db.lastXid, s.db.lastXid1, s.db.lost = none, none, none
	for i := range s.readers {
		s.readers[i].left = w.reads[i]
	}
	return s
}
