package users_test

import (
	"encoding/hex"
	"testing"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

// setNormalization migrates with another -username-normalization.
func setNormalization(t *testing.T, d *testenv.Database, n string) {
	t.Helper()
	conn, err := d.Owner.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	o := migrations.Options{Settings: migrations.Settings{UsernameNormalization: n}}
	if _, err := migrations.Apply(t.Context(), conn.Conn(), o); err != nil {
		t.Fatal(err)
	}
}

// addNamed adds a user with the id and username name. An id is not compared in another case.
func addNamed(t *testing.T, d *testenv.Database, name string) {
	t.Helper()
	d.OwnerExec(t, `INSERT INTO "user" (id, name, email, username, "emailVerified", "updatedAt") VALUES ($1, $1, $2, $1, true, now())`,
		name, hex.EncodeToString([]byte(name))+"@example.com")
}

// TestUsernameNormalization looks up usernames as the username plugin does under its three settings: first in the database,
// and then by the pointers in Redis.
func TestUsernameNormalization(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		setting string
		stored  []string
		lookups map[string]string // username of the request, id of the user
	}{
		{"lower", []string{"player", "straße"}, map[string]string{"player": "player", "Player": "player", "PLAYER": "player", "Straße": "straße"}},
		{"upper", []string{"PLAYER", "STRASSE"}, map[string]string{"player": "PLAYER", "Player": "PLAYER", "PLAYER": "PLAYER", "straße": "STRASSE"}},
		{"none", []string{"player", "Player", "Ärger"}, map[string]string{"player": "player", "Player": "Player", "PLAYER": "", "Ärger": "Ärger", "ärger": ""}},
	} {
		t.Run(test.setting, func(t *testing.T) {
			t.Parallel()
			e := testenv.New(t, "plugins", "miniredis")
			setNormalization(t, e.Database, test.setting)
			for _, name := range test.stored {
				addNamed(t, e.Database, name)
			}
			c := client(t, e.Program)
			for _, when := range []string{"cold", "warm"} {
				for name, want := range test.lookups {
					got, err := byUsername(t.Context(), c, name)
					if want == "" {
						wantCode(t, when+": GetUserByUsername("+name+")", err, twirp.NotFound, "USER_NOT_FOUND")
					} else if err != nil || got.Id != want {
						t.Errorf("%s: GetUserByUsername(%s) = %v, %v; want %s", when, name, got, err, want)
					}
				}
			}
			setNormalization(t, e.Database, "") // keeps the setting
			for name, want := range test.lookups {
				if got, err := byUsername(t.Context(), c, name); want != "" && (err != nil || got.Id != want) {
					t.Errorf("after a run without the flag: GetUserByUsername(%s) = %v, %v; want %s", name, got, err, want)
				}
			}
		})
	}
}

// TestAnotherNormalization changes the setting while pointers by the earlier one are in Redis.
func TestAnotherNormalization(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	addNamed(t, e.Database, "player")
	c := client(t, e.Program)
	for range 2 {
		if got, err := byUsername(t.Context(), c, "Player"); err != nil || got.Id != "player" {
			t.Fatalf("GetUserByUsername(Player) = %v, %v; want player", got, err)
		}
	}
	watermark := e.Watermark(t) // of the earlier key
	setNormalization(t, e.Database, "none")
	if err := e.Redis.Client.Del(t.Context(), watermark).Err(); err != nil {
		t.Fatal(err)
	}
	getUser(t, c, "player") // a read syncs, and learns the new key of the cache
	_, err := byUsername(t.Context(), c, "Player")
	wantCode(t, "GetUserByUsername(Player) of usernames as typed", err, twirp.NotFound, "USER_NOT_FOUND")
	if got, err := byUsername(t.Context(), c, "player"); err != nil || got.Id != "player" {
		t.Errorf("GetUserByUsername(player) = %v, %v; want player", got, err)
	}
}

// TestPointerAfterARename follows a pointer to a user whose username has changed its letters' case only.
func TestPointerAfterARename(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	setNormalization(t, e.Database, "none")
	addNamed(t, e.Database, "Player")
	c := client(t, e.Program)
	if got, err := byUsername(t.Context(), c, "Player"); err != nil || got.Id != "Player" {
		t.Fatalf("GetUserByUsername(Player) = %v, %v; want Player", got, err)
	}
	e.OwnerExec(t, `UPDATE "user" SET username = 'player'`)
	settle(t, e)
	_, err := byUsername(t.Context(), c, "Player")
	wantCode(t, "GetUserByUsername(Player) after the rename", err, twirp.NotFound, "USER_NOT_FOUND")
}

// TestEmailsAreLower checks that the setting is about usernames: better-auth lowers e-mails in any case.
func TestEmailsAreLower(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	setNormalization(t, e.Database, "upper")
	id := e.AddUser(t, "Player")
	for range 2 {
		if got, err := byEmail(t.Context(), client(t, e.Program), "PLAYER@example.com"); err != nil || got.Id != id {
			t.Errorf("GetUserByEmail = %v, %v; want %s", got, err, id)
		}
	}
}
