package characters_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characters"
)

// TestUIDsOfACharacter saves items to a character that wears "worn", carries "carried", and wishes "wished".
func TestUIDsOfACharacter(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	worn, carried, wished := &databasev1.Item{Uid: newUUID()}, &databasev1.Item{Uid: newUUID()}, &databasev1.Item{Uid: newUUID()}
	upper := func(i *databasev1.Item) *databasev1.Item { return &databasev1.Item{Uid: strings.ToUpper(i.Uid)} }
	wears := func(l ...*databasev1.Item) *databasev1.EquipmentSet { return &databasev1.EquipmentSet{Items: l} }
	carries := func(l ...*databasev1.Item) *databasev1.Inventory { return &databasev1.Inventory{Items: l} }
	wishes := func(l ...*databasev1.Item) *databasev1.Inventory { return &databasev1.Inventory{Wishlist: l} }
	for _, test := range []struct {
		name string
		save *databasev1.SaveCharacterRequest
		want fault
	}{
		{"wears what it carries", &databasev1.SaveCharacterRequest{Equipment: wears(worn, carried)}, badArgument("equipment")},
		{"wears what it wishes", &databasev1.SaveCharacterRequest{Equipment: wears(wished)}, badArgument("equipment")},
		{"wears what it carries, in upper case", &databasev1.SaveCharacterRequest{Equipment: wears(&databasev1.Item{}, upper(carried))}, badArgument("equipment")},
		{"carries what it wears", &databasev1.SaveCharacterRequest{Inventory: carries(carried, worn)}, badArgument("inventory")},
		{"wishes what it wears", &databasev1.SaveCharacterRequest{Inventory: wishes(upper(worn))}, badArgument("inventory")},
		{"takes one off, puts one on", &databasev1.SaveCharacterRequest{Equipment: wears(carried), Inventory: carries(worn)}, fault{}},
		{"wears it still", &databasev1.SaveCharacterRequest{Equipment: wears(worn)}, fault{}},
		{"carries what it wished", &databasev1.SaveCharacterRequest{Inventory: carries(wished)}, fault{}},
		{"wears nothing", &databasev1.SaveCharacterRequest{Equipment: wears()}, fault{}},
		{"items without uids", &databasev1.SaveCharacterRequest{Inventory: carries(&databasev1.Item{}, &databasev1.Item{})}, fault{}},
		{"no items in the request", &databasev1.SaveCharacterRequest{Money: proto.Int64(1)}, fault{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			user := e.user(t)
			c := e.mustCreateAs(t, &databasev1.CreateCharacterRequest{
				UserId: user, Name: newName(), Equipment: []*databasev1.Item{worn, {}},
				Inventory: &databasev1.Inventory{Capacity: 3, Items: []*databasev1.Item{carried, {}}, Wishlist: []*databasev1.Item{wished, {}}},
			})
			r := test.save
			r.UserId, r.CharacterId, r.ExpectedVersion, r.SaveId = user, c.Id, 1, newUUID()
			for range 2 { // the second is the first's retry
				_, err := patiently(t, e.SaveCharacter, r)
				wantFault(t, "SaveCharacter", err, test.want)
			}
			if test.want != (fault{}) {
				wantSame(t, "GetCharacter after a refused save", e.mustGet(t, c), c)
			}
		})
	}
	t.Run("an old version", func(t *testing.T) {
		c := e.mustCreateAs(t, &databasev1.CreateCharacterRequest{UserId: e.user(t), Name: newName(), Equipment: []*databasev1.Item{worn}})
		e.mustSave(t, &databasev1.SaveCharacterRequest{CharacterId: c.Id, ExpectedVersion: 1, Level: proto.Int32(2)})
		_, err := patiently(t, e.SaveCharacter, &databasev1.SaveCharacterRequest{CharacterId: c.Id, ExpectedVersion: 1, Inventory: carries(worn)})
		wantMismatch(t, "SaveCharacter of an old version with a uid that is taken", err, "2")
	})
	t.Run("documents that an operator wrote", func(t *testing.T) {
		c := e.mustCreate(t, e.user(t))
		e.OwnerExec(t, `UPDATE game.character SET inventory = jsonb_build_object('wishlist', jsonb_build_object('uid', upper($2)), 'capacity', '7', 'items', NULL) WHERE id = $1`, c.Id, worn.Uid)
		_, err := patiently(t, e.SaveCharacter, &databasev1.SaveCharacterRequest{CharacterId: c.Id, ExpectedVersion: 1, Equipment: wears(worn)})
		wantFault(t, "SaveCharacter", err, badArgument("equipment"))
	})
}
