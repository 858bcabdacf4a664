package characters_test

import (
	"testing"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characters"
)

// TestRetryOfADeadProcessIsReadBack checks a save by a process that dies before it invalidates the cache. The retry,
// which another process answers, acknowledges the save, so a read after it must see it.
func TestRetryOfADeadProcessIsReadBack(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	c := e.mustCreate(t, e.user(t))
	list := &databasev1.GetCharacterListRequest{UserId: c.UserId}
	for range 2 {
		e.mustGet(t, c)
		e.mustList(t, list)
	}
	saveID := newUUID()
	e.OwnerExec(t, `UPDATE game.character SET money = 777, version = version + 1, last_save_id = $2, last_save_version = version + 1 WHERE id = $1`, c.Id, saveID)
	money := int64(777)
	got := e.mustSave(t, &databasev1.SaveCharacterRequest{CharacterId: c.Id, ExpectedVersion: c.Version, SaveId: saveID, Money: &money})
	if !got.Replayed || got.Version != c.Version+1 {
		t.Errorf("SaveCharacter again = %v, want replayed at version %d", got, c.Version+1)
	}
	if now := e.mustGet(t, c); now.Money != money {
		t.Errorf("GetCharacter after the answer: money %d, want %d", now.Money, money)
	}
	if all := e.mustList(t, list); len(all) != 1 || all[0].Money != money {
		t.Errorf("GetCharacterList after the answer: %v, want money %d", all, money)
	}
}
