package systemtest_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twitchtv/twirp"
	"pgregory.net/rapid"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/testenv"
)

// machineStore is one of the two stores that run in lockstep, each on its own database. It maps the model's numbers to its ids.
type machineStore struct {
	*testenv.Env
	t        testing.TB
	name     string
	programs []*app.Program
	clients  []*clients

	users, tokens []string
	characters    []int64
	// behind is set while the cache may lag by MaxStaleness: after a change by the web application, and after a write that could
	// not delete from Redis.
	behind bool
}

func newMachineStore(t testing.TB, name string, programs int) *machineStore {
	t.Helper()
	s := &machineStore{Env: testenv.New(t, testenv.Variants[0], testenv.RedisKinds()[0]), t: t, name: name}
	for range programs {
		p := s.Open(t, testenv.AlsoPurge, func(c *app.Options) { c.Characters.Slots = machineSlots })
		s.programs, s.clients = append(s.programs, p), append(s.clients, serve(t, p))
	}
	return s
}

func (s *machineStore) failedDeletes() (n uint64) {
	for _, p := range s.programs {
		n += p.Cache.Stats().FailedDeletes
	}
	return n
}

// catchUp makes MaxStaleness pass if the cache may lag.
func (s *machineStore) catchUp() {
	if !s.behind {
		return
	}
	s.behind = false
	s.AgeWatermark(s.t, 2*cache.MaxStaleness)
}

// seen returns a character with the model's numbers.
func (s *machineStore) seen(c *databasev1.Character) seenCharacter {
	if c == nil {
		return seenCharacter{}
	}
	return seenCharacter{
		Number: slices.Index(s.characters, c.Id), User: slices.Index(s.users, c.UserId), Name: c.Name, Slot: c.Slot, Level: c.Level,
		Version: c.Version, Money: c.Money, State: c.State, CountsDown: c.SecondsUntilDeletion > 0 && c.DeleteAt != nil,
		WithInventory: c.Inventory != nil,
	}
}

// call is one call on one store. Its answer has the model's types.
type call func(s *machineStore, c *clients) (answer any, err error)

// each makes a call on each store through a random program and checks that the answer is the model's. If an error is expected,
// it compares only the error.
func (m *machine) each(t *rapid.T, what string, want any, fails fault, f call) {
	m.eachThrough(t, what, rapid.IntRange(0, 1).Draw(t, "program"), want, fails, f)
}

func (m *machine) eachThrough(t *rapid.T, what string, program int, want any, fails fault, f call) {
	for _, s := range m.stores {
		s.catchUp()
		m.ask(t, s, what, program, want, fails, f)
	}
}

// eachLive is each for data that is never cached and therefore never lags.
func (m *machine) eachLive(t *rapid.T, what string, want any, fails fault, f call) {
	program := rapid.IntRange(0, 1).Draw(t, "program")
	for _, s := range m.stores {
		m.ask(t, s, what, program, want, fails, f)
	}
}

func (m *machine) ask(t *rapid.T, s *machineStore, what string, program int, want any, fails fault, f call) {
	failed := s.failedDeletes()
	got, again, err := machinePatiently(t, func() (any, error) { return f(s, s.clients[program%len(s.clients)]) })
	s.behind = s.behind || s.failedDeletes() > failed
	if faultOf(err) != fails {
		t.Fatalf("%s, program %d: %s = %v, want %v", s.name, program, what, err, fails)
	}
	firstTime := cmp.FilterPath(func(p cmp.Path) bool {
		field := p.Last().String()
		return again && (field == ".Replayed" || field == ".Extended")
	}, cmp.Ignore())
	if d := cmp.Diff(want, got, firstTime); err == nil && d != "" {
		t.Fatalf("%s, program %d: %s (-want +got):\n%s", s.name, program, what, d)
	}
	if e, ok := errors.AsType[twirp.Error](err); ok && fails.reason == "VERSION_MISMATCH" && e.Meta("current_version") != want {
		t.Fatalf("%s: %s: the current version is %s, want %v", s.name, what, e.Meta("current_version"), want)
	}
}

// machinePatiently repeats a call while its result is unknown because the machine is busy. Writes carry an id for that.
func machinePatiently(t *rapid.T, f func() (any, error)) (answer any, again bool, err error) {
	for ; ; again = true {
		answer, err = f()
		switch faultOf(err).code {
		case twirp.Unavailable, twirp.DeadlineExceeded, twirp.ResourceExhausted:
			time.Sleep(10 * time.Millisecond)
		default:
			return answer, again, err
		}
		if t.Context().Err() != nil {
			return answer, again, err
		}
	}
}

// web runs a statement of the web application in each store.
func (m *machine) web(t *rapid.T, sql string, args func(s *machineStore) []any) {
	for _, s := range m.stores {
		if _, err := s.Web.Exec(t.Context(), s.Expand(sql), args(s)...); err != nil {
			t.Fatalf("%s: %s: %v", s.name, sql, err)
		}
		s.behind = true
	}
}

// addUser creates a user in each store.
func (m *machine) addUser(name string) {
	m.users = append(m.users, &modelUser{name: name, there: true})
	for _, s := range m.stores {
		s.users = append(s.users, s.AddUser(s.t, name))
		s.behind = true
	}
}

// seenUser is a user in an answer.
type seenUser struct {
	Number int
	Name   string
	Banned bool
}

func (s *machineStore) seenUser(u *databasev1.User) seenUser {
	seen := seenUser{slices.Index(s.users, u.GetId()), u.GetName(), u.GetBanned()}
	if name := strings.ToLower(u.GetName()); u.GetUsername() != name || u.GetEmail() != name+"@example.com" {
		seen.Name = "of several users: " + u.String()
	}
	return seen
}
