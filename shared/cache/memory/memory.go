// Package memory is the store of the cache's tier in the process. It bounds the memory, and keeps what is read most.
package memory

import (
	"github.com/maypok86/otter/v2"

	"github.com/osirose-new/database-service/shared/cache"
)

// overhead is what an entry takes beside its id and its value, in bytes: measured by TestBound.
const overhead = 256

// Store implements [cache.Store].
type Store struct {
	entries *otter.Cache[cache.Name, cache.Kept]
}

// New returns a Store that takes about that many bytes at most.
func New(bytes uint64) *Store {
	return &Store{otter.Must(&otter.Options[cache.Name, cache.Kept]{
		MaximumWeight: bytes,
		Weigher:       func(name cache.Name, value cache.Kept) uint32 { return uint32(len(name.ID) + value.Size() + overhead) },
	})}
}

// Get implements [cache.Store].
func (s *Store) Get(name cache.Name) (cache.Kept, bool) { return s.entries.GetIfPresent(name) }

// Set implements [cache.Store].
func (s *Store) Set(name cache.Name, value cache.Kept) { s.entries.Set(name, value) }

// Delete implements [cache.Store].
func (s *Store) Delete(name cache.Name) { s.entries.Invalidate(name) }

// Clear implements [cache.Store].
func (s *Store) Clear() { s.entries.InvalidateAll() }

// Bytes implements [cache.Store].
func (s *Store) Bytes() uint64 { return s.entries.WeightedSize() }
