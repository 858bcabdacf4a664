package cache

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/osirose-new/database-service/shared/postgres"
)

const (
	// probeTTL ends what a check leaves behind if it cannot delete it.
	probeTTL = 10 * time.Second
	// checks is how often a check is tried that finds something else than what it wrote. A flush between two of its calls
	// does that, or a process that was frozen for longer than MaxStaleness.
	checks     = 2
	probeField = "probe"
)

var errForgets = &Unusable{false, "forgets", "Redis answers, but it does not return what the cache's scripts wrote: use a Redis or Valkey without a proxy that changes commands"}

// Check does in Redis what a read, a sync and a write do: it writes a watermark and a value with the same scripts, reads and
// deletes them. It uses the names of a database that does not exist, so no read finds them, and PostgreSQL is not asked. In
// a cluster it does so on each node. It costs about ten round trips for each. Its error is an [Unusable] if Redis answers and
// cannot be the cache. With any other error there was no answer.
func (c *Cache) Check(ctx context.Context) error {
	if c.client == nil {
		return nil
	}
	err := c.check(ctx)
	if u := diagnose(err, c.cluster); u != nil {
		err = u
	}
	if _, answered := errors.AsType[redis.Error](err); answered {
		err = &Unusable{false, "refused", "Redis refuses what the cache does: run local/README.md's commands with redis-cli and the user of REDIS_URL"}
	}
	if u, is := errors.AsType[*Unusable](err); is {
		c.notices.found(u)
	}
	if err == nil {
		c.notices.works()
	}
	return err
}

func (c *Cache) check(ctx context.Context) error {
	nodes, err := c.bucketOfEachNode(ctx)
	if err != nil {
		return err
	}
	for _, b := range nodes {
		for range checks {
			if err = c.checkBucket(ctx, b); !errors.Is(err, errForgets) {
				break
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucketOfEachNode returns a bucket of each node that has any.
func (c *Cache) bucketOfEachNode(ctx context.Context) (found []int, err error) {
	cluster, is := c.client.(*redis.ClusterClient)
	if !is {
		return []int{0}, nil
	}
	var nodes []*redis.Client
	for b := range buckets {
		node, err := cluster.MasterForKey(ctx, c.bucketKey(b, watermarkKey))
		if err != nil {
			return nil, err
		}
		if !slices.Contains(nodes, node) {
			nodes, found = append(nodes, node), append(found, b)
		}
	}
	return found, nil
}

// probe is what a check uses in a bucket. Its Cache is not the one that serves, so it has other counts and another breaker.
type probe struct {
	*Cache
	id       *identity
	bucket   int
	own      []string // its watermark, lock, list of databases and entity
	prefixes []string // of the kinds
	others   []string // a key of each of them
}

func (c *Cache) checkBucket(ctx context.Context, b int) error {
	id, err := newIdentity(postgres.Changes{Server: randomHex(8), Cluster: "probe", CacheKey: []byte(randomHex(32))})
	if err != nil {
		return err
	}
	p := &probe{
		Cache: New(c.client, c.db, Options{TTL: probeTTL, KeyPrefix: c.prefix, Traced: c.traced, Budgets: c.budgets}),
		id:    id, bucket: b, prefixes: c.kinds.all(),
	}
	// No database's list of the databases that share this Redis may show the probe.
	p.databases = watermarkKey + id.tag + ":databases"
	wm := c.watermark(id, b)
	p.own = []string{wm, wm + lockSuffix, c.bucketKey(b, p.databases), wm + ":entity"}
	for _, prefix := range p.prefixes {
		p.others = append(p.others, c.bucketKey(b, prefix+"probe:"+id.tag))
	}
	if err := p.commands(ctx); err != nil {
		return err
	}
	defer func() { _ = p.delete(context.WithoutCancel(ctx), p.own) }()
	return p.scripts(ctx)
}

// commands runs each command by itself that the cache and its scripts use, and uses each kind of keys. So a reply names the
// command that is refused. Inside a script it would not, and the scripts take some refusals for a foreign key. All keys are
// strings with a TTL: a user who may do only a part of this leaves nothing behind. That is why hash commands are refused,
// but only for the type of the key. Without HGETALL and HKEYS, which are missing here, the cache works: a sync does not learn
// of other databases, and a deletion takes their values, too.
func (p *probe) commands(ctx context.Context) error {
	wm := p.own[0]
	ttl := probeTTL.Milliseconds()
	var r refused
	all := slices.Concat(p.own, p.others)
	var first [][]any
	for _, key := range all {
		first = append(first, []any{"set", key, "probe", "px", ttl}, []any{"hget", key, probeField})
	}
	first = append(first, []any{"hmget", wm, probeField}, []any{"hdel", wm, probeField}, []any{"get", wm},
		[]any{"time"}, []any{"pttl", wm}, []any{"pexpire", wm, ttl}, []any{"eval", clockSource, 1, wm}, []any{"evalsha", clockScript.Hash(), 1, wm})
	if err := r.run(ctx, p, first); err != nil {
		return err
	}
	var second [][]any
	for _, key := range all {
		if !slices.Contains(r.lacking, "set") && !slices.Contains(r.unknown, "set") {
			second = append(second, []any{"hset", key, probeField, 1})
		}
		second = append(second, []any{"del", key})
	}
	if err := r.run(ctx, p, second); err != nil {
		return err
	}
	return r.result()
}

// refused collects what a server has refused.
type refused struct {
	lacking, unknown, prefixes []string
	other                      *Unusable
}

// run returns an error if a command gets no answer.
func (r *refused) run(ctx context.Context, p *probe, commands [][]any) error {
	replies, _ := p.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, args := range commands {
			pipe.Do(ctx, args...)
		}
		return nil
	})
	for i, reply := range replies {
		err := reply.Err()
		if _, answered := errors.AsType[redis.Error](err); err != nil && !answered {
			return err
		}
		name := commands[i][0].(string)
		switch u := diagnose(err, p.cluster); {
		case u == nil:
		case u.class == classUnknown:
			r.unknown = add(r.unknown, name)
		case u.class == classRights && notPermitted().MatchString(err.Error()):
			r.lacking = add(r.lacking, notPermitted().FindStringSubmatch(err.Error())[1])
		case u.class == classRights && strings.Contains(err.Error(), "key"): // one code for commands and keys
			r.prefixes = add(r.prefixes, p.prefixOf(commands[i]))
		case r.other == nil || r.other.class == classRights:
			r.other = u // a later reply may say more than that some right is missing
		}
	}
	return nil
}

// prefixOf returns the part of a command's key that an ACL's pattern may have.
func (p *probe) prefixOf(command []any) string {
	for i, key := range p.others {
		if slices.Contains(command, any(key)) {
			return p.prefix + p.prefixes[i]
		}
	}
	return p.prefix + watermarkKey
}

func add(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

func (r *refused) result() error {
	switch {
	case slices.Contains(r.unknown, "set") && slices.Contains(r.unknown, "hget"):
		return &Unusable{true, "sentinel", "the server is a Redis Sentinel or another program, but no Redis: REDIS_URL must lead to the primary, mostly at port 6379"}
	case r.other != nil && r.other.class != classRights:
		return r.other
	case len(r.lacking) > 0:
		return lacksRights(r.lacking...)
	case len(r.unknown) > 0:
		return lacksCommands(r.unknown...)
	case len(r.prefixes) > 0:
		return lacksKeys(r.prefixes...)
	case r.other != nil:
		return r.other
	}
	return nil
}

// scripts syncs, misses, fills and hits as requests do.
func (p *probe) scripts(ctx context.Context) error {
	token, key, value := p.token(), p.own[3], []byte("value")
	w, _, err := p.begin(ctx, p.id, p.bucket, token)
	if err != nil {
		return forgets(err)
	}
	now, _ := strconv.ParseInt(w.t, 10, 64)
	w.epoch = randomHex(epochLen / 2)
	if err := p.apply(ctx, p.id, p.bucket, token, w, postgres.Changes{Snapshot: "probe", NowMS: now}, nil); err != nil {
		return forgets(err)
	}
	v := p.Kind("", func() string { return "probe" }, nil).in(p.id)
	l, err := v.script(ctx, key, token)
	if err != nil {
		return forgets(err)
	}
	if l.granted {
		v.fill(ctx, key, token, l, Entry{Bytes: value})
	}
	var r reading
	err = v.read(ctx, key, &r)
	if err == nil && !bytes.Equal(r.value, value) {
		err = errForgets
	}
	return forgets(err)
}

// forgets returns errForgets for an answer that does not fit what the check has done.
func forgets(err error) error {
	if errors.Is(err, errNotMine) || errors.Is(err, errReply) {
		return errForgets
	}
	return err
}
