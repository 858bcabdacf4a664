package systemtest_test

import (
	"fmt"
	"strings"
	"testing"
)

// corruption is a Redis with corrupt values.
type corruption struct {
	*replies
	p, other *player
	y        *tally
}

func newCorruption(t *testing.T) *corruption {
	t.Helper()
	x := newReplies(t)
	c := &corruption{x, newPlayer(t, x.env), newPlayer(t, x.env), &tally{}}
	wantHits(t, x.hits, x.clients, c.p, c.other)
	return c
}

// field returns the field and the value of an entity. On a busy machine a read may not have filled it, so field reads again.
func (c *corruption) field(t testing.TB, key string) (field, value string) {
	t.Helper()
	eventually(t, key+" in Redis", func() bool {
		for f, v := range c.Redis.Client.HGetAll(t.Context(), key).Val() {
			if !strings.HasPrefix(f, "l") { // a lease
				field, value = f, v
				return true
			}
		}
		for _, p := range []*player{c.p, c.other} {
			p.readUser(t, c.clients, c.y)
			p.readCharacter(t, c.clients, c.y)
		}
		return false
	})
	return field, value
}

func (c *corruption) set(t testing.TB, key, field, value string) {
	t.Helper()
	if err := c.Redis.Client.HSet(t.Context(), key, field, value).Err(); err != nil {
		t.Fatal(err)
	}
}

// want checks that answers are right, and that reads are hits again.
func (c *corruption) want(t testing.TB, what string) {
	t.Helper()
	c.p.readUser(t, c.clients, c.y)
	c.p.readCharacter(t, c.clients, c.y)
	c.y.want(t, what)
	wantHits(t, c.hits, c.clients, c.p)
}

// A corrupt value, or the value of another entity, is never returned and causes no error. The next read replaces it.
func TestRedisCorruptValues(t *testing.T) {
	t.Parallel()
	c := newCorruption(t)
	const epoch = 16
	for i, key := range c.p.keys() {
		field, value := c.field(t, key)
		_, of := c.field(t, c.other.keys()[i])
		for what, v := range map[string]string{
			"nothing behind the epoch": value[:epoch],
			"cut":                      value[:len(value)-1],
			"longer":                   value + "x",
			"garbage":                  value[:epoch] + everyByte(),
			"another entity's":         of,
		} {
			c.set(t, key, field, v)
			c.want(t, fmt.Sprintf("%s with %s", key, what))
		}
	}
	key := c.p.keys()[0]
	field, value := c.field(t, key)
	for i := range value {
		_, good := c.field(t, key)
		bad := []byte(good)
		bad[i%len(bad)] ^= 1 << (i % 8)
		c.set(t, key, field, string(bad))
		c.p.readID(t, c.clients, c.y)
	}
	c.y.want(t, fmt.Sprintf("a bit lost in each of %d bytes", len(value)))
	wantHits(t, c.hits, c.clients, c.p)
}

// A corrupt lease does not prevent a fill.
func TestRedisCorruptLeases(t *testing.T) {
	t.Parallel()
	c := newCorruption(t)
	key := c.p.keys()[0]
	field, _ := c.field(t, key)
	for _, lease := range []string{"", "garbage", "|", "token|", "token|x", "token|99999999999999", "token|-1", everyByte()} {
		c.Redis.Client.Del(t.Context(), key)
		c.set(t, key, "l"+field, lease)
		c.want(t, fmt.Sprintf("lease %.20q", lease))
	}
}

// A corrupt watermark is replaced.
func TestRedisCorruptWatermark(t *testing.T) {
	t.Parallel()
	c := newCorruption(t)
	for _, field := range []string{"t", "e", "d", "m", "s", "n"} {
		for _, v := range []string{"", "garbage", "-1", "0x10", "1e9", "9223372036854775808", everyByte()} {
			c.set(t, c.Watermark(t), field, v)
			c.want(t, fmt.Sprintf("watermark with %s = %.20q", field, v))
		}
	}
}
