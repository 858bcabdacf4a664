package characters_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characters"
)

// TestSaveWithoutUserIsReadBack checks that a save without a user_id is visible in the user's list.
func TestSaveWithoutUserIsReadBack(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, e *env) {
		c := e.mustCreate(t, e.user(t))
		list := func() *databasev1.Character {
			t.Helper()
			l, err := patiently(t, e.GetCharacterList, &databasev1.GetCharacterListRequest{UserId: c.UserId})
			if err != nil || len(l.Characters) != 1 {
				t.Fatalf("GetCharacterList = %v, %v, want one", l, err)
			}
			return l.Characters[0]
		}
		version := c.Version
		for level := int32(10); level < 15; level++ {
			list() // now it is cached
			saved, err := patiently(t, e.SaveCharacter, &databasev1.SaveCharacterRequest{
				CharacterId: c.Id, ExpectedVersion: version, SaveId: newUUID(), Level: proto.Int32(level)})
			if err != nil {
				t.Fatalf("SaveCharacter = %v", err)
			}
			if got := list(); got.Level != level || got.Version != saved.Version {
				t.Errorf("GetCharacterList after SaveCharacter = level %d, version %d, want %d and %d", got.Level, got.Version, level, saved.Version)
			}
			version = saved.Version
		}
	})
}

// TestMovedCharacterIsLogged checks that a character that is moved to another user by SQL changes both users' lists.
func TestMovedCharacterIsLogged(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	c, to := e.mustCreate(t, e.user(t)), e.user(t)
	tx, err := e.Owner.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), `UPDATE game.character SET user_id = $1 WHERE id = $2`, to, c.Id); err != nil {
		t.Fatal(err)
	}
	rows, err := tx.Query(t.Context(), `SELECT key FROM game.cache_change WHERE xid = pg_current_xact_id()`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"character:" + strconv.FormatInt(c.Id, 10), "characters:" + c.UserId, "characters:" + to}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the change log has %v, want %v", got, want)
	}
}
