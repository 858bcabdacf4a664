package systemtest_test

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/testenv"
)

// conformanceStore is one kind of store behind the services.
type conformanceStore struct {
	name, redis string
	protocol    request.Protocol
	matrix      bool                             // whether its protocol is compared with the others
	hits        string                           // "none", "some", or "" for any number
	spoil       func(*testenv.Env, *app.Program) // breaks Redis for the whole test
}

func conformanceStores() []conformanceStore {
	sound := func(*testenv.Env, *app.Program) {}
	kinds := testenv.RedisKinds()
	stores := []conformanceStore{
		{"uncached", kinds[0], request.Protobuf, false, "none", func(e *testenv.Env, _ *app.Program) { e.RDProxy.Refuse() }},
		{"half of the calls to redis fail", kinds[0], request.Protobuf, false, "", func(_ *testenv.Env, p *app.Program) {
			p.Redis.AddHook(halfFails{})
		}},
	}
	for _, kind := range kinds[1:] {
		stores = append(stores, conformanceStore{kind, kind, request.Protobuf, false, "some", sound})
	}
	for _, protocol := range protocols {
		stores = append(stores, conformanceStore{kinds[0] + " by " + string(protocol), kinds[0], protocol, true, "some", sound})
	}
	return stores
}

// halfFails is a hook that fails one call of two, as a broken connection does.
type halfFails struct{}

func (halfFails) err() error {
	if rand.IntN(2) == 0 {
		return &net.OpError{Op: "read", Err: errors.New("connection reset")}
	}
	return nil
}

// DialHook implements redis.Hook.
func (h halfFails) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (h halfFails) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		if err := h.err(); err != nil {
			return err
		}
		return next(ctx, command)
	}
}

// ProcessPipelineHook implements redis.Hook.
func (h halfFails) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		if err := h.err(); err != nil {
			return err
		}
		return next(ctx, commands)
	}
}

// conform is the environment of a scenario.
type conform struct {
	testing.TB
	*testenv.Env
	*clients
	seen     *results
	spoil    func(*app.Program)
	noIDs    *clients // of a program that refuses session_id
	nameless *conform // on a database without usernames
}

// newConform starts a store with everything that scenarios need.
func newConform(t *testing.T, s conformanceStore, seen *results) *conform {
	t.Helper()
	on := func(variant string) *conform {
		e := testenv.New(t, variant, s.redis, testenv.AlsoStaff)
		c := &conform{TB: t, Env: e, seen: seen, spoil: func(p *app.Program) { s.spoil(e, p) }}
		c.clients = c.open(t, e.Program)
		c.shiftIDs()
		return c
	}
	c := on(testenv.Variants[0])
	c.nameless = on("core")
	c.noIDs = c.open(t, c.Open(t, func(c *app.Options) { c.Sessions.RefuseSessionID = true }))
	return c
}

// open serves a program with the faults of this store.
func (c *conform) open(t testing.TB, p *app.Program) *clients {
	t.Helper()
	c.spoil(p)
	return c.seen.clients(t, serve(t, p).url)
}

// shiftIDs makes each protocol's store number its rows from another number on, as after a scenario that was repeated.
func (c *conform) shiftIDs() {
	c.Helper()
	c.OwnerExec(c, `SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, $1) FROM pg_sequences WHERE schemaname = 'game'`,
		1000*(1+slices.Index(protocols, c.seen.protocol)))
}

// web changes something as the web application. The cache may lag behind such a change by MaxStaleness, and web returns as if
// that time had passed.
func (c *conform) web(sql string, args ...any) {
	c.Helper()
	c.WebExec(c, sql, args...)
	c.passMaxStaleness()
}

func (c *conform) owner(sql string, args ...any) {
	c.Helper()
	c.OwnerExec(c, sql, args...)
	c.passMaxStaleness()
}

func (c *conform) passMaxStaleness() {
	c.Helper()
	c.AgeWatermark(c, 2*cache.MaxStaleness)
}

// errBusy ends a scenario because the machine was too slow for a request. The scenario is then repeated.
var errBusy = errors.New("the machine is busy")

// run runs a scenario. A scenario without a name is not compared with other protocols.
func (c *conform) run(t *testing.T, name string, scenario func(*conform)) {
	here := *c
	here.TB = t
	for range 200 {
		c.seen.begin(name)
		if !here.busy(scenario) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal(errBusy)
}

func (c *conform) busy(scenario func(*conform)) (busy bool) {
	defer func() {
		if p := recover(); p != nil {
			if p != errBusy {
				panic(p)
			}
			busy = true
		}
	}()
	scenario(c)
	return false
}

// ok makes a call that must succeed.
func ok[Q, A any](c *conform, call func(context.Context, Q) (A, error), request Q) A {
	c.Helper()
	a, err := call(c.Context(), request)
	if code := faultOf(err).code; code == twirp.Unavailable || code == twirp.DeadlineExceeded {
		panic(errBusy)
	}
	if err != nil {
		c.Fatalf("%T{%v} = %v %v, want success", request, request, err, faultOf(err))
	}
	return a
}

// refuses makes a call that must fail with want.
func refuses[Q, A any](c *conform, call func(context.Context, Q) (A, error), request Q, want fault) twirp.Error {
	c.Helper()
	_, err := call(c.Context(), request)
	got := faultOf(err)
	if got.code != want.code && (got.code == twirp.Unavailable || got.code == twirp.DeadlineExceeded) {
		panic(errBusy)
	}
	if got != want {
		c.Fatalf("%T{%v} = %v, want %v", request, request, err, want)
	}
	e, _ := errors.AsType[twirp.Error](err)
	return e
}

// badArguments makes calls whose errors must name the arguments.
func badArguments[Q, A any](c *conform, call func(context.Context, Q) (A, error), requests map[string]Q) {
	c.Helper()
	for _, argument := range slices.Sorted(maps.Keys(requests)) {
		e := refuses(c, call, requests[argument], argumentFault)
		name, _, _ := strings.Cut(argument, " ")
		if got := e.Meta("argument"); got != name {
			c.Errorf("%T with a wrong %s: the error names %q", requests[argument], argument, got)
		}
	}
}

var argumentFault = fault{twirp.InvalidArgument, "ARGUMENT"}
