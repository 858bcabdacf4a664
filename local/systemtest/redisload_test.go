package systemtest_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

// player is a user with a session and a character, and the expected content of every answer about them. One goroutine at a
// time plays them, so a different answer is wrong.
type player struct {
	id, name, token string
	shown           string // the user's name, which the web application may change
	character       int64
	version, money  int64
}

func newPlayer(t testing.TB, e *env) *player {
	t.Helper()
	p := &player{name: newName()}
	p.shown = p.name
	p.id = e.AddUser(t, p.name)
	_, p.token = e.AddSession(t, p.id, time.Hour)
	request := &databasev1.CreateCharacterRequest{UserId: p.id, Name: p.name, RequestId: newUUID()}
	made, err := patiently(t, e.characters.CreateCharacter, request)
	if err != nil {
		t.Fatal(err)
	}
	p.character, p.version = made.Character.Id, made.Character.Version
	return p
}

func newPlayers(t testing.TB, e *env, n int) []*player {
	t.Helper()
	all := make([]*player, n)
	for i := range all {
		all[i] = newPlayer(t, e)
	}
	return all
}

// keys returns the player's keys in Redis.
func (p *player) keys() []string {
	return []string{"user:" + p.id, fmt.Sprint("character:", p.character), "characters:" + p.id}
}

func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// tally counts the results of a load. slow counts requests that a busy machine did not serve within the budget. They are
// repeated.
type tally struct{ calls, failed, wrong, slow atomic.Int64 }

// want fails the test if requests failed or were answered wrongly. It also fails if more requests were slow than a busy
// machine explains, because the fault would be the cause.
func (y *tally) want(t testing.TB, when string) {
	t.Helper()
	calls, failed, wrong, slow := y.calls.Load(), y.failed.Load(), y.wrong.Load(), y.slow.Load()
	if failed > 0 || wrong > 0 || slow > 10+calls/10 || calls == 0 {
		t.Errorf("%s: of %d requests %d failed, %d were answered wrongly, %d were too slow; want none", when, calls, failed, wrong, slow)
	}
}

// counted makes a call, and repeats it if the machine was too slow.
func counted[Q, A any](t testing.TB, y *tally, what string, call func(context.Context, Q) (A, error), q Q) (A, bool) {
	for {
		y.calls.Add(1)
		a, err := call(t.Context(), q)
		switch code := faultOf(err).code; {
		case err == nil:
			return a, true
		case code != "unavailable" && code != "deadline_exceeded" || t.Context().Err() != nil || y.slow.Add(1) > 200:
			if y.failed.Add(1) <= 3 {
				t.Errorf("%s: %v", what, err)
			}
			return a, false
		}
	}
}

// right counts and reports a wrong answer.
func (y *tally) right(t testing.TB, what string, got, want any) {
	if got != want && y.wrong.Add(1) <= 3 {
		t.Errorf("%s answered %v, want %v", what, got, want)
	}
}

// round makes one call of each kind. It reads a save back in both cached ways.
func (p *player) round(t testing.TB, c *clients, y *tally) {
	p.readUser(t, c, y)
	p.readSession(t, c, y)
	p.save(t, c, y)
	p.readCharacter(t, c, y)
}

func (p *player) readUser(t testing.TB, c *clients, y *tally) {
	if a, ok := counted(t, y, "GetUser", c.users.GetUser, &databasev1.GetUserRequest{UserId: p.id}); ok {
		y.right(t, "GetUser", a.User.Id+" "+a.User.Name, p.id+" "+p.shown)
	}
	name := &databasev1.GetUserByUsernameRequest{Username: p.name}
	if a, ok := counted(t, y, "GetUserByUsername", c.users.GetUserByUsername, name); ok {
		y.right(t, "GetUserByUsername", a.User.Id, p.id)
	}
	email := &databasev1.GetUserByEmailRequest{Email: strings.ToLower(p.name) + "@example.com"}
	if a, ok := counted(t, y, "GetUserByEmail", c.users.GetUserByEmail, email); ok {
		y.right(t, "GetUserByEmail", a.User.Id, p.id)
	}
}

func (p *player) readSession(t testing.TB, c *clients, y *tally) {
	who := &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: p.token}}
	if a, ok := counted(t, y, "GetUserBySession", c.users.GetUserBySession, who); ok {
		y.right(t, "GetUserBySession", a.User.Id+" "+a.Session.UserId, p.id+" "+p.id)
	}
	refresh := &databasev1.RefreshSessionRequest{Session: &databasev1.RefreshSessionRequest_Token{Token: p.token}}
	if a, ok := counted(t, y, "RefreshSession", c.sessions.RefreshSession, refresh); ok {
		y.right(t, "RefreshSession", a.Session.UserId, p.id)
	}
}

func (p *player) save(t testing.TB, c *clients, y *tally) {
	q := &databasev1.SaveCharacterRequest{
		CharacterId: p.character, UserId: p.id, ExpectedVersion: p.version, SaveId: newUUID(), Money: proto.Int64(p.money + 1),
	}
	if a, ok := counted(t, y, "SaveCharacter", c.characters.SaveCharacter, q); ok {
		y.right(t, "SaveCharacter", a.Version, p.version+1)
		p.version, p.money = a.Version, p.money+1
		return
	}
	p.reload(t, c)
}

// reload reads the character from the database into the player, so that one failure is not reported many times.
func (p *player) reload(t testing.TB, c *clients) {
	q := &databasev1.GetCharacterListRequest{UserId: p.id, View: databasev1.CharacterView_CHARACTER_VIEW_FULL}
	if a, err := patiently(t, c.characters.GetCharacterList, q); err == nil && len(a.Characters) == 1 {
		p.version, p.money = a.Characters[0].Version, a.Characters[0].Money
	}
}

// readCharacter checks that the answer is not older than the last acknowledged save.
func (p *player) readCharacter(t testing.TB, c *clients, y *tally) {
	one := &databasev1.GetCharacterRequest{CharacterId: p.character, UserId: p.id}
	if a, ok := counted(t, y, "GetCharacter", c.characters.GetCharacter, one); ok {
		y.right(t, "GetCharacter", characterText(a.Character), p.characterText())
	}
	list := &databasev1.GetCharacterListRequest{UserId: p.id}
	if a, ok := counted(t, y, "GetCharacterList", c.characters.GetCharacterList, list); ok && len(a.Characters) == 1 {
		y.right(t, "GetCharacterList", characterText(a.Characters[0]), p.characterText())
	} else if ok {
		y.right(t, "GetCharacterList", len(a.Characters), 1)
	}
}

func (p *player) characterText() string {
	return fmt.Sprintf("%d of %s, %s, version %d, money %d", p.character, p.id, p.name, p.version, p.money)
}

func characterText(c *databasev1.Character) string {
	return fmt.Sprintf("%d of %s, %s, version %d, money %d", c.Id, c.UserId, c.Name, c.Version, c.Money)
}

// playAll plays rounds of all players at the same time.
func playAll(t testing.TB, c *clients, y *tally, players []*player, rounds int) {
	var all sync.WaitGroup
	for _, p := range players {
		all.Go(func() {
			for range rounds {
				p.round(t, c, y)
			}
		})
	}
	all.Wait()
}

// wantHits waits until each player's reads are hits again. Every answer until then must be right, too.
func wantHits(t testing.TB, hits func() uint64, c *clients, players ...*player) {
	t.Helper()
	y := &tally{}
	for _, p := range players {
		eventually(t, "hits of "+p.name, func() bool {
			before := hits()
			p.readUser(t, c, y)
			p.readCharacter(t, c, y)
			return hits() >= before+5 || y.failed.Load()+y.wrong.Load() > 0
		})
	}
	y.want(t, "reads until they are hits")
}
