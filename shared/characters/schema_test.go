package characters_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characters"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestEverySchema checks everything that could depend on the configuration of better-auth's tables.
func TestEverySchema(t *testing.T) {
	t.Parallel()
	testenv.Each(t, func(t *testing.T, plain *testenv.Env) {
		e := start(t, plain, characters.Config{})
		t.Run("the life of a character", func(t *testing.T) { life(t, e) })
		t.Run("impossible ids", func(t *testing.T) { unknownUsers(t, e) })
		t.Run("a banned user", func(t *testing.T) { banned(t, e) })
		t.Run("a deleted user", func(t *testing.T) { userGone(t, e) })
		t.Run("the purge", func(t *testing.T) { purged(t, e) })
		t.Run("least privilege", func(t *testing.T) { leastPrivilege(t, e) })
	})
}

func life(t *testing.T, e *env) {
	user := e.user(t)
	r := fullRequest(user)
	r.RequestId = newUUID()
	c := e.mustCreateAs(t, r)
	replay, err := e.CreateCharacter(t.Context(), r)
	if err != nil || !replay.Replayed || replay.Character.Id != c.Id {
		t.Errorf("CreateCharacter again = %v, %v, want a replay of %d", replay, err, c.Id)
	}
	e.untilHit(t, func() { wantSame(t, "GetCharacter", e.mustGet(t, c), c) })
	e.untilHit(t, func() {
		list := e.mustList(t, &databasev1.GetCharacterListRequest{UserId: user})
		wantSame(t, "GetCharacterList", list, []*databasev1.Character{reduced(c)})
	})
	list := e.mustList(t, &databasev1.GetCharacterListRequest{UserId: user, View: full})
	wantSame(t, "GetCharacterList, full", list, []*databasev1.Character{c})
	e.mustSave(t, &databasev1.SaveCharacterRequest{UserId: user, CharacterId: c.Id, ExpectedVersion: 1, SaveId: newUUID(), Money: proto.Int64(1)})
	c.Money = 1
	wantSame(t, "GetCharacter after a save", e.mustGet(t, c), c, ignoreSaved)
	marked := e.mustDelete(t, c, scheduled)
	wantSame(t, "DeleteCharacter", marked.Character, c, ignoreMark)
	restored, err := e.RestoreCharacter(t.Context(), &databasev1.RestoreCharacterRequest{UserId: user, CharacterId: c.Id})
	wantFault(t, "RestoreCharacter", err, fault{})
	wantSame(t, "RestoreCharacter", restored.GetCharacter(), c, ignoreSaved)
	if got := e.mustCreate(t, user); got.Slot != 1 {
		t.Errorf("CreateCharacter = slot %d, want 1", got.Slot)
	}
	e.mustDelete(t, c, immediate)
	if got := e.mustCreateAs(t, &databasev1.CreateCharacterRequest{UserId: user, Name: c.Name}); got.Slot != 0 {
		t.Errorf("CreateCharacter after a delete = slot %d, want 0", got.Slot)
	}
}

func unknownUsers(t *testing.T, e *env) {
	c := e.mustCreate(t, e.user(t))
	for _, id := range []string{
		"nobody", "0", "-1", "01", "1.0", " 1", "99999999999", strings.Repeat("9", 256), "00000000-0000-4000-8000-000000000000",
		"00000000-0000-4000-8000-00000000000", "' OR true --", "\u0661", c.UserId + " ", "0" + c.UserId, strings.ToLower(c.UserId) + "x",
	} {
		for _, view := range []databasev1.CharacterView{basic, full} {
			got := e.mustList(t, &databasev1.GetCharacterListRequest{UserId: id, View: view})
			wantSame(t, "GetCharacterList of "+id, got, []*databasev1.Character(nil))
		}
		_, err := e.CreateCharacter(t.Context(), &databasev1.CreateCharacterRequest{UserId: id, Name: newName(), RequestId: newUUID()})
		wantFault(t, "CreateCharacter for "+id, err, noUser)
		_, err = e.GetCharacter(t.Context(), &databasev1.GetCharacterRequest{UserId: id, CharacterId: c.Id})
		wantFault(t, "GetCharacter for "+id, err, notFound)
		for _, mode := range []databasev1.DeleteMode{scheduled, immediate} {
			_, err = e.DeleteCharacter(t.Context(), &databasev1.DeleteCharacterRequest{UserId: id, CharacterId: c.Id, Mode: mode})
			wantFault(t, "DeleteCharacter for "+id, err, notFound)
		}
		_, err = e.RestoreCharacter(t.Context(), &databasev1.RestoreCharacterRequest{UserId: id, CharacterId: c.Id})
		wantFault(t, "RestoreCharacter for "+id, err, notFound)
		_, err = e.SaveCharacter(t.Context(), &databasev1.SaveCharacterRequest{UserId: id, CharacterId: c.Id, ExpectedVersion: 1, Level: proto.Int32(2)})
		wantFault(t, "SaveCharacter for "+id, err, notFound)
	}
	wantSame(t, "GetCharacter afterwards", e.mustGet(t, c), c)
}

func banned(t *testing.T, e *env) {
	user := e.user(t)
	if !e.Plugins() {
		e.mustCreate(t, user) // this schema has no bans
		return
	}
	create := func() error {
		_, err := e.CreateCharacter(t.Context(), &databasev1.CreateCharacterRequest{UserId: user, Name: newName()})
		return err
	}
	ban := func(expires time.Time) {
		e.WebExec(t, `UPDATE {user} SET [banned] = true, [banExpires] = $2 WHERE id::text = $1`, user, expires.UTC())
	}
	ban(time.Now().Add(time.Hour / 2)) // an error in the zone would be at least an hour
	wantFault(t, "CreateCharacter while banned", create(), blocked)
	ban(time.Now().Add(-time.Hour / 2))
	wantFault(t, "CreateCharacter after the ban", create(), fault{})
}

func userGone(t *testing.T, e *env) {
	user := e.user(t)
	c, marked := e.mustCreate(t, user), e.mustCreate(t, user)
	e.mustDelete(t, marked, scheduled)
	e.untilHit(t, func() { e.mustGet(t, c) })
	e.WebExec(t, `DELETE FROM {user} WHERE id::text = $1`, user)
	got := e.mustList(t, &databasev1.GetCharacterListRequest{UserId: user, View: full})
	wantSame(t, "GetCharacterList after its user is gone", got, []*databasev1.Character(nil))
	_, err := e.CreateCharacter(t.Context(), &databasev1.CreateCharacterRequest{UserId: user, Name: newName()})
	wantFault(t, "CreateCharacter for a user who is gone", err, noUser)
	for _, free := range []*databasev1.Character{c, marked} {
		e.mustCreateAs(t, &databasev1.CreateCharacterRequest{UserId: e.user(t), Name: free.Name})
	}
	for _, one := range []*databasev1.Character{c, marked} {
		eventually(t, "a character to be gone with its user, also from the cache", func() bool {
			_, err := e.GetCharacter(t.Context(), &databasev1.GetCharacterRequest{CharacterId: one.Id})
			return faultOf(err) == notFound
		})
	}
}

// leastPrivilege tries statements that the service does not need, with the service's role.
func leastPrivilege(t *testing.T, e *env) {
	user := e.user(t)
	session, token := e.AddSession(t, user, time.Minute)
	conn, err := pgx.Connect(t.Context(), e.Program.Config.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, sql := range []string{
		`SELECT * FROM {user}`, `SELECT [email] FROM {user}`, `SELECT * FROM {session}`, `SELECT [token] FROM {session}`, `SELECT [id] FROM {session}`,
		`SELECT * FROM {user} FOR UPDATE`,
		`UPDATE {user} SET [name] = 'x'`, `UPDATE {session} SET [token] = 'x'`, `UPDATE {session} SET [expiresAt] = [expiresAt] + interval '1 day'`,
		`INSERT INTO {user} ([name]) VALUES ('x')`, `INSERT INTO {session} ([token]) VALUES ('x')`,
		`DELETE FROM {user}`, `DELETE FROM {session}`, `TRUNCATE {user} CASCADE`, `TRUNCATE {session}`,
		`UPDATE game.users SET name = 'x'`, `DELETE FROM game.users`,
		`UPDATE game.cache_change SET xid = xid`, `DELETE FROM game.cache_change`, `INSERT INTO game.cache_change VALUES ('*', pg_current_xact_id())`,
		`TRUNCATE game.character`, `INSERT INTO game.migration (version) VALUES (99)`, `UPDATE game.adapter SET version = 99`,
		`CREATE TABLE game.mine (x int)`, `ALTER FUNCTION game.session_by_token(text) SECURITY INVOKER`, `SET ROLE web_application`,
	} {
		sql = e.Expand(sql)
		_, err := conn.Exec(t.Context(), sql)
		if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.Code != "42501" {
			t.Errorf("%s as the service's role = %v, want permission denied (42501)", sql, err)
		}
	}
	if _, err := conn.Exec(t.Context(), `SELECT game.extend_session($1, '1 hour', '30 days', '5 minutes')`, session); err != nil {
		t.Errorf("game.extend_session as the service's role = %v, want success", err)
	}
	var found string
	if err := conn.QueryRow(t.Context(), `SELECT id FROM game.session_by_token($1)`, token).Scan(&found); err != nil || found != session {
		t.Errorf("game.session_by_token as the service's role = %q, %v, want %q", found, err, session)
	}
}
