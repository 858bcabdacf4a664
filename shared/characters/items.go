package characters

import (
	"strings"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/requestid"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// A uid is once in a character: in its equipment, its items and its wishlist. Else an item would be there twice, and so
// would what it is worth. A save that carries only the equipment or only the inventory is compared with the other one as
// it is stored.

// uidsAreNew matches the character if what it keeps has none of the uids. A save that carries both sections keeps none.
// jsonpath finds the uids of every list of a document, also of one that an operator wrote.
const uidsAreNew = `(@uids::text[] IS NULL OR NOT EXISTS (
       SELECT FROM jsonb_path_query(CASE WHEN @inventory::jsonb IS NULL THEN c.inventory ELSE c.equipment END, '$.*[*].uid') AS kept (uid)
        WHERE lower(kept.uid #>> '{}') = ANY (@uids::text[])))`

// checkItems refuses items that no character may have.
func (d documents) checkItems() error {
	uids := map[string]bool{}
	for _, l := range []struct {
		field string
		items []*databasev1.Item
	}{
		{"equipment", d.equipment.GetItems()},
		{"inventory", d.inventory.GetItems()},
		{"inventory", d.inventory.GetWishlist()},
	} {
		for _, i := range l.items {
			uid := strings.ToLower(i.Uid)
			switch {
			case uid != "" && !requestid.IsUUID(uid):
				return rpcserver.InvalidArgument(l.field, "has an item whose uid is no UUID")
			case i.Count < 0:
				return rpcserver.InvalidArgument(l.field, "has an item with a negative count")
			case uids[uid]:
				return rpcserver.InvalidArgument(l.field, "has an item whose uid another item of the request has")
			case uid != "":
				uids[uid] = true
			}
		}
	}
	return nil
}

// onlySection returns which section the request carries, if it is only one of equipment and inventory, and the uids of its items.
func (d documents) onlySection() (field string, uids []string) {
	var all []*databasev1.Item
	switch {
	case d.equipment != nil && d.inventory == nil:
		field, all = "equipment", d.equipment.GetItems()
	case d.equipment == nil && d.inventory != nil:
		field = "inventory"
		all = append(all, d.inventory.GetItems()...)
		all = append(all, d.inventory.GetWishlist()...)
	}
	for _, i := range all {
		if i.Uid != "" {
			uids = append(uids, strings.ToLower(i.Uid))
		}
	}
	return field, uids
}
