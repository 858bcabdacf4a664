package systemtest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

// These tests are an attacker who can do everything in Redis, and who is a user, too.

// inRedis reads an entity until its value is in Redis.
func inRedis(t *testing.T, e *env, key string, read func()) (field, value string) {
	t.Helper()
	eventually(t, key+" in Redis", func() bool {
		read()
		for f, v := range e.Redis.Client.HGetAll(t.Context(), key).Val() {
			if !strings.HasPrefix(f, "l") { // a lease
				field, value = f, v
			}
		}
		return value != ""
	})
	return field, value
}

// forgeries returns what can be made of an honest value, a value of the attacker's own and the bytes that it would like to be
// read.
func forgeries(t *testing.T, honest, own string, wish proto.Message) map[string]string {
	t.Helper()
	plain, err := proto.Marshal(wish)
	if err != nil {
		t.Fatal(err)
	}
	const head = 16 + 8 + 12 // epoch, time and nonce
	changed := []byte(honest)
	changed[head] ^= 1
	return map[string]string{
		"the attacker's value":          own,
		"its value behind another head": honest[:head] + own[head:],
		"the bytes in the clear":        honest[:16] + string(plain),
		"the bytes behind the head":     honest[:head] + string(plain) + strings.Repeat("\x00", 16),
		"the bytes behind the value":    honest + string(plain),
		"a changed bit":                 string(changed),
	}
}

// Money that was forged in Redis is not read, and so it is not saved. Money that was spent can be read again if its value is
// put back, but a save of it is refused, because the version is too old.
func TestForgedMoneyNeverReachesPostgreSQL(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, e *env) {
		poor, rich := newPlayer(t, e), newPlayer(t, e)
		save := func(p *player, version, money int64) (int64, error) {
			saved, err := patiently(t, e.characters.SaveCharacter,
				&databasev1.SaveCharacterRequest{CharacterId: p.character, ExpectedVersion: version, Money: &money})
			return saved.GetVersion(), err
		}
		get := func(p *player) *databasev1.Character {
			got, err := patiently(t, e.characters.GetCharacter, &databasev1.GetCharacterRequest{CharacterId: p.character})
			if err != nil {
				t.Fatal(err)
			}
			return got.Character
		}
		stored := func() (money int64) {
			if err := e.Owner.QueryRow(t.Context(), "SELECT money FROM game.character WHERE id = $1", poor.character).Scan(&money); err != nil {
				t.Fatal(err)
			}
			return money
		}
		mustSave := func(p *player, version, money int64) int64 {
			version, err := save(p, version, money)
			if err != nil {
				t.Fatal(err)
			}
			return version
		}
		mustSave(rich, rich.version, 999_999_999)
		version := mustSave(poor, poor.version, 500)
		key := fmt.Sprint("character:", poor.character)
		field, before := inRedis(t, e, key, func() { get(poor) })
		version = mustSave(poor, version, 100)
		_, honest := inRedis(t, e, key, func() { get(poor) })
		_, own := inRedis(t, e, fmt.Sprint("character:", rich.character), func() { get(rich) })

		wish := get(poor)
		wish.Money = 999_999_999
		for what, value := range forgeries(t, honest, own, wish) {
			inRedis(t, e, key, func() { get(poor) })
			e.Redis.Client.HSet(t.Context(), key, field, value)
			got := get(poor)
			if got.Money != 100 || got.Id != poor.character {
				t.Errorf("%s: GetCharacter returned character %d with money %d, want %d with 100", what, got.Id, got.Money, poor.character)
			}
			version = mustSave(poor, got.Version, got.Money)
			if money := stored(); money != 100 {
				t.Errorf("%s: PostgreSQL holds money %d, want 100", what, money)
			}
		}
		rollbacks := 0
		eventually(t, "an honest value that was put back", func() bool {
			inRedis(t, e, key, func() { get(poor) }) // under the watermark of now
			e.Redis.Client.HSet(t.Context(), key, field, before)
			old := get(poor)
			if old.Money == 500 {
				rollbacks++
				_, err := save(poor, old.Version, old.Money)
				wantFault(t, "a save of money that was put back", err, fault{twirp.Aborted, "VERSION_MISMATCH"})
			}
			return rollbacks > 0 || e.Program.Cache.Stats().NewEpochs > 1 // then nothing can be put back
		})
		if money := stored(); money != 100 || version == 0 {
			t.Errorf("PostgreSQL holds money %d, want 100", money)
		}
	})
}

// A name never leads to another user, and no user gets another role or loses a ban, whatever lies behind pointers and values.
func TestForgedUser(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, e *env) {
		victim, attacker := newPlayer(t, e), newPlayer(t, e)
		e.WebExec(t, `UPDATE {user} SET [role] = 'admin' WHERE [id] = $1`, attacker.id)
		e.WebExec(t, `UPDATE {user} SET [banned] = true WHERE [id] = $1`, victim.id)
		get := func(p *player) *databasev1.User {
			got, err := patiently(t, e.users.GetUser, &databasev1.GetUserRequest{UserId: p.id})
			if err != nil {
				t.Fatal(err)
			}
			return got.User
		}
		var want *databasev1.User
		eventually(t, "the ban", func() bool { want = get(victim); return want.Banned && get(attacker).Role == "admin" })
		// pointer looks up a user by name until a new pointer is in Redis, and returns its key.
		pointer := func(look func() *databasev1.User) (key string) {
			known := map[string]bool{}
			for _, k := range e.Redis.Client.Keys(t.Context(), "user:[eu]*:*").Val() {
				known[k] = true
			}
			eventually(t, "a pointer", func() bool {
				look()
				for _, k := range e.Redis.Client.Keys(t.Context(), "user:[eu]*:*").Val() {
					if !known[k] {
						key = k
					}
				}
				return key != ""
			})
			return key
		}
		byEmail := func(u *databasev1.User) func() *databasev1.User {
			return func() *databasev1.User {
				got, err := patiently(t, e.users.GetUserByEmail, &databasev1.GetUserByEmailRequest{Email: u.Email})
				if err != nil {
					t.Fatal(err)
				}
				return got.User
			}
		}
		byName := func(u *databasev1.User) func() *databasev1.User {
			return func() *databasev1.User {
				got, err := patiently(t, e.users.GetUserByUsername, &databasev1.GetUserByUsernameRequest{Username: u.Username})
				if err != nil {
					t.Fatal(err)
				}
				return got.User
			}
		}
		other := get(attacker)
		check := func(what string, got *databasev1.User) {
			t.Helper()
			if got.Id != want.Id || got.Role != want.Role || got.Email != want.Email || !got.Banned {
				t.Errorf("%s: got user %s, role %q, banned %t; want %s, %q, true", what, got.Id, got.Role, got.Banned, want.Id, want.Role)
			}
		}
		for form, by := range map[string]func(*databasev1.User) func() *databasev1.User{"e-mail": byEmail, "username": byName} {
			keyOfVictim, keyOfAttacker := pointer(by(want)), pointer(by(other))
			honest, own := e.Redis.Client.Get(t.Context(), keyOfVictim).Val(), e.Redis.Client.Get(t.Context(), keyOfAttacker).Val()
			for what, value := range map[string]string{
				"the attacker's": own, "in the clear": "lower:" + attacker.id, "its end": honest[:20] + own[20:], "cut": honest[:len(honest)-1], "nothing": "",
			} {
				e.Redis.Client.Set(t.Context(), keyOfVictim, value, 0)
				check("pointer of the "+form+", "+what, by(want)())
			}
		}
		key := "user:" + victim.id
		field, honest := inRedis(t, e, key, func() { get(victim) })
		_, own := inRedis(t, e, "user:"+attacker.id, func() { get(attacker) })
		wish := proto.CloneOf(want)
		wish.Banned, wish.Role = false, "admin"
		for what, value := range forgeries(t, honest, own, wish) {
			for by, look := range map[string]func() *databasev1.User{
				"id": func() *databasev1.User { return get(victim) }, "e-mail": byEmail(want), "username": byName(want),
			} {
				inRedis(t, e, key, func() { get(victim) })
				e.Redis.Client.HSet(t.Context(), key, field, value)
				check(what+", by "+by, look())
			}
		}
	})
}
