package characters

import (
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

// decode reads a column into an empty message, with the result of protojson. It leaves out fields that this version of the
// program does not know.
//
// protojson takes most of the time of a list. So what this program writes is read by [jsonb], at a small part of the cost.
// Another form, such as a number as a string or an unknown field, comes from an operator or another version of the program.
// protojson reads that.
func decode(column string, m proto.Message) error {
	if readSection(column, m) {
		return nil
	}
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal([]byte(column), m) // empties m first
}

// readSection returns false, and perhaps a part of the document in m, if the column is not in the usual form.
func readSection(column string, m proto.Message) bool {
	j := &jsonb{in: column}
	switch m := m.(type) {
	case *databasev1.Looks:
		j.looks(m)
	case *databasev1.Stats:
		j.stats(m)
	case *databasev1.Position:
		j.position(m)
	case *databasev1.EquipmentSet:
		j.equipment(m)
	case *databasev1.Inventory:
		j.inventory(m)
	case *databasev1.SkillBook:
		j.skillBook(m)
	case *structpb.Struct:
		j.expect("{}") // a game that uses extra pays for protojson
	default:
		return false
	}
	return j.end()
}

// Each function below knows the fields of one message. A field that is missing here is still read, but by protojson; a test
// finds it.

func (j *jsonb) looks(m *databasev1.Looks) {
	for key := j.first(); key != ""; key = j.next(key) {
		switch key {
		case "race":
			j.int32(&m.Race)
		case "face":
			j.int32(&m.Face)
		case "hair":
			j.int32(&m.Hair)
		case "birth_stone":
			j.int32(&m.BirthStone)
		default:
			j.bad = true
		}
	}
}

func (j *jsonb) stats(m *databasev1.Stats) {
	for key := j.first(); key != ""; key = j.next(key) {
		switch key {
		case "experience":
			j.int64(&m.Experience)
		case "penalty_experience":
			j.int64(&m.PenaltyExperience)
		default:
			to := statField(m, key)
			if to == nil {
				j.bad = true
				return
			}
			j.int32(to)
		}
	}
}

// statField returns the field of 32 bits with that name, or nil.
func statField(m *databasev1.Stats, name string) *int32 {
	switch name {
	case "strength":
		return &m.Strength
	case "dexterity":
		return &m.Dexterity
	case "intelligence":
		return &m.Intelligence
	case "concentration":
		return &m.Concentration
	case "charm":
		return &m.Charm
	case "sense":
		return &m.Sense
	case "hp":
		return &m.Hp
	case "mp":
		return &m.Mp
	case "max_hp":
		return &m.MaxHp
	case "max_mp":
		return &m.MaxMp
	case "stamina":
		return &m.Stamina
	case "stat_points":
		return &m.StatPoints
	case "skill_points":
		return &m.SkillPoints
	}
	return nil
}

func (j *jsonb) position(m *databasev1.Position) {
	for key := j.first(); key != ""; key = j.next(key) {
		switch key {
		case "map_id":
			j.int32(&m.MapId)
		case "x":
			j.double(&m.X)
		case "y":
			j.double(&m.Y)
		case "z":
			j.double(&m.Z)
		case "revive_map_id":
			j.int32(&m.ReviveMapId)
		case "revive_x":
			j.double(&m.ReviveX)
		case "revive_y":
			j.double(&m.ReviveY)
		default:
			j.bad = true
		}
	}
}

func (j *jsonb) equipment(m *databasev1.EquipmentSet) {
	for key := j.first(); key != ""; key = j.next(key) {
		if key != "items" {
			j.bad = true
			return
		}
		list(j, &m.Items, (*jsonb).item)
	}
}

func (j *jsonb) inventory(m *databasev1.Inventory) {
	for key := j.first(); key != ""; key = j.next(key) {
		switch key {
		case "capacity":
			j.int32(&m.Capacity)
		case "items":
			list(j, &m.Items, (*jsonb).item)
		case "wishlist":
			list(j, &m.Wishlist, (*jsonb).item)
		default:
			j.bad = true
		}
	}
}

func (j *jsonb) item(m *databasev1.Item) {
	for key := j.first(); key != ""; key = j.next(key) {
		switch key {
		case "uid":
			j.string(&m.Uid)
		case "has_socket":
			j.bool(&m.HasSocket)
		case "is_appraised":
			j.bool(&m.IsAppraised)
		case "is_crafted":
			j.bool(&m.IsCrafted)
		case "price":
			j.int64(&m.Price)
		default:
			to := itemField(m, key)
			if to == nil {
				j.bad = true
				return
			}
			j.int32(to)
		}
	}
}

// itemField returns the field of 32 bits with that name, or nil.
func itemField(m *databasev1.Item, name string) *int32 {
	switch name {
	case "slot":
		return &m.Slot
	case "type":
		return &m.Type
	case "item_id":
		return &m.ItemId
	case "count":
		return &m.Count
	case "grade":
		return &m.Grade
	case "gem":
		return &m.Gem
	case "durability":
		return &m.Durability
	case "life":
		return &m.Life
	}
	return nil
}

func (j *jsonb) skillBook(m *databasev1.SkillBook) {
	for key := j.first(); key != ""; key = j.next(key) {
		switch key {
		case "skills":
			list(j, &m.Skills, (*jsonb).skill)
		case "hotbar":
			list(j, &m.Hotbar, (*jsonb).hotbarSlot)
		default:
			j.bad = true
		}
	}
}

func (j *jsonb) skill(m *databasev1.Skill) {
	for key := j.first(); key != ""; key = j.next(key) {
		switch key {
		case "skill_id":
			j.int32(&m.SkillId)
		case "level":
			j.int32(&m.Level)
		case "slot":
			j.int32(&m.Slot)
		default:
			j.bad = true
		}
	}
}

func (j *jsonb) hotbarSlot(m *databasev1.HotbarSlot) {
	for key := j.first(); key != ""; key = j.next(key) {
		switch key {
		case "index":
			j.int32(&m.Index)
		case "kind":
			j.int32(&m.Kind)
		case "ref":
			j.int32(&m.Ref)
		default:
			j.bad = true
		}
	}
}
