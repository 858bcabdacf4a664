package characters_test

import (
	"fmt"
	"testing"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/characters"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestRetriesAreReadBack checks a change by a process that commits, but cannot invalidate the cache or answer. The
// retry, which another process answers, acknowledges the change, so a read after it must see it.
func TestRetriesAreReadBack(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{Slots: 32})
	unused := testenv.FreePort(t)
	silent, _ := serve(t, e.Open(t, func(c *app.Options) { c.RedisURL = fmt.Sprintf("redis://127.0.0.1:%d", unused) }), characters.Config{Slots: 32})
	user := e.user(t)
	list := func() []*databasev1.Character {
		return e.mustList(t, &databasev1.GetCharacterListRequest{UserId: user})
	}
	for n := range 5 { // the first reads may find the cache empty or untrusted
		list()
		list()
		create := &databasev1.CreateCharacterRequest{UserId: user, Name: newName(), RequestId: newUUID()}
		if _, err := patiently(t, silent.CreateCharacter, create); err != nil {
			t.Fatalf("CreateCharacter = %v", err)
		}
		c := e.mustCreateAs(t, create)
		if got := list(); len(got) != 1 {
			t.Errorf("try %d: GetCharacterList after a retried create: %v, want one", n, got)
		}
		list()
		remove := &databasev1.DeleteCharacterRequest{CharacterId: c.Id, UserId: user, Mode: immediate}
		if _, err := patiently(t, silent.DeleteCharacter, remove); err != nil {
			t.Fatalf("DeleteCharacter = %v", err)
		}
		e.mustDelete(t, c, immediate)
		if got := list(); len(got) != 0 {
			t.Errorf("try %d: GetCharacterList after a retried delete: %v, want none", n, got)
		}
	}
}
