package main

import (
	"math"
	"math/bits"
	"unsafe"
)

// result is what an exploration found.
type result struct {
	states    int
	cut       bool // there were states that were not followed
	violation string
	trace     []string // the way there
}

// explorer walks states, breadth first. Of each state it keeps a hash of 63 bits, and how it was reached. The chance
// that any two of 30 million states share a hash is one in 20,000. Such a pair would hide only what follows from one state.
type explorer struct {
	world world
	bug   bug

	hashes []uint64
	parent []uint32
	by     []step
	used   int

	next      []state
	at        uint32 // the slot of the state whose successors are being added
	violation string
	violated  step
}

// explore walks all states. Its way to a violation is a shortest one.
func explore(w world, b bug) result { return exploreSome(w, b, math.MaxInt) }

// search walks more and more states until there is a violation, or there are no more states: of a mutant any violation will do.
func search(w world, b bug) result {
	for width := 1000; ; width *= 4 {
		if r := exploreSome(w, b, width); r.violation != "" || !r.cut {
			return r
		}
	}
}

// exploreSome follows at most width of the states that are equally many steps away.
func exploreSome(w world, b bug, width int) result {
	x := &explorer{world: w, bug: b}
	x.grow(1 << 16)
	x.add(initial(w), stepStart)
	var level []state
	cut := false
	for len(x.next) > 0 && x.violation == "" {
		level, x.next = x.next, level[:0]
		if n := len(level); n > width {
			for i := range width {
				level[i] = level[i*n/width]
			}
			level, cut = level[:width], true
		}
		for i := range level {
			x.at, _ = x.find(hash(&level[i]))
			x.successors(&level[i])
			if x.violation != "" {
				break
			}
		}
	}
	r := result{states: x.used, cut: cut, violation: x.violation}
	if x.violation != "" {
		r.trace = append(x.way(x.at), x.violated.String())
	}
	return r
}

// add adds a successor of the state at x.at.
func (x *explorer) add(s state, by step) {
	h := hash(&s)
	slot, seen := x.find(h)
	if seen {
		return
	}
	if x.used*4 > len(x.hashes)*3 {
		x.grow(len(x.hashes) * 2)
		slot, _ = x.find(h)
	}
	x.hashes[slot], x.parent[slot], x.by[slot] = h, x.at, by
	x.used++
	x.next = append(x.next, s)
}

// violate keeps the first violation: the state at x.at, and the step from there.
func (x *explorer) violate(what string, by step) {
	if x.violation == "" {
		x.violation, x.violated = what, by
	}
}

func (x *explorer) find(h uint64) (slot uint32, seen bool) {
	mask := uint64(len(x.hashes) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch x.hashes[i] {
		case 0:
			return uint32(i), false
		case h:
			return uint32(i), true
		}
	}
}

// grow makes a larger table, in which each state has another slot.
func (x *explorer) grow(size int) {
	old := *x
	x.hashes, x.parent, x.by = make([]uint64, size), make([]uint32, size), make([]step, size)
	moved := make([]uint32, len(old.hashes))
	for i, h := range old.hashes {
		if h != 0 {
			moved[i], _ = x.find(h)
			x.hashes[moved[i]] = h
		}
	}
	for i, h := range old.hashes {
		if h != 0 {
			x.parent[moved[i]], x.by[moved[i]] = moved[old.parent[i]], old.by[i]
		}
	}
	if len(moved) > 0 {
		x.at = moved[x.at]
	}
}

func (x *explorer) way(slot uint32) []string {
	var back []string
	for x.by[slot] != stepStart {
		back = append(back, x.by[slot].String())
		slot = x.parent[slot]
	}
	for i, j := 0, len(back)-1; i < j; i, j = i+1, j-1 {
		back[i], back[j] = back[j], back[i]
	}
	return back
}

const _ = -(unsafe.Sizeof(state{}) % 8) // compiles only if the size is a number of words

// hash is never 0.
func hash(s *state) uint64 {
	b := unsafe.Slice((*uint64)(unsafe.Pointer(s)), unsafe.Sizeof(*s)/8) //nolint:gosec // a state has no padding and no pointer
	h := uint64(0x9E3779B97F4A7C15)
	for _, w := range b {
		hi, lo := bits.Mul64(h^w, 0xD6E8FEB86659FD93)
		h = hi ^ lo ^ bits.RotateLeft64(h, 23)
	}
	hi, lo := bits.Mul64(h, 0xA0761D6478BD642F)
	return (hi ^ lo) | 1
}
