package rpcserver

import (
	"runtime"
	"time"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/limiter"
)

const (
	// MaxRequests is the number of requests that a program serves at once. Others wait.
	MaxRequests = 512
	// minRequests is the number if the CPU is scarce. It keeps a CPU busy.
	minRequests = 32
	// maxWaiting is the number of requests that may wait.
	maxWaiting = 16 << 10
	// urgentReserve is the share of the requests and of the bytes that is kept for urgent requests: one in 8.
	urgentReserve = 8

	// MaxReaders is the number of bodies that are read at once. One caller gets at most half.
	MaxReaders = 4 << 10
	// smallBody is the size of a body that counts only as a reader.
	smallBody = 4 << 10
	// MaxBytes is the total size of larger bodies in bytes, of those that are read and of those whose request is served. A body takes
	// several times its size while it is parsed. One caller gets at most half.
	MaxBytes = 32 << 20

	// heavyBody is the size of a body from which its request is heavy.
	heavyBody = 64 << 10
	// listWeight is how many slots a list with all documents takes. It costs about five times as much CPU as a read from the cache if
	// the characters have few items, and much more if they have many.
	listWeight = 8
)

func newSlots(least int) *limiter.Limiter {
	return limiter.New(limiter.Options{Slots: MaxRequests, Least: least, Reserved: urgentReserve, MaxWaiting: maxWaiting})
}

// newTurns returns the turns of lists with all documents. To decode a list with many items takes milliseconds of CPU time, and other requests
// wait for that CPU. So at most half of the CPUs, and at least one, decode lists. Another list that the database has answered waits.
func newTurns() chan struct{} { return make(chan struct{}, max(runtime.GOMAXPROCS(0)/2, 1)) }

func newReaders() *limiter.Limiter {
	return limiter.New(limiter.Options{Slots: MaxReaders, Reserved: urgentReserve, MostEach: MaxReaders / 2, MaxWaiting: maxWaiting})
}

// newLarge counts in units of smallBody.
func newLarge() *limiter.Limiter {
	const units = MaxBytes / smallBody
	return limiter.New(limiter.Options{Slots: units, Reserved: urgentReserve, MostEach: units / 2})
}

// FixSlots makes the number of slots [MaxRequests], however scarce the CPU is. It must be called before the first request. Tests that fill
// all slots call it.
func (s *Server) FixSlots() { s.slots = newSlots(0) }

// InFlight returns the number of requests being served.
func (s *Server) InFlight() int { return s.slots.Stats().Inside }

// Limits returns the state of the limit of requests.
func (s *Server) Limits() limiter.Stats { return s.slots.Stats() }

// Readers returns the state of the limit of bodies that are being read.
func (s *Server) Readers() limiter.Stats { return s.readers.Stats() }

// charge finds whom the request's share is taken from: the principal, or without one the address. An IPv6 network of 64 bits is one
// address, because one caller can have all of it.
func (c *call) charge(from *callers.Connection) {
	if c.caller != nil {
		c.record.Principal = c.caller.Name
		return
	}
	c.record.Principal = from.Host()
}

// want says how long a request can wait: two tenths of its time are for its work. Urgent work always asks the database, so it has four
// tenths. Heavy work waits less: it would be too late for the database. A refusal comes at the end of the time. It costs half as much as a read from the cache, and callers that were refused
// early would come back so often that there would be no CPU for anything else.
func (c *call) want(kind limiter.Kind, weight int) limiter.Want {
	tenth := c.deadline.Sub(c.start) / 10
	latest, until := c.start.Add(8*tenth), c.start.Add(9*tenth)
	switch kind {
	case limiter.Urgent:
		latest = c.start.Add(6 * tenth)
	case limiter.Heavy:
		latest, until = c.start.Add(tenth), c.start.Add(tenth)
	}
	return limiter.Want{Principal: c.record.Principal, Kind: kind, Weight: weight, Until: until, Latest: latest}
}

// enter waits for a slot.
func (c *call) enter(kind limiter.Kind, weight int) twirp.Error {
	slot, ok := c.server.slots.Enter(c.parent, c.start, c.want(kind, weight))
	if !ok {
		return c.shed()
	}
	c.slot = slot
	c.record.Slot = c
	return nil
}

// kindOf returns the kind and the weight of a request with a body of that size.
func (c *call) kindOf(size int) (limiter.Kind, int) {
	if size >= heavyBody {
		return limiter.Heavy, 1 + size/heavyBody
	}
	return c.kind, 1
}

// leave returns what the request holds. The answer is ready then: that its caller takes it slowly must not cost others.
func (c *call) leave() {
	c.stopReading()
	c.leaveSlot()
	if c.large.Held() {
		c.server.large.Leave(c.large)
		c.large = limiter.Slot{}
	}
}

// Queue implements request.Slot. Heavy requests have few slots. If they kept them while the database hangs, others would be refused as if
// this program were overloaded.
func (c *call) Queue() (heavy bool) {
	if c.slot.Kind() != limiter.Heavy {
		return false
	}
	c.Pause()
	return true
}

// Starved implements request.Slot.
func (c *call) Starved() bool { return c.server.slots.Starved() }

// Pause implements request.Slot.
func (c *call) Pause() {
	if c.slot.Held() && !c.paused {
		c.paused = true
		c.server.slots.Pause(c.slot)
		c.endTurn()
	}
}

// Resume implements request.Slot.
func (c *call) Resume(hasResult bool) {
	if c.slot.Held() && c.paused {
		if c.list && hasResult {
			c.awaitTurn()
		}
		c.paused = false
		c.server.slots.Resume(c.slot)
	}
}

// awaitTurn waits until few enough other lists are made, or the request is over. A list that has a turn waits for nothing, so this is a
// matter of CPU time.
func (c *call) awaitTurn() {
	select {
	case c.server.turns <- struct{}{}:
		c.turn = true
	case <-c.Done():
	}
}

func (c *call) endTurn() {
	if c.turn {
		c.turn = false
		<-c.server.turns
	}
}

func (c *call) leaveSlot() {
	c.endTurn()
	if c.slot.Held() {
		c.server.slots.Leave(c.slot)
		c.slot = limiter.Slot{}
	}
}

// shed is the error of a request that was not admitted.
func (c *call) shed() twirp.Error {
	if err := c.parent.Err(); err != nil && time.Now().Before(c.deadline) { // later, the connection's read deadline cancels too
		return c.public(c, err)
	}
	return errBusy
}

// weigh exchanges the slot if the message asks for heavy work.
func (c *call) weigh(message any) twirp.Error {
	if message == nil || !callers.Needed(message).Has(callers.GetCharacterListFull) {
		return nil
	}
	c.leaveSlot() // while it waited, it would hold what light requests need
	c.list = true
	if err := c.enter(limiter.Heavy, listWeight); err != nil {
		return err
	}
	if c.server.unsent.full(c.record.Principal) {
		return errUnsent
	}
	return nil
}
