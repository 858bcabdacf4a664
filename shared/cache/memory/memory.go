// Package memory is the store of the cache's tier in the process. It bounds the memory, and keeps what is read most.
package memory

import (
	"github.com/maypok86/otter/v2"

	"github.com/osirose-new/database-service/shared/cache"
)

// overhead is what an entry takes beside its key and its value, in bytes: measured by TestBound.
const overhead = 256

// Store implements [cache.Store].
type Store struct {
	entries *otter.Cache[string, cache.Kept]
}

// New returns a Store that takes about that many bytes at most.
func New(bytes uint64) *Store {
	return &Store{otter.Must(&otter.Options[string, cache.Kept]{
		MaximumWeight: bytes,
		Weigher:       func(key string, value cache.Kept) uint32 { return uint32(len(key) + value.Size() + overhead) },
	})}
}

// Get implements [cache.Store].
func (s *Store) Get(key string) (cache.Kept, bool) { return s.entries.GetIfPresent(key) }

// Set implements [cache.Store].
func (s *Store) Set(key string, value cache.Kept) { s.entries.Set(key, value) }

// Delete implements [cache.Store].
func (s *Store) Delete(key string) { s.entries.Invalidate(key) }

// Clear implements [cache.Store].
func (s *Store) Clear() { s.entries.InvalidateAll() }

// Bytes implements [cache.Store].
func (s *Store) Bytes() uint64 { return s.entries.WeightedSize() }
