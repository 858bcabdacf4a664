package cache_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/postgres"
)

// What one database has written into Redis. Every process that fuzzes must know the same, so it was made once.
const (
	honestKey     = "thing:1"
	honestEpoch   = "fedcba9876543210"
	honestTime    = 1_790_000_000_000
	honestName    = "thing:name:1"
	honestValue   = "000001a0c4506c004767ea0002088eefe23064cb8025ed95e96524dde60ed2d265b0bbc74553436c2dda"
	honestPointer = "000001a0c4506c000be5412c00f25683d51a85a84eb81aec949ac121a32ad974eba009219e6ab4fe9ed7e2"
)

func honestVault(t testing.TB) (v *cache.Vault, w cache.Watermark, value, pointer string) {
	t.Helper()
	v, err := cache.NewVault(postgres.Changes{Server: "1/2", Cluster: "1/2/3/4", CacheKey: []byte(strings.Repeat("k", 32))}, "v1", cache.DefaultTTL)
	if err != nil {
		t.Fatal(err)
	}
	w = v.Stamp(honestTime, "100:100:", honestEpoch, honestTime)
	unhex := func(s string) string {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	value, pointer = honestEpoch+unhex(honestValue), unhex(honestPointer)
	if got, hit := v.Hit(w, honestKey, value, honestTime); got != "honest" || !hit {
		t.Fatalf("the honest value is read as %q, %t: the format has changed; new values are %x and %x", got, hit,
			v.Seal(honestKey, honestEpoch, honestTime, "honest")[len(honestEpoch):], v.SealPointer(honestName, honestTime, "lower:1"))
	}
	return v, w, value, pointer
}

// FuzzSealedValue checks that nothing is read that this database has not sealed for this place.
func FuzzSealedValue(f *testing.F) {
	v, w, value, pointer := honestVault(f)
	for _, s := range []string{value, pointer, honestEpoch, value[:40], value + "x", honestEpoch + pointer, ""} {
		for _, key := range []string{honestKey, honestName, "thing:2", ""} {
			f.Add(key, []byte(s), int64(0))
		}
	}
	f.Add(honestKey, []byte(value), cache.DefaultTTL.Milliseconds()+1)
	f.Fuzz(func(t *testing.T, key string, found []byte, later int64) {
		if later < -1<<40 || later > 1<<40 {
			return // TIME has no such replies
		}
		now := w
		if later != 0 { // under another watermark of the same epoch
			now = v.Stamp(honestTime+later, "100:100:", honestEpoch, honestTime)
		}
		got, hit := v.Hit(now, key, string(found), honestTime+later)
		honest := key == honestKey && string(found) == value && later >= 0 && later <= cache.DefaultTTL.Milliseconds()
		if hit != honest || hit && got != "honest" {
			t.Errorf("%x of %q, %d ms later: got %q, %t, want %t", found, key, later, got, hit, honest)
		}
		id, ok := v.OpenPointer(key, string(found))
		if honest := key == honestName && string(found) == pointer; ok != honest || ok && id != "lower:1" {
			t.Errorf("the pointer %x of %q leads to %q, %t, want %t", found, key, id, ok, honest)
		}
	})
}

// FuzzWatermark checks that nothing is served and no snapshot counts under a watermark that no sync has written.
func FuzzWatermark(f *testing.F) {
	v, w, value, _ := honestVault(f)
	for _, now := range []int64{honestTime, honestTime + 1_000, honestTime + 1_001, honestTime - 1, 0} {
		f.Add([]byte(w.T), []byte(w.S), []byte(w.E), []byte(w.D), []byte(w.M), []byte(w.N), now)
	}
	f.Add([]byte(fmt.Sprint(honestTime+5_000)), []byte(w.S), []byte(w.E), []byte(w.D), []byte(w.M), []byte(w.N), int64(honestTime+5_000))
	f.Add([]byte(w.T), []byte(w.T+"\x00"+w.E), []byte(w.E), []byte(w.D), []byte(w.N), []byte(w.M), int64(honestTime))
	f.Add([]byte("nan"), []byte(""), []byte(""), []byte("-1"), []byte(""), []byte(""), int64(honestTime))
	f.Fuzz(func(t *testing.T, tt, s, e, d, m, n []byte, now int64) {
		found := cache.Watermark{T: string(tt), S: string(s), E: string(e), D: string(d), M: string(m), N: string(n)}
		if now < 0 || now > 1<<50 {
			return // TIME has no such replies
		}
		fresh := now >= honestTime && now-honestTime <= cache.MaxStaleness.Milliseconds()
		honest := found.T == w.T && found.E == w.E && found.D == w.D && found.M == w.M && fresh
		if got, hit := v.Hit(found, honestKey, value, now); hit != honest {
			t.Errorf("%+q at %d: got %q, %t, want %t", found, now, got, hit, honest)
		}
		if got, want := v.Resumes(found), found.S == w.S && found.E == w.E && found.N == w.N; got != want {
			t.Errorf("a sync goes on from %+q: %t, want %t", found, got, want)
		}
	})
}

// FuzzReply checks that any bytes in place of replies are an error or a miss, and that it does not matter how they are cut.
func FuzzReply(f *testing.F) {
	v, w, value, _ := honestVault(f)
	text := func(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }
	clock := "*2\r\n" + text(fmt.Sprint(honestTime/1_000)) + text("0")
	watermark := "*4\r\n" + text(w.T) + text(w.E) + text(w.D) + text(w.M)
	for _, s := range []string{
		watermark + text(value) + clock, watermark + "$-1\r\n" + clock, "*4\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n" + clock,
		"-WRONGTYPE x\r\n" + text(value) + clock, watermark + "-WRONGTYPE x\r\n" + clock, "-NOPERM x\r\n", "*4\r\n", "$99999999999\r\n", "", ":1\r\n+OK\r\n",
		watermark + text(value) + "*2\r\n$-1\r\n$-1\r\n", "*-1\r\n$-1\r\n*-1\r\n",
	} {
		f.Add([]byte(s), uint8(1))
	}
	f.Fuzz(func(t *testing.T, reply []byte, piece uint8) {
		before := bytes.Clone(reply)
		if got, hit := v.Reply(reply, honestKey); hit && got != "honest" {
			t.Errorf("%q: served %q", reply, got)
		}
		if !bytes.Equal(before, reply) {
			t.Errorf("%q was changed to %q", before, reply)
		}
		if one, all := cache.Follows(reply, 1), cache.Follows(reply, 1+int(piece)); one != all {
			t.Errorf("%q: a reply is %t byte by byte, and %t in pieces of %d", reply, one, all, 1+int(piece))
		}
	})
}
