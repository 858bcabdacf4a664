package cache

import (
	"context"
	"errors"
	"time"

	"github.com/osirose-new/database-service/shared/postgres"
)

const (
	// waitStep times waitSteps is how long a reader waits for a value that another reader loads.
	waitStep  = 5 * time.Millisecond
	waitSteps = 30

	// maxDirectLookups is how many readers of a process look into Redis on their own, if each lookup is a call. More of them would all
	// wait for a connection, so from then on the readers of one key share a lookup.
	maxDirectLookups = poolSize / 2
)

// Get returns the entity as it was at most MaxStaleness ago, and never older than a write that was acknowledged before.
// Exception: a write of another process that could not delete from Redis (see [Cache.Invalidate]), or whose deletion a
// failover of Redis has lost, shows within MaxStaleness. Get fails only if the load does, or if the database does not
// answer.
func (k *Kind) Get(ctx context.Context, id string) (e Entry, err error) {
	if k.memory == nil {
		err = k.find(ctx, id, &e)
	} else {
		e, err = k.findInMemory(ctx, id)
	}
	// After a freeze a context learns late that its time is over, so this asks the clock: the entity may be too old by now.
	if end, ok := ctx.Deadline(); err == nil && ok && !time.Now().Before(end) {
		return Entry{}, context.DeadlineExceeded
	}
	return e, err
}

// findInMemory looks into the process, and then where the entity comes from. Each key has at most one such search running.
func (k *Kind) findInMemory(ctx context.Context, id string) (Entry, error) {
	name := Name{k.prefix, id}
	if e, ok := k.memory.get(name); ok {
		k.cache.count(ctx, Memory)
		return e, nil
	}
	note(ctx, Shared)
	return k.loads.do(ctx, id, func() (Entry, error) {
		if e, ok := k.memory.get(name); ok { // another reader has just filled it
			return e, nil
		}
		t := k.memory.ticket()
		e, err := k.fromServersAlone(ctx, id)
		if err != nil {
			return e, err
		}
		if e.Value, err = k.decode(e.Bytes); err == nil {
			k.memory.fill(name, t, e, e.Value)
		}
		return Entry{Value: e.Value, Now: e.Now}, err
	})
}

// find looks into Redis. If each lookup is a call, many readers of one key share one.
//
// It and the functions below it write what they find to e. If each returned it, the copies in their frames would take the stack of a
// request from 8 to 16 kB.
func (k *Kind) find(ctx context.Context, id string, e *Entry) error {
	c := k.cache
	if c.client == nil || c.batched() {
		return k.fromServers(ctx, id, k.loads.do, e)
	}
	defer c.readers.Add(-1)
	if c.readers.Add(1) <= maxDirectLookups {
		return k.fromServers(ctx, id, k.loads.do, e)
	}
	note(ctx, Shared)
	return k.findShared(ctx, id, e)
}

func (k *Kind) findShared(ctx context.Context, id string, e *Entry) (err error) {
	*e, err = k.loads.do(ctx, k.cache.key(k.prefix, id), func() (Entry, error) { return k.fromServersAlone(ctx, id) })
	return err
}

// sharing runs a load, perhaps for several readers of a key.
type sharing func(ctx context.Context, key string, load func() (Entry, error)) (Entry, error)

// fromServersAlone is for a load that is shared already.
func (k *Kind) fromServersAlone(ctx context.Context, id string) (e Entry, err error) {
	alone := func(_ context.Context, _ string, load func() (Entry, error)) (Entry, error) { return load() }
	err = k.fromServers(ctx, id, alone, &e)
	return e, err
}

// fromServers looks into Redis, and if need be loads.
func (k *Kind) fromServers(ctx context.Context, id string, share sharing, e *Entry) error {
	c := k.cache
	key := c.key(k.prefix, id)
	if c.client == nil {
		return k.loadFor(ctx, key, id, share, nil, e)
	}
	if c.bypass.has(key, c.now) || !c.breaker.allow(c.now) {
		c.count(ctx, Bypassed)
		return k.loadFor(ctx, key, id, share, nil, e)
	}
	var v *view
	var r reading
	othersSync := false
	database, err := c.identify(ctx)
	if err == nil {
		v = k.in(database)
		othersSync, err = v.readSynced(ctx, key, &r)
	}
	switch {
	case errors.Is(err, postgres.ErrUnavailable):
		return err // the load would get no answer either, and there is no time to wait twice
	case othersSync:
		c.count(ctx, Untrusted)
		return k.loadFor(ctx, key, id, share, v, e)
	case err != nil || !r.within(MaxStaleness):
		c.count(ctx, Untrusted)
		return k.loadFor(ctx, key, id, share, nil, e)
	case r.value != nil:
		c.count(ctx, Hit)
		r.serve(e, v.id)
		return nil
	case r.bad:
		c.stats.redisErrors.Add(1)
		_ = c.delete(ctx, []string{key}) // otherwise no reader could fill the key before it expires
	}
	c.count(ctx, Miss)
	return k.loadFor(ctx, key, id, share, v, e)
}

// loadFor loads under a lease of v, or past Redis if v is nil. Inlined, it would make the frame of each hit larger.
//
//go:noinline
func (k *Kind) loadFor(ctx context.Context, key, id string, share sharing, v *view, e *Entry) (err error) {
	*e, err = share(ctx, key, func() (Entry, error) {
		if v == nil {
			return k.load(ctx, id)
		}
		return v.miss(ctx, key, id)
	})
	return err
}

// readSynced looks up the key, and syncs if the watermark is older than SyncAge. othersSync reports that the watermark is
// too old to serve under, and that another process is syncing. An error of PostgreSQL is always ErrUnavailable.
func (v *view) readSynced(ctx context.Context, key string, r *reading) (othersSync bool, _ error) {
	c := v.cache
	if err := v.read(ctx, key, r); err != nil {
		return false, err
	}
	if r.t != 0 {
		c.stats.watermarkAge.Store(r.ms - r.t)
	}
	if r.within(SyncAge) {
		return false, nil
	}
	began := c.now()
	syncErr := c.sync(ctx, v.id, key)
	switch {
	case errors.Is(syncErr, errOtherDatabase):
		*r = reading{}
		return false, nil
	case r.within(MaxStaleness - c.now().Sub(began)): // however the sync ended, the reading is fresh enough
		return false, nil
	case syncErr == nil:
		return false, v.read(ctx, key, r)
	case errors.Is(syncErr, postgres.ErrUnavailable):
		return false, syncErr
	}
	*r = reading{}
	return errors.Is(syncErr, errNotMine), nil
}

// miss loads under a lease, and fills if the lease is still there.
func (v *view) miss(ctx context.Context, key, id string) (e Entry, _ error) {
	token := v.cache.token()
	// The bypass is read before the lease: if it has ended by now, a fresh watermark has seen the write.
	bypassed := v.cache.bypass.has(key, v.cache.now)
	l, err := v.script(ctx, key, token)
	if err == nil && l.refused() && !bypassed {
		l, err = v.await(ctx, key, token)
	}
	if err == nil && l.value != nil && !bypassed {
		l.serve(&e, v.id) // another process has filled it
		return e, nil
	}
	e, loadErr := v.load(ctx, id)
	switch {
	case loadErr != nil && l.granted:
		_ = v.cache.delete(ctx, []string{key}) // the lease: no reader waits for what is not there
		return e, loadErr
	case loadErr != nil || err != nil || !l.granted:
		return e, loadErr
	}
	v.fill(ctx, key, token, l, e)
	return e, nil
}

// await asks for the lease again until another reader has filled, or the lease is free. That reader may be loading this
// entity, or syncing. If the waiting readers loaded too, every process would load a popular key over and over.
func (v *view) await(ctx context.Context, key, token string) (l lease, err error) {
	c := v.cache
	if until := c.noWaitUntil.Load(); until != nil && c.now().Before(*until) {
		return lease{}, nil
	}
	timer := time.NewTimer(waitStep)
	defer timer.Stop()
	for range waitSteps {
		select {
		case <-ctx.Done():
			return lease{}, ctx.Err()
		case <-timer.C:
		}
		if l, err = v.script(ctx, key, token); err != nil || !l.refused() {
			return l, err
		}
		timer.Reset(waitStep)
	}
	later := c.now().Add(c.budgets.Lease) // the other reader is slow or dead: until then no reader waits for it
	c.noWaitUntil.Store(&later)
	return l, nil
}
