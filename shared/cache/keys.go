package cache

import (
	"fmt"
	"hash/fnv"
)

const (
	watermarkKey = "wm"
	lockKey      = "wm:lock"
	// buckets is how many watermarks a cluster has: a value and its watermark must share a slot, and one bucket would
	// put everything on one node. On a single node there is one, without a tag.
	buckets = 16
)

// key names an entity in Redis: as it is on a single node, behind its bucket's tag in a cluster.
func (c *Cache) key(prefix, id string) string {
	if !c.cluster {
		return prefix + id
	}
	h := fnv.New32a()
	h.Write([]byte(prefix)) //nolint:errcheck // a hash never fails
	h.Write([]byte(id))     //nolint:errcheck
	return c.bucketKey(int(h.Sum32()%buckets), prefix+id)
}

// bucket is the bucket of a key that key made.
func (c *Cache) bucket(key string) int {
	if !c.cluster {
		return 0
	}
	return int(key[1]-'0')*10 + int(key[2]-'0')
}

func (c *Cache) bucketKey(b int, name string) string {
	if !c.cluster {
		return name
	}
	return fmt.Sprintf("{%02d}:%s", b, name)
}

func (c *Cache) watermark(key string) string { return c.bucketKey(c.bucket(key), watermarkKey) }
