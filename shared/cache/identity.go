package cache

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"sync/atomic"

	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/request"
)

const (
	tagLen = 16 // hex digits, half of them the server's
	macLen = 16 // bytes
)

// identity is what the database says about itself: its cluster and the secret in game.cache_key. All that the cache stores
// is named by it, and sealed or authenticated under keys that derive from it. So a process reads only what a process of the
// same database has written, and a program that can only write to Redis can forge nothing.
type identity struct {
	cluster string
	secret  []byte
	tag     string // part of the names of watermarks and fields; it begins with the server's half

	watermarkKey, valueKey, nameKey []byte

	sealers  [2]atomic.Pointer[sealer] // of the last two windows of time
	verified atomic.Pointer[stamp]     // the last authentic one
}

func newIdentity(c postgres.Changes) (*identity, error) {
	id := &identity{cluster: c.Cluster, secret: c.CacheKey}
	var tag []byte
	for use, key := range map[string]*[]byte{"tag": &tag, "watermark": &id.watermarkKey, "value": &id.valueKey, "name": &id.nameKey} {
		var err error
		if *key, err = hkdf.Key(sha256.New, c.CacheKey, []byte(c.Cluster), use, sha256.Size); err != nil {
			return nil, err // FIPS mode refuses a short secret
		}
	}
	id.tag = serverTag(c.Server) + hex.EncodeToString(tag[:tagLen/4])
	return id, nil
}

// serverTag is the half of a tag that stays when the server is promoted or restarted, or gets a new secret. A process that
// has not learned of that still deletes the fields that the others use.
func serverTag(server string) string {
	sum := sha256.Sum256([]byte(server))
	return hex.EncodeToString(sum[:tagLen/4])
}

func (id *identity) is(c postgres.Changes) bool {
	return id.cluster == c.Cluster && bytes.Equal(id.secret, c.CacheKey)
}

// same reports whether both are of one database.
func (id *identity) same(other *identity) bool {
	return id.cluster == other.cluster && bytes.Equal(id.secret, other.secret)
}

// recognize returns the identity of the database that has answered. It is a new one after a failover, for example.
func (c *Cache) recognize(changes postgres.Changes) (*identity, error) {
	if id := c.identity.Load(); id != nil && id.is(changes) {
		return id, nil
	}
	return c.adopt(changes)
}

// identify returns the identity of the database. A process asks for it once. Later each sync compares it.
func (c *Cache) identify(ctx context.Context) (*identity, error) {
	if id := c.identity.Load(); id != nil {
		return id, nil
	}
	asked := c.asking.DoChan("", func() (any, error) {
		changes, err := c.db.Changes(request.Detached(ctx), "") // its own time limits end it
		if err != nil {
			return nil, err
		}
		return c.adopt(changes)
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-asked:
		id, _ := r.Val.(*identity)
		return id, r.Err
	}
}

func (c *Cache) adopt(changes postgres.Changes) (*identity, error) {
	id, err := newIdentity(changes)
	if err == nil {
		c.identity.Store(id)
	}
	return id, err
}

// stamp is the part of a watermark that a hit reads, with the watermark's name and its authentication code.
type stamp struct {
	name             string
	t, epoch, d, mac []byte
}

// authentic reports whether a process of this database wrote the stamp. The last one is remembered: a stamp lives for
// 250 ms or longer, and many hits read it.
func (id *identity) authentic(s *stamp) bool {
	if last := id.verified.Load(); last != nil && last.name == s.name && bytes.Equal(last.mac, s.mac) &&
		bytes.Equal(last.t, s.t) && bytes.Equal(last.epoch, s.epoch) && bytes.Equal(last.d, s.d) {
		return true
	}
	if !hmac.Equal(s.mac, id.mac(s.name, s.t, s.epoch, s.d)) {
		return false
	}
	id.verified.Store(&stamp{s.name, bytes.Clone(s.t), bytes.Clone(s.epoch), bytes.Clone(s.d), bytes.Clone(s.mac)})
	return true
}

// resumes reports whether a process of this database wrote the snapshot and the epoch of the watermark. Then a sync goes on
// from there.
func (id *identity) resumes(name, snapshot, epoch, mac string) bool {
	return len(epoch) == epochLen && hmac.Equal([]byte(mac), id.mac(name, []byte(snapshot), []byte(epoch)))
}

// mac authenticates parts of a watermark, which have no zero byte. It also authenticates the watermark's name: a sync of one
// bucket, or of one prefix, has deleted nothing in another.
func (id *identity) mac(name string, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, id.watermarkKey)
	h.Write(append([]byte(name), 0))
	h.Write(bytes.Join(parts, []byte{0}))
	return h.Sum(nil)[:macLen]
}

// pointerName hides a name that Redis must not see, for example an e-mail address.
func (id *identity) pointerName(name string) string {
	h := hmac.New(sha256.New, id.nameKey)
	h.Write([]byte(name))
	return hex.EncodeToString(h.Sum(nil)[:16])
}
