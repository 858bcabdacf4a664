package systemtest_test

import (
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characters"
)

// machine runs the same calls on an uncached store, a cached store and a model.
type machine struct {
	model
	stores []*machineStore
	cached *machineStore
	names  []string // of characters
	called []string // names that users have or had
}

// TestStateMachine makes random calls, changes by the web application and faults of Redis. At each step a store without a cache,
// a store with a cache that two programs share, and the model must give the same answer. With the tag e2e it makes more.
func TestStateMachine(t *testing.T) {
	t.Parallel()
	playMachine(t)
}

func playMachine(t *testing.T) {
	t.Helper()
	uncached, cached := newMachineStore(t, "uncached", 1), newMachineStore(t, "cached", 2)
	uncached.RDProxy.Refuse()
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(uncached, cached)
		for user := range m.users {
			m.signIn(user, user == 0)
			m.createAs(t, modelCreate{user: user, name: m.names[3*user], id: conformUUID()})
		}
		t.Repeat(m.actions())
		m.end(t)
	})
	var fills, syncs uint64 // one program may make all of them
	for _, p := range cached.programs {
		s := p.Cache.Stats()
		if fills, syncs = fills+s.Fills, syncs+s.Syncs; s.Hits == 0 {
			t.Errorf("the cache was not used: %+v", s)
		}
	}
	if fills == 0 || syncs == 0 {
		t.Errorf("%d fills and %d syncs, want some", fills, syncs)
	}
	if s := uncached.programs[0].Cache.Stats(); s.Hits > 0 {
		t.Errorf("the uncached store has a cache: %+v", s)
	}
}

// newMachine starts with users that no other run has.
func newMachine(uncached, cached *machineStore) *machine {
	m := &machine{stores: []*machineStore{uncached, cached}, cached: cached}
	for _, s := range m.stores {
		s.users, s.tokens, s.characters = nil, nil, nil
	}
	cached.RDProxy.Accept()
	for range 2 {
		name := newName()
		m.addUser(name)
		m.called = append(m.called, name)
		m.names = append(m.names, name, strings.ToUpper(name), name+"b")
	}
	return m
}

func (m *machine) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"create":   m.actCreate,
		"save":     m.actSave,
		"delete":   m.actDelete,
		"delete 2": m.actDelete, // a second entry makes deletions as frequent as their reversals
		"restore":  m.actRestore,
		"get":      m.actGet,
		"list":     m.actList,
		"time":     m.actTime,
		"purge":    m.actPurge,
		"rename":   m.actRename,
		"ban":      m.actBan,
		"remove":   m.actRemove,
		"user":     m.actUser,
		"sign in":  m.actSignIn,
		"revoke":   m.actRevoke,
		"refresh":  m.actRefresh,
		"session":  m.actSession,
		"evict":    m.actEvict,
		"redis":    m.actRedis,
	}
}

func pick[T any](t *rapid.T, label string, of ...T) T { return rapid.SampledFrom(of).Draw(t, label) }

func (m *machine) user(t *rapid.T) int { return rapid.IntRange(0, len(m.users)-1).Draw(t, "user") }

// character draws one of all characters, and the owner that a request names. The owner is sometimes wrong.
func (m *machine) character(t *rapid.T) (c *modelCharacter, owner int, ok bool) {
	if len(m.characters) == 0 {
		return nil, 0, false
	}
	c = m.characters[len(m.characters)-1-rapid.IntRange(0, len(m.characters)-1).Draw(t, "character, from the last")]
	owner = c.User
	if rapid.IntRange(0, 9).Draw(t, "owner") == 9 {
		owner = 1 - owner
	}
	return c, owner, true
}

// checkCharacter reads a character and its owner's list through every program of every store.
func (m *machine) checkCharacter(t *rapid.T, c *modelCharacter) {
	want, fails := any(c.seen(fullView)), none
	if !c.visible() {
		fails = noSuchCharacter
	}
	for program := range m.cached.clients {
		m.eachThrough(t, "GetCharacter", program, want, fails, func(s *machineStore, service *clients) (any, error) {
			a, err := service.characters.GetCharacter(t.Context(), getCharacter(s.characters[c.Number]))
			return s.seen(a.GetCharacter()), err
		})
		m.checkList(t, program, c.User, 0, false)
	}
}

func (m *machine) checkList(t *rapid.T, program, user int, view databasev1.CharacterView, withoutMarked bool) {
	want := m.list(user, view, withoutMarked)
	m.eachThrough(t, "GetCharacterList", program, want, none, func(s *machineStore, service *clients) (any, error) {
		r := &databasev1.GetCharacterListRequest{UserId: s.users[user], View: view, ExcludePendingDeletion: withoutMarked}
		a, err := service.characters.GetCharacterList(t.Context(), r)
		var l []seenCharacter
		for _, c := range a.GetCharacters() {
			l = append(l, s.seen(c))
		}
		return l, err
	})
}

// end checks all characters and lists.
func (m *machine) end(t *rapid.T) {
	for _, c := range m.characters {
		m.checkCharacter(t, c)
	}
	for u := range m.users {
		m.checkList(t, 0, u, fullView, false)
	}
}

func (m *machine) actGet(t *rapid.T) {
	c, owner, ok := m.character(t)
	if !ok {
		return
	}
	view := pick(t, "view", 0, basicView, fullView)
	fails := none
	if !c.visible() || owner != c.User {
		fails = noSuchCharacter
	}
	m.each(t, "GetCharacter", c.seen(view), fails, func(s *machineStore, service *clients) (any, error) {
		r := &databasev1.GetCharacterRequest{UserId: s.users[owner], CharacterId: s.characters[c.Number], View: view}
		a, err := service.characters.GetCharacter(t.Context(), r)
		return s.seen(a.GetCharacter()), err
	})
}

func (m *machine) actList(t *rapid.T) {
	program := rapid.IntRange(0, 1).Draw(t, "program")
	m.checkList(t, program, m.user(t), pick(t, "view", 0, basicView, fullView), rapid.Bool().Draw(t, "without those marked"))
}

// actTime makes the deletion time of a character pass.
func (m *machine) actTime(t *rapid.T) {
	c, _, ok := m.character(t)
	if !ok || !c.visible() || c.State != isMarked {
		return
	}
	for _, s := range m.stores {
		sql := `UPDATE game.character SET delete_at = now() - interval '1 s' WHERE id = $1`
		if _, err := s.Owner.Exec(t.Context(), sql, s.characters[c.Number]); err != nil {
			t.Fatal(err)
		}
		s.behind = true
	}
	c.due = true
	m.checkCharacter(t, c)
}

// actPurge changes nothing that is visible to a caller.
func (m *machine) actPurge(t *rapid.T) {
	for _, s := range m.stores {
		p := s.programs[0]
		r := characters.NewRepository(p.DB, p.Cache)
		if _, _, err := machinePatiently(t, func() (any, error) { return r.Purge(t.Context()) }); err != nil {
			t.Fatalf("Purge = %v", err)
		}
	}
	for _, c := range m.characters {
		m.checkCharacter(t, c)
	}
}

// actEvict deletes one key from Redis.
func (m *machine) actEvict(t *rapid.T) {
	keys := []string{m.cached.Watermark(m.cached.t), m.cached.SyncLock(m.cached.t)}
	for i, u := range m.cached.users {
		keys = append(keys, "user:"+u, "characters:"+u, "user:username:"+strings.ToLower(m.users[i].name))
	}
	for _, c := range m.cached.characters {
		keys = append(keys, "character:"+strconv.FormatInt(c, 10))
	}
	if err := m.cached.Redis.Client.Del(t.Context(), pick(t, "key", keys...)).Err(); err != nil {
		t.Fatal(err)
	}
}

// actRedis begins or ends a fault of Redis.
func (m *machine) actRedis(t *rapid.T) {
	switch pick(t, "fault", "flush", "accept", "reset", "refuse") {
	case "flush":
		if err := m.cached.Redis.Client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	case "refuse":
		m.cached.RDProxy.Refuse()
	case "reset":
		m.cached.RDProxy.Reset()
	default:
		m.cached.RDProxy.Accept()
	}
}
