package systemtest_test

import (
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characters"
)

// machine drives an uncached store, a cached one, and a model of them.
type machine struct {
	model
	stores []*machineStore
	cached *machineStore
	names  []string // that characters are given
	called []string // names that users had
}

// TestStateMachine makes random calls, changes of the web application and mishaps of Redis, and finds that the answers of
// a store without a cache, of one with a cache that two programs share, and of the model are the same at each step.
func TestStateMachine(t *testing.T) {
	t.Parallel()
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
	for _, p := range cached.programs {
		if s := p.Cache.Stats(); s.Hits == 0 || s.Fills == 0 || s.Syncs == 0 {
			t.Errorf("the cache had nothing to do: %+v", s)
		}
	}
	if s := uncached.programs[0].Cache.Stats(); s.Hits > 0 {
		t.Errorf("the uncached store has a cache: %+v", s)
	}
}

// newMachine begins with users that no other run has.
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
		"delete 2": m.actDelete, // as often as the others together undo it
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

// character is one of those that were ever made, and whose a request says that it is.
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

// look has every program of every store read a character and its owner's list.
func (m *machine) look(t *rapid.T, c *modelCharacter) {
	want, fails := any(c.seen(fullView)), none
	if !c.visible() {
		fails = noSuchCharacter
	}
	for program := range m.cached.clients {
		m.eachThrough(t, "GetCharacter", program, want, fails, func(s *machineStore, service *clients) (any, error) {
			a, err := service.characters.GetCharacter(t.Context(), getCharacter(s.characters[c.Number]))
			return s.seen(a.GetCharacter()), err
		})
		m.lookAtList(t, program, c.User, 0, false)
	}
}

func (m *machine) lookAtList(t *rapid.T, program, user int, view databasev1.CharacterView, withoutMarked bool) {
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

// end looks at everything.
func (m *machine) end(t *rapid.T) {
	for _, c := range m.characters {
		m.look(t, c)
	}
	for u := range m.users {
		m.lookAtList(t, 0, u, fullView, false)
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
	m.lookAtList(t, program, m.user(t), pick(t, "view", 0, basicView, fullView), rapid.Bool().Draw(t, "without those marked"))
}

// actTime has the deadline of a character pass.
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
	m.look(t, c)
}

// actPurge changes nothing that a caller could see.
func (m *machine) actPurge(t *rapid.T) {
	for _, s := range m.stores {
		p := s.programs[0]
		r := characters.NewRepository(p.DB, p.Cache)
		if _, _, err := machinePatiently(t, func() (any, error) { return r.Purge(t.Context()) }); err != nil {
			t.Fatalf("Purge = %v", err)
		}
	}
	for _, c := range m.characters {
		m.look(t, c)
	}
}

// actEvict takes one key from Redis.
func (m *machine) actEvict(t *rapid.T) {
	keys := []string{"wm", "wm:lock"}
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

// actRedis is what befalls a whole Redis.
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
