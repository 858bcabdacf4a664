package systemtest_test

import (
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

func (m *machine) actCreate(t *rapid.T) {
	r := modelCreate{user: m.user(t), name: pick(t, "name", m.names...), id: conformUUID(), money: rapid.Int64Range(0, 1).Draw(t, "money")}
	if c, _, ok := m.character(t); ok && rapid.IntRange(0, 4).Draw(t, "new request") == 0 {
		r.id = c.request.id
		if rapid.Bool().Draw(t, "the same request") {
			r = c.request
		}
	}
	m.createAs(t, r)
}

func (m *machine) createAs(t *rapid.T, r modelCreate) {
	made, replayed, fails := m.create(r)
	type answer struct {
		Character seenCharacter
		Replayed  bool
	}
	want := answer{Replayed: replayed}
	if made != nil {
		want.Character = made.seen(fullView)
	}
	m.each(t, "CreateCharacter", want, fails, func(s *machineStore, service *clients) (any, error) {
		request := &databasev1.CreateCharacterRequest{UserId: s.users[r.user], Name: r.name, Money: r.money, RequestId: r.id}
		a, err := service.characters.CreateCharacter(t.Context(), request)
		if err == nil && !replayed && len(s.characters) < len(m.characters) {
			s.characters = append(s.characters, a.Character.Id)
		}
		return answer{s.seen(a.GetCharacter()), a.GetReplayed()}, err
	})
	if made != nil {
		m.checkCharacter(t, made)
	}
}

func (m *machine) actSave(t *rapid.T) {
	c, owner, ok := m.character(t)
	if !ok {
		return
	}
	type answer struct {
		Version  int64
		Replayed bool
	}
	id, expected := conformUUID(), max(1, c.Version+pick[int64](t, "on version", 0, 0, 0, 0, -1, 1))
	if c.save != "" && rapid.IntRange(0, 4).Draw(t, "new save") == 0 {
		id, expected = c.save, c.saved-1
	}
	money := rapid.Int64Range(0, 1000).Draw(t, "money")
	if id == c.save && rapid.Bool().Draw(t, "the same save") {
		money = c.savedMoney
	}
	version, replayed, fails := int64(0), false, noSuchCharacter
	if owner == c.User {
		version, replayed, fails = c.saveAs(id, expected, money)
	}
	want := any(answer{version, replayed})
	if fails.reason == "VERSION_MISMATCH" {
		want = strconv.FormatInt(version, 10)
	}
	m.each(t, "SaveCharacter", want, fails, func(s *machineStore, service *clients) (any, error) {
		a, err := service.characters.SaveCharacter(t.Context(), &databasev1.SaveCharacterRequest{
			UserId: s.users[owner], CharacterId: s.characters[c.Number], ExpectedVersion: expected, SaveId: id, Money: proto.Int64(money),
		})
		return answer{a.GetVersion(), a.GetReplayed()}, err
	})
	m.checkCharacter(t, c)
}

func (m *machine) actDelete(t *rapid.T) {
	c, owner, ok := m.character(t)
	if !ok {
		return
	}
	mode := pick(t, "mode", atOnce, 0, 1)
	name := pick(t, "expected name", "", c.Name, "another")
	fails := noSuchCharacter
	if owner == c.User {
		fails = c.delete(mode, name)
	}
	m.each(t, "DeleteCharacter", c.seen(fullView), fails, func(s *machineStore, service *clients) (any, error) {
		a, err := service.characters.DeleteCharacter(t.Context(), &databasev1.DeleteCharacterRequest{
			UserId: s.users[owner], CharacterId: s.characters[c.Number], Mode: mode, ExpectedName: name,
		})
		return s.seen(a.GetCharacter()), err
	})
	m.checkCharacter(t, c)
}

func (m *machine) actRestore(t *rapid.T) {
	c, owner, ok := m.character(t)
	if !ok {
		return
	}
	fails := noSuchCharacter
	if owner == c.User {
		fails = c.restore()
	}
	m.each(t, "RestoreCharacter", c.seen(fullView), fails, func(s *machineStore, service *clients) (any, error) {
		r := &databasev1.RestoreCharacterRequest{UserId: s.users[owner], CharacterId: s.characters[c.Number]}
		a, err := service.characters.RestoreCharacter(t.Context(), r)
		return s.seen(a.GetCharacter()), err
	})
	m.checkCharacter(t, c)
}

// actRename gives a user a new name, or one that a user had before.
func (m *machine) actRename(t *rapid.T) {
	user, name := m.user(t), newName()
	if old := pick(t, "name", append(m.called, "")...); old != "" && m.bearer(old) < 0 {
		name = old
	} else {
		m.called = append(m.called, name)
	}
	m.web(t, `UPDATE {user} SET [name] = $2, [displayUsername] = $2, [username] = lower($2::text), [email] = lower($2::text) || '@example.com'
		WHERE id = $1`, func(s *machineStore) []any { return []any{s.users[user], name} })
	m.users[user].name = name
	m.checkUser(t, user)
}

// bearer returns the user of that name, or -1.
func (m *machine) bearer(name string) int {
	for i, u := range m.users {
		if u.there && u.name == name {
			return i
		}
	}
	return -1
}

func (m *machine) actBan(t *rapid.T) {
	user, banned := m.user(t), rapid.Bool().Draw(t, "banned")
	m.web(t, `UPDATE {user} SET [banned] = $2 WHERE id = $1`, func(s *machineStore) []any { return []any{s.users[user], banned} })
	m.users[user].banned = banned
	for n, session := range m.sessions {
		if session.user == user {
			m.checkSession(t, n) // before the cache sees the change
		}
	}
	m.checkUser(t, user)
}

// actRemove removes a user in one of three cases.
func (m *machine) actRemove(t *rapid.T) {
	user := m.user(t)
	if rapid.IntRange(0, 2).Draw(t, "remove") > 0 {
		return
	}
	m.web(t, `DELETE FROM {user} WHERE id = $1`, func(s *machineStore) []any { return []any{s.users[user]} })
	m.removeUser(user)
	m.checkUser(t, user)
	for _, c := range m.characters {
		m.checkCharacter(t, c)
	}
}

// checkUser reads a user through every program of every store.
func (m *machine) checkUser(t *rapid.T, user int) {
	u := m.users[user]
	fails := none
	if !u.there {
		fails = noSuchUser
	}
	for program := range m.cached.clients {
		m.eachThrough(t, "GetUser", program, seenUser{user, u.name, u.banned}, fails, func(s *machineStore, service *clients) (any, error) {
			a, err := service.users.GetUser(t.Context(), getUserRequest(s.users[user]))
			return s.seenUser(a.GetUser()), err
		})
	}
}

// actUser reads a user by a name that a user has or had.
func (m *machine) actUser(t *rapid.T) {
	name := pick(t, "name", m.called...)
	user, fails, want := m.bearer(name), none, seenUser{}
	if user < 0 {
		fails = noSuchUser
	} else {
		want = seenUser{user, name, m.users[user].banned}
	}
	m.each(t, "GetUserByUsername", want, fails, func(s *machineStore, service *clients) (any, error) {
		a, err := service.users.GetUserByUsername(t.Context(), byUsername(name))
		return s.seenUser(a.GetUser()), err
	})
	m.each(t, "GetUserByEmail", want, fails, func(s *machineStore, service *clients) (any, error) {
		a, err := service.users.GetUserByEmail(t.Context(), byEmail(strings.ToUpper(name)+"@example.com"))
		return s.seenUser(a.GetUser()), err
	})
}

func (m *machine) actSignIn(t *rapid.T) {
	if user, long := m.user(t), rapid.Bool().Draw(t, "long"); m.users[user].there {
		m.signIn(user, long)
	}
}

func (m *machine) signIn(user int, long bool) {
	lifetime := 10 * time.Minute
	if long {
		lifetime = 2 * time.Hour
	}
	for _, s := range m.stores {
		_, token := s.AddSession(s.t, s.users[user], lifetime)
		s.tokens = append(s.tokens, token)
	}
	m.sessions = append(m.sessions, &modelSession{user: user, there: true, long: long})
}

func (m *machine) aSession(t *rapid.T) (n int, ok bool) {
	if len(m.sessions) == 0 {
		return 0, false
	}
	return len(m.sessions) - 1 - rapid.IntRange(0, len(m.sessions)-1).Draw(t, "session, from the last"), true
}

// actRevoke ends a session as the web application does: it deletes the row or changes the expiry.
func (m *machine) actRevoke(t *rapid.T) {
	n, ok := m.aSession(t)
	if !ok {
		return
	}
	sql := `DELETE FROM {session} WHERE token = $1`
	if rapid.Bool().Draw(t, "by expiry") {
		sql = `UPDATE {session} SET [expiresAt] = now() - interval '1 s' WHERE token = $1`
		m.sessions[n].over = true
	} else {
		m.sessions[n].there = false
	}
	m.web(t, sql, func(s *machineStore) []any { return []any{s.tokens[n]} })
	m.checkSession(t, n)
}

// seenSession is a session in an answer.
type seenSession struct {
	User, Bearer   seenUser
	Long, Extended bool
}

func (m *machine) actRefresh(t *rapid.T) {
	n, ok := m.aSession(t)
	if !ok {
		return
	}
	extended, fails := m.refresh(n)
	m.eachLive(t, "RefreshSession", seenSession{Long: m.sessions[n].long, Extended: extended}, fails, func(s *machineStore, service *clients) (any, error) {
		a, err := service.sessions.RefreshSession(t.Context(), refreshRequest(byToken(s.tokens[n]), 0))
		return seenSession{Long: a.GetSession().GetExpiresInSeconds() > 600, Extended: a.GetExtended()}, err
	})
	m.checkSession(t, n)
}

func (m *machine) actSession(t *rapid.T) {
	if n, ok := m.aSession(t); ok {
		m.checkSession(t, n)
	}
}

// checkSession reads a session. Changes by the web application are visible immediately.
func (m *machine) checkSession(t *rapid.T, n int) {
	fails := m.session(n)
	session := m.sessions[n]
	u := m.users[session.user]
	want := seenSession{User: seenUser{session.user, u.name, u.banned}, Long: session.long}
	m.eachLive(t, "GetUserBySession", want, fails, func(s *machineStore, service *clients) (any, error) {
		a, err := service.users.GetUserBySession(t.Context(), playerByToken(s.tokens[n]))
		return seenSession{User: s.seenUser(a.GetUser()), Long: a.GetSession().GetExpiresInSeconds() > 600}, err
	})
	m.eachLive(t, "GetSession", want.Long, fails, func(s *machineStore, service *clients) (any, error) {
		r := &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: s.tokens[n]}}
		a, err := service.sessions.GetSession(t.Context(), r)
		return a.GetSession().GetExpiresInSeconds() > 600, err
	})
}
