package main

import (
	"context"
	"errors"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

// called records which rpcs were called.
type called struct {
	mu   sync.Mutex
	rpcs []string
}

// Do implements the HTTP client of the generated clients.
func (c *called) Do(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.rpcs = append(c.rpcs, path.Base(r.URL.Path))
	c.mu.Unlock()
	return http.DefaultClient.Do(r)
}

// rpcNames lists the rpcs of all services.
func rpcNames() (names []string) {
	for _, f := range []protoreflect.FileDescriptor{
		databasev1.File_osirose_database_v1_user_proto, databasev1.File_osirose_database_v1_session_proto, databasev1.File_osirose_database_v1_character_proto,
	} {
		for i := range f.Services().Len() {
			for methods, j := f.Services().Get(i).Methods(), 0; j < methods.Len(); j++ {
				names = append(names, string(methods.Get(j).Name()))
			}
		}
	}
	slices.Sort(names)
	return names
}

// call calls an rpc that must succeed.
func call[Q, A any](t *testing.T, rpc func(context.Context, Q) (A, error), request Q) A {
	t.Helper()
	answer, err := rpc(t.Context(), request)
	if err != nil {
		t.Fatalf("%T: %v", request, err)
	}
	return answer
}

// wantReason calls an rpc that must be refused.
func wantReason[Q, A any](t *testing.T, rpc func(context.Context, Q) (A, error), request Q, reason string) {
	t.Helper()
	_, err := rpc(t.Context(), request)
	if e, ok := errors.AsType[twirp.Error](err); !ok || e.Meta("reason") != reason {
		t.Errorf("%T: %v, want the reason %s", request, err, reason)
	}
}

// TestAnotherSchema runs the program in a schema of another name. The database has no schema game, so every statement that
// names it would fail.
func TestAnotherSchema(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		env, args []string // of migrate
		url       string   // parameters of the service's DATABASE_URL
		protocol  string
	}{
		"by the flag":                   {nil, []string{"-schema", "other"}, "", "protobuf"},
		"by the variable":               {[]string{"DATABASE_SCHEMA=other"}, nil, "", "JSON"},
		"by the flag, not the variable": {[]string{"DATABASE_SCHEMA=unused"}, []string{"-schema", "other"}, "&default_query_exec_mode=cache_describe", "protobuf"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, "plugins")
			migrated := runToEnd(t, 0, append(owner(t, d), test.env...), append([]string{"migrate"}, test.args...)...)
			wantText(t, &migrated.stdout, "0001_game.sql\n", "adapter to")
			var list string
			if err := d.Owner.QueryRow(t.Context(), `SELECT string_agg(nspname, ' ') FROM pg_namespace WHERE nspname IN ('game', 'other', 'unused')`).Scan(&list); err != nil || list != "other" {
				t.Fatalf("the database has the schemas %q (%v), want only other", list, err)
			}
			env := as(t, d, "game_service")
			env[0] += test.url
			env = append(env, "REDIS_URL=redis://"+testenv.StartRedis(t, testenv.RedisKinds()[0]).Addr, "DATABASE_SCHEMA=other")
			p, admin := startWithAdmin(t, env)
			p.wantReady(t, http.StatusOK, "schema:ok")
			did := &called{}
			c := clients{databasev1.NewUserServiceProtobufClient(p.url, did), databasev1.NewCharacterDbServiceProtobufClient(p.url, did), databasev1.NewSessionServiceProtobufClient(p.url, did)}
			if test.protocol == "JSON" {
				c = clients{databasev1.NewUserServiceJSONClient(p.url, did), databasev1.NewCharacterDbServiceJSONClient(p.url, did), databasev1.NewSessionServiceJSONClient(p.url, did)}
			}
			user := callUsersAndSessions(t, d, c)
			callCharacters(t, c, user)
			slices.Sort(did.rpcs)
			if diff := cmp.Diff(rpcNames(), slices.Compact(did.rpcs)); diff != "" {
				t.Errorf("rpcs of all services (-), called (+): a new rpc needs a call here:\n%s", diff)
			}

			read := &databasev1.GetCharacterRequest{UserId: user, CharacterId: call(t, c.characters.GetCharacterList, &databasev1.GetCharacterListRequest{UserId: user}).Characters[0].Id}
			waitForMetrics(t, admin, map[string]float64{`cache_reads_total{status="hit"}`: 1, "cache_syncs_total": 1}, func() { call(t, c.characters.GetCharacter, read) }) // Redis is the only cache of characters
			d.WebExec(t, `UPDATE {user} SET name = 'Changed' WHERE id = $1`, user)
			eventually(t, "the sync of a change by the web application", func() bool {
				return call(t, c.users.GetUser, &databasev1.GetUserRequest{UserId: user}).User.Name == "Changed"
			})
			purge(t, d, c, append(as(t, d, "game_and_purge"), env[1:]...), user)
			p.wantReady(t, http.StatusOK, "redis:ok")
		})
	}
}

// callUsersAndSessions finds a user and a session in each way.
func callUsersAndSessions(t *testing.T, d *testenv.Database, c clients) (user string) {
	t.Helper()
	user = d.AddUser(t, "Alice")
	session, token := d.AddSession(t, user, 20*time.Minute)
	email := ""
	if err := d.Owner.QueryRow(t.Context(), `SELECT email FROM "user"`).Scan(&email); err != nil {
		t.Fatal(err)
	}
	for range 2 { // from the database, then from the cache
		for by, answer := range map[string]*databasev1.User{
			"id":         call(t, c.users.GetUser, &databasev1.GetUserRequest{UserId: user}).User,
			"username":   call(t, c.users.GetUserByUsername, &databasev1.GetUserByUsernameRequest{Username: "ALICE"}).User,
			"e-mail":     call(t, c.users.GetUserByEmail, &databasev1.GetUserByEmailRequest{Email: email}).User,
			"token":      call(t, c.users.GetUserBySession, &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: token}}).User,
			"session id": call(t, c.users.GetUserBySession, &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_SessionId{SessionId: session}}).User,
		} {
			if answer.Id != user {
				t.Errorf("the user by %s: %v, want %s", by, answer, user)
			}
		}
	}
	wantReason(t, c.users.GetUser, &databasev1.GetUserRequest{UserId: "unknown"}, "USER_NOT_FOUND")
	for by, answer := range map[string]*databasev1.Session{
		"token": call(t, c.sessions.GetSession, &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: token}}).Session,
		"id":    call(t, c.sessions.GetSession, &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_SessionId{SessionId: session}}).Session,
	} {
		if answer.UserId != user {
			t.Errorf("the session by %s: %v, want one of %s", by, answer, user)
		}
	}
	for by, request := range map[string]*databasev1.RefreshSessionRequest{
		"token": {Session: &databasev1.RefreshSessionRequest_Token{Token: token}},
		"id":    {Session: &databasev1.RefreshSessionRequest_SessionId{SessionId: session}},
	} {
		d.WebExec(t, `UPDATE {session} SET [expiresAt] = now() + interval '20 min'`)
		if left := call(t, c.sessions.RefreshSession, request).Session.ExpiresInSeconds; left < 30*60 {
			t.Errorf("RefreshSession by %s: %d s left, want that it was extended to an hour", by, left)
		}
	}
	return user
}

// callCharacters reaches each statement of characters.
func callCharacters(t *testing.T, c clients, user string) {
	t.Helper()
	db := c.characters
	create := &databasev1.CreateCharacterRequest{UserId: user, Name: "First", RequestId: uuid.NewString()}
	first := call(t, db.CreateCharacter, create).Character
	if again := call(t, db.CreateCharacter, create).Character; again.Id != first.Id {
		t.Errorf("the same CreateCharacter again: character %d, want %d", again.Id, first.Id)
	}
	wantReason(t, db.CreateCharacter, &databasev1.CreateCharacterRequest{UserId: user, Name: "FIRST", RequestId: uuid.NewString()}, "NAME_TAKEN")
	wantReason(t, db.CreateCharacter, &databasev1.CreateCharacterRequest{UserId: "unknown", Name: "Second", RequestId: uuid.NewString()}, "USER_NOT_FOUND")
	get := &databasev1.GetCharacterRequest{UserId: user, CharacterId: first.Id}
	save := &databasev1.SaveCharacterRequest{UserId: user, CharacterId: first.Id, ExpectedVersion: 1, SaveId: uuid.NewString(), Money: proto.Int64(7)}
	for range 2 { // the second is a repetition
		if saved := call(t, db.SaveCharacter, save); saved.Version != 2 {
			t.Errorf("SaveCharacter: %v, want version 2", saved)
		}
		if got := call(t, db.GetCharacter, get).Character; got.Money != 7 {
			t.Errorf("GetCharacter after the save: %v, want the saved money", got)
		}
	}
	wantReason(t, db.SaveCharacter, &databasev1.SaveCharacterRequest{UserId: user, CharacterId: first.Id, ExpectedVersion: 1, SaveId: uuid.NewString(), Money: proto.Int64(8)}, "VERSION_MISMATCH")
	call(t, db.DeleteCharacter, &databasev1.DeleteCharacterRequest{UserId: user, CharacterId: first.Id, Mode: databasev1.DeleteMode_DELETE_MODE_SCHEDULED})
	call(t, db.RestoreCharacter, &databasev1.RestoreCharacterRequest{UserId: user, CharacterId: first.Id})
	if n := len(call(t, db.GetCharacterList, &databasev1.GetCharacterListRequest{UserId: user}).Characters); n != 1 {
		t.Errorf("GetCharacterList: %d characters, want 1", n)
	}
	call(t, db.DeleteCharacter, &databasev1.DeleteCharacterRequest{UserId: user, CharacterId: first.Id, Mode: databasev1.DeleteMode_DELETE_MODE_IMMEDIATE})
	wantReason(t, db.GetCharacter, get, "CHARACTER_NOT_FOUND")
	for _, name := range []string{"Aaaa", "Bbbb", "Cccc", "Dddd", "Eeee"} {
		call(t, db.CreateCharacter, &databasev1.CreateCharacterRequest{UserId: user, Name: name, RequestId: uuid.NewString()})
	}
	wantReason(t, db.CreateCharacter, &databasev1.CreateCharacterRequest{UserId: user, Name: "Ffff", RequestId: uuid.NewString()}, "SLOTS_FULL")
}

// purge runs the purge function of an emulator with the same environment. It finishes one deletion and forgets one row.
func purge(t *testing.T, d *testenv.Database, c clients, env []string, user string) {
	t.Helper()
	d.OwnerExec(t, `UPDATE other.character SET deleted_at = now() - interval '31 days' WHERE name = 'First';
		UPDATE other.character SET delete_at = now() - interval '1 s' WHERE name = 'Aaaa'`)
	emulator := startEmulator(t, env)
	runToEnd(t, 0, nil, "invoke", "PurgeFunction", "-url", emulator.url)
	var forgotten, finished bool
	if err := d.Owner.QueryRow(t.Context(), `SELECT NOT EXISTS (SELECT FROM other.character WHERE name = 'First'),
		EXISTS (SELECT FROM other.character WHERE name = 'Aaaa' AND deleted_at = delete_at)`).Scan(&forgotten, &finished); err != nil || !forgotten || !finished {
		t.Errorf("after the purge: forgotten %t, finished %t (%v), want both", forgotten, finished, err)
	}
	call(t, c.characters.CreateCharacter, &databasev1.CreateCharacterRequest{UserId: user, Name: "Aaaa", RequestId: uuid.NewString()})
}

// TestSchemaWrong starts the program with a schema that it cannot use.
func TestSchemaWrong(t *testing.T) {
	t.Parallel()
	t.Run("not a name", func(t *testing.T) {
		t.Parallel()
		for name, test := range map[string]struct {
			code int
			env  []string
			args []string
			want string
		}{
			"served":                {1, []string{"DATABASE_SCHEMA=Game"}, nil, "DATABASE_SCHEMA is not a name for the service's schema"},
			"migrated":              {1, []string{"DATABASE_SCHEMA=pg_game"}, []string{"migrate"}, "DATABASE_SCHEMA is not a name for the service's schema"},
			"migrated, by the flag": {2, nil, []string{"migrate", "-schema", "public"}, "-schema: is not a name for the service's schema"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				wantText(t, &runToEnd(t, test.code, test.env, test.args...).stderr, test.want)
			})
		}
	})
	t.Run("a reserved word", func(t *testing.T) {
		t.Parallel()
		d := testenv.NewEmptyDatabase(t, "plugins")
		wantText(t, &runToEnd(t, 1, owner(t, d), "migrate", "-schema", "user").stderr, "migrate: user is a reserved word of PostgreSQL")
	})
	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		d := testenv.NewDatabase(t, "plugins") // it has the schema game
		const want = "schema other is missing: run database-service migrate -schema other"
		p := start(t, append(as(t, d, "game_service"), "DATABASE_SCHEMA=other"))
		p.wantReady(t, http.StatusServiceUnavailable, "schema:"+want)
		wantText(t, &p.stdout, want)
		user := d.AddUser(t, "Alice")
		if code, answer := p.post(t, "UserService/GetUser", `{"user_id":"`+user+`"}`); code == http.StatusOK {
			t.Errorf("GetUser: got %d %v from another schema", code, answer)
		}
		runToEnd(t, 0, owner(t, d), strings.Fields(strings.TrimPrefix(want, "schema other is missing: run database-service "))...)
		p.wantReady(t, http.StatusOK, "schema:ok")
		if code, answer := p.post(t, "UserService/GetUser", `{"user_id":"`+user+`"}`); code != http.StatusOK {
			t.Errorf("GetUser after the migration: got %d %v, want 200", code, answer)
		}
	})
}

// TestTwoSchemasAtOnce runs a program for each of two schemas of one database, on one Redis. The users are the same, and each has its
// own characters.
func TestTwoSchemasAtOnce(t *testing.T) {
	t.Parallel()
	d := testenv.NewDatabase(t, "plugins")
	runToEnd(t, 0, owner(t, d), "migrate", "-schema", "other")
	redis := "REDIS_URL=redis://" + testenv.StartRedis(t, testenv.RedisKinds()[0]).Addr
	user := d.AddUser(t, "Alice")
	list := &databasev1.GetCharacterListRequest{UserId: user}
	var both []clients
	for _, own := range []string{"game", "other"} {
		p := start(t, append(as(t, d, "game_service"), redis, "DATABASE_SCHEMA="+own))
		p.wantReady(t, http.StatusOK, "schema:ok")
		both = append(both, clientsOf(p.url)["protobuf"])
	}
	for i, name := range []string{"Of-Game", "Of-Other"} {
		call(t, both[i].characters.GetCharacterList, list)
		call(t, both[i].characters.CreateCharacter, &databasev1.CreateCharacterRequest{UserId: user, Name: name, RequestId: uuid.NewString()})
	}
	for range 3 { // from the database and from the cache
		for i, name := range []string{"Of-Game", "Of-Other"} {
			all := call(t, both[i].characters.GetCharacterList, list).Characters
			if len(all) != 1 || all[0].Name != name || all[0].Id != 1 {
				t.Errorf("the characters of program %d: %v, want %s with the id 1", i, all, name)
			}
			if got := call(t, both[i].characters.GetCharacter, &databasev1.GetCharacterRequest{UserId: user, CharacterId: 1}).Character; got.Name != name {
				t.Errorf("character 1 of program %d: %v, want %s", i, got, name)
			}
		}
	}
	d.WebExec(t, `UPDATE {user} SET name = 'Changed' WHERE id = $1`, user)
	for _, c := range both {
		eventually(t, "the change of a user in each program", func() bool {
			return call(t, c.users.GetUser, &databasev1.GetUserRequest{UserId: user}).User.Name == "Changed"
		})
	}
	if text := runToEnd(t, 0, owner(t, d), "migrate").stdout.String(); text != "nothing to do\n" {
		t.Errorf("migrate of the schema game after that of other: %q, want nothing to do", text)
	}
}
