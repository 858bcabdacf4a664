package console

import (
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

// characterPage is the content of the page of one character.
type characterPage struct {
	visitor
	*databasev1.Character
	Tables []table   // sections of single values
	Grid   []gridRow // of the inventory
	Extra  string    // JSON
}

// table is a section of a character.
type table struct {
	Name string
	Rows []fact
}

type fact struct{ Name, Value string }

// gridRow is a slot of the inventory. Item is nil if it is empty.
type gridRow struct {
	Slot int32
	Item *databasev1.Item
}

func (v *visit) character() (answer, error) {
	got, err := v.console.characters.GetCharacter(v.ctx(), &databasev1.GetCharacterRequest{CharacterId: number(v.FormValue("id"))})
	if err != nil {
		return answer{}, err
	}
	c := got.Character
	s := &characterPage{visitor: v.visitor, Character: c, Grid: grid(c.GetInventory())}
	for _, section := range []struct {
		name string
		of   protoreflect.Message
	}{{"Looks", c.GetLooks().ProtoReflect()}, {"Stats", c.GetStats().ProtoReflect()}, {"Position", c.GetPosition().ProtoReflect()}} {
		s.Tables = append(s.Tables, table{section.name, facts(section.of)})
	}
	if len(c.GetExtra().GetFields()) > 0 {
		s.Extra = protojson.Format(c.Extra)
	}
	return answer{template: "character", frame: frame{Title: c.Name, Section: "players", Content: s}}, nil
}

// facts lists the single values of a message in the order of the contract.
func facts(m protoreflect.Message) []fact {
	var all []fact
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		all = append(all, fact{strings.ReplaceAll(string(f.Name()), "_", " "), m.Get(f).String()})
	}
	return all
}

// grid places each item in its slot. An item beyond the capacity, or in a slot that has one already, gets a place at the end.
func grid(inventory *databasev1.Inventory) []gridRow {
	rows := make([]gridRow, max(0, min(inventory.GetCapacity(), 1000)))
	for i := range rows {
		rows[i].Slot = int32(i)
	}
	for _, item := range inventory.GetItems() {
		if n := int(item.Slot); n >= 0 && n < len(rows) && rows[n].Item == nil {
			rows[n].Item = item
		} else {
			rows = append(rows, gridRow{item.Slot, item})
		}
	}
	return rows
}
