package characters_test

import (
	"testing"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characters"
)

// TestLimitIsLowered checks that characters in slots above a lowered limit still count.
func TestLimitIsLowered(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{Slots: 3})
	user := e.user(t)
	first := e.mustCreate(t, user)
	e.mustCreate(t, user)
	e.mustCreate(t, user)
	e.mustDelete(t, first, immediate)
	lowered, _ := serve(t, e.Program, characters.Config{Slots: 2})
	_, err := patiently(t, lowered.CreateCharacter, &databasev1.CreateCharacterRequest{UserId: user, Name: newName()})
	wantFault(t, "CreateCharacter with two of two characters, in slots 1 and 2", err, slotsFull)
}
