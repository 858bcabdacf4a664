package cache

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	// watermarkKey is followed by the tag of the database. lockSuffix follows that, in the key of a lock.
	watermarkKey = "wm:"
	lockSuffix   = ":lock"
	// databasesKey lists the databases that use this Redis.
	databasesKey = "wm:databases"
	// buckets is how many watermarks a cluster has. A value and its watermark must share a slot, and a single bucket would
	// put everything on one node. A single node has one bucket, without a tag.
	buckets  = 16
	epochLen = 16
)

// kinds are the prefixes of the kinds of entities.
type kinds struct {
	mu       sync.Mutex
	prefixes []string
}

func (k *kinds) add(prefix string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.Contains(k.prefixes, prefix) {
		k.prefixes = append(k.prefixes, prefix)
	}
}

func (k *kinds) all() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.prefixes)
}

// key names an entity in Redis: prefix + id on a single node, behind its bucket's tag in a cluster.
func (c *Cache) key(prefix, id string) string {
	if !c.cluster {
		return c.prefix + prefix + id
	}
	h := fnv.New32a()
	h.Write([]byte(prefix))
	h.Write([]byte(id))
	return c.bucketKey(int(h.Sum32()%buckets), prefix+id)
}

// bucket is the bucket of a key that [Cache.key] has made.
func (c *Cache) bucket(key string) int {
	if !c.cluster {
		return 0
	}
	tag := key[len(c.prefix)+1:]
	return int(tag[0]-'0')*10 + int(tag[1]-'0')
}

func (c *Cache) bucketKey(b int, name string) string {
	if !c.cluster {
		return c.prefix + name
	}
	return fmt.Sprintf("%s{%02d}:%s", c.prefix, b, name)
}

// token is unique to one lease or lock.
func (c *Cache) token() string {
	var b [8]byte
	n := c.tokens.Add(1)
	for i := range b {
		b[i] = byte(n >> (8 * i))
	}
	return c.tokenPrefix + hex.EncodeToString(b[:])
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// jitter shortens a TTL by up to a tenth, so that values that were filled together do not expire together.
func jitter(ttl time.Duration) time.Duration {
	return ttl - mathrand.N(ttl/10+1)
}
