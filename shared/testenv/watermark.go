package testenv

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/postgres"
)

// watermark is what a test must know of the cache to read and to age the watermark of its database.
type watermark struct {
	mu   sync.Mutex
	tag  string            // the last one
	keys map[string][]byte // by tag: what authenticates the watermark
}

// CacheTag is part of the names that the cache uses for this database: of the watermark, and of the fields of entities. A
// restart of the server changes it. While the server is down it is what it was.
func (e *Env) CacheTag(t testing.TB) string {
	t.Helper()
	w := &e.watermark
	w.mu.Lock()
	defer w.mu.Unlock()
	// It connects to the server directly, and keeps no connection: a server that shuts down would wait for it.
	db, err := postgres.Open(e.Owner.Config().ConnString(), postgres.Options{Budgets: Budgets().Database})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	changes, err := db.Changes(context.WithoutCancel(t.Context()), "")
	if err != nil && w.tag != "" {
		return w.tag
	}
	if err != nil {
		t.Fatal(err)
	}
	derive := func(use string) []byte {
		key, err := hkdf.Key(sha256.New, changes.CacheKey, []byte(changes.Cluster), use, sha256.Size)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	if w.keys == nil {
		w.keys = map[string][]byte{}
	}
	server := sha256.Sum256([]byte(changes.Server))
	w.tag = hex.EncodeToString(append(server[:4:4], derive("tag")[:4]...))
	w.keys[w.tag] = derive("watermark")
	return w.tag
}

// Watermark returns the key of the watermark in Redis.
func (e *Env) Watermark(t testing.TB) string { t.Helper(); return "wm:" + e.CacheTag(t) }

// SyncLock returns the key of the lock of a sync.
func (e *Env) SyncLock(t testing.TB) string { t.Helper(); return e.Watermark(t) + ":lock" }

// AgeWatermark makes the watermark older, as if that time had passed without a sync. If there is none, the next read syncs
// anyway.
func (e *Env) AgeWatermark(t testing.TB, by time.Duration) {
	t.Helper()
	e.restamp(t, func(was int64) int64 { return was - by.Milliseconds() })
}

// SetWatermarkTime sets when the last sync began, by the clock of Redis.
func (e *Env) SetWatermarkTime(t testing.TB, to time.Time) {
	t.Helper()
	e.restamp(t, func(int64) int64 { return to.UnixMilli() })
}

// restamp moves t, and d with it. It does so for every watermark of this database, also from before a restart: a program
// may still use that.
func (e *Env) restamp(t testing.TB, move func(int64) int64) {
	t.Helper()
	e.CacheTag(t)
	for tag := range e.watermark.keys {
		w := e.Redis.Client.HGetAll(context.WithoutCancel(t.Context()), "wm:"+tag).Val()
		was, err1 := strconv.ParseInt(w["t"], 10, 64)
		d, err2 := strconv.ParseInt(w["d"], 10, 64)
		if err1 == nil && err2 == nil {
			e.stamp(t, tag, move(was), w["e"], d+move(was)-was)
		}
	}
}

// StampWatermark writes t, e and d of the watermark with their authentication code, as a sync does.
func (e *Env) StampWatermark(t testing.TB, ms int64, epoch string, d int64) {
	t.Helper()
	e.stamp(t, e.CacheTag(t), ms, epoch, d)
}

func (e *Env) stamp(t testing.TB, tag string, ms int64, epoch string, d int64) {
	t.Helper()
	fields := []string{strconv.FormatInt(ms, 10), epoch, strconv.FormatInt(d, 10)}
	h := hmac.New(sha256.New, e.watermark.keys[tag])
	name := "wm:" + tag
	h.Write([]byte(name + "\x00" + strings.Join(fields, "\x00")))
	err := e.Redis.Client.HSet(context.WithoutCancel(t.Context()), name, "t", fields[0], "e", fields[1], "d", fields[2], "m", h.Sum(nil)[:16]).Err()
	if err != nil {
		t.Fatal(err)
	}
}
