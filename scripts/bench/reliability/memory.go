package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
	"github.com/osirose-new/database-service/shared/app"
	store "github.com/osirose-new/database-service/shared/cache/memory"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/faultproxy"
	"github.com/osirose-new/database-service/shared/services"
)

const (
	memoryReads     = 100_000_000
	memoryWriters   = 4
	memoryWriteTime = 2 * time.Millisecond // between two writes of a writer, on average
	memoryFaultTime = 400 * time.Millisecond
)

// commit is a version of a user that the web application has committed by then.
type commit struct {
	version int64
	by      time.Time
}

// watched is a user whose versions are known.
type watched struct {
	id      string
	commits atomic.Pointer[[]commit] // the last ones, oldest first
	version int64                    // written last; of its writer
}

// least returns the version that a read must see at least that begins now.
func (u *watched) least(now time.Time) int64 {
	commits := *u.commits.Load()
	for i := len(commits) - 1; i >= 0; i-- {
		if now.Sub(commits[i].by) > bound {
			return commits[i].version
		}
	}
	return 0
}

func (u *watched) committed(version int64) {
	old := *u.commits.Load()
	if len(old) > 32 && time.Since(old[len(old)-32].by) > 2*bound {
		old = old[len(old)-32:]
	}
	next := append(append([]commit(nil), old...), commit{version, time.Now()})
	u.commits.Store(&next)
}

// memoryRun reads users in this process, as the service does, while the web application writes and servers fail.
type memoryRun struct {
	w               *world
	program         *app.Program
	users           databasev1.UserService
	postgres, redis *faultproxy.Proxy
	watched         []*watched
	stale, failed   atomic.Int64
	writes, faults  atomic.Int64
}

func runMemory(ctx context.Context, w *world) (section, error) {
	s := section{title: "Users in the process"}
	m, err := newMemoryRun(ctx, w)
	if err != nil {
		return s, err
	}
	defer m.program.Close()
	reads := uint64(w.count(memoryReads))
	log.Printf("%d reads in the process", reads)
	start := time.Now()
	ctx, stop := context.WithCancel(ctx)
	var others, readers sync.WaitGroup
	for i := range memoryWriters {
		others.Go(func() { m.write(ctx, i) })
	}
	others.Go(func() { m.fail(ctx) })
	for range runtime.GOMAXPROCS(0) {
		readers.Go(func() {
			for ctx.Err() == nil && m.program.Cache.Stats().MemoryHits < reads {
				for range 1000 {
					m.read(ctx)
				}
			}
		})
	}
	readers.Wait()
	stop()
	others.Wait()
	n := m.program.Cache.Stats()
	s.add(fmt.Sprintf("reads staler than %v, of reads in the process", bound), "0",
		fmt.Sprintf("%d of %s", m.stale.Load(), thousands(int(n.MemoryHits))), m.stale.Load() == 0 && n.MemoryHits >= reads && n.MemoryEras > 1)
	s.note("In %v: %s updates by the web application, %s faults, %s syncs, %s of them with a new beginning, %s values not kept, %s failed reads while PostgreSQL hung.",
		time.Since(start).Round(time.Second), thousands(int(m.writes.Load())), thousands(int(m.faults.Load())), thousands(int(n.MemorySyncs)),
		thousands(int(n.MemoryEras)), thousands(int(n.MemoryRefusedFills)), thousands(int(m.failed.Load())))
	return s, nil
}

func newMemoryRun(ctx context.Context, w *world) (*memoryRun, error) {
	m := &memoryRun{w: w}
	var err1, err2 error
	m.postgres, err1 = faultproxy.New(w.Postgres.Addr())
	m.redis, err2 = faultproxy.New(w.Redis.Addr)
	c, err3 := config.Read(func(string) string { return "" })
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	c.DatabaseURL, c.RedisURL = w.ServiceURL(m.postgres.Addr()), "redis://"+m.redis.Addr()
	var err error
	m.program, err = app.Open(app.Options{Config: c, Memory: store.New(c.CacheMemory), LogTo: io.Discard})
	if err != nil {
		return nil, err
	}
	m.users = services.New(m.program).Users
	if _, err := w.DB.Exec(ctx, `UPDATE "user" SET name = '0'`); err != nil {
		return nil, err
	}
	for _, id := range w.users {
		u := &watched{id: id}
		u.commits.Store(&[]commit{})
		m.watched = append(m.watched, u)
	}
	return m, nil
}

func (m *memoryRun) read(ctx context.Context) {
	u := m.watched[rand.IntN(len(m.watched))]
	least := u.least(time.Now())
	got, err := m.users.GetUser(ctx, &databasev1.GetUserRequest{UserId: u.id})
	if err != nil {
		m.failed.Add(1)
		return
	}
	if version, err := strconv.ParseInt(got.User.Name, 10, 64); err != nil || version < least {
		m.stale.Add(1)
	}
}

// write updates the users of one writer as the web application does.
func (m *memoryRun) write(ctx context.Context, writer int) {
	calls := context.WithoutCancel(ctx)
	for testbed.Pause(ctx, rand.N(2*memoryWriteTime)) {
		u := m.watched[rand.IntN(len(m.watched)/memoryWriters)*memoryWriters+writer]
		u.version++
		if _, err := m.w.DB.Exec(calls, renameSQL, u.id, strconv.FormatInt(u.version, 10)); err == nil {
			u.committed(u.version)
			m.writes.Add(1)
		}
	}
}

// fail does something to the servers again and again.
func (m *memoryRun) fail(ctx context.Context) {
	calls := context.WithoutCancel(ctx)
	hang := func(p *faultproxy.Proxy) func() {
		return func() {
			p.Hold()
			testbed.Pause(calls, rand.N(1500*time.Millisecond))
			p.Release()
		}
	}
	sql := func(statement string) func() { return func() { _, _ = m.w.DB.Exec(calls, statement) } }
	faults := []func(){
		hang(m.redis), hang(m.postgres), m.redis.Reset, m.postgres.Reset,
		func() { m.w.Redis.Client.FlushAll(calls) },
		func() { m.w.Redis.Client.Del(calls, "user:"+m.watched[rand.IntN(len(m.watched))].id) },
		sql(`UPDATE game.cache_key SET key = DEFAULT`),
		sql(`INSERT INTO game.cache_change AS c (key, xid) VALUES ('*', pg_current_xact_id()) ON CONFLICT (key) DO UPDATE SET xid = excluded.xid`),
		sql(`INSERT INTO game.cache_change AS c (key, xid) SELECT 'other:' || n, pg_current_xact_id() FROM generate_series(1, 10001) AS n ON CONFLICT (key) DO UPDATE SET xid = excluded.xid`),
	}
	for testbed.Pause(ctx, rand.N(2*memoryFaultTime)) {
		faults[rand.IntN(len(faults))]()
		m.faults.Add(1)
	}
}
