package characters

import (
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// Limits of the documents, in bytes of protobuf and in entries.
const (
	maxInventoryBytes = 64 << 10
	maxExtraBytes     = 16 << 10
	maxItems          = 500 // items and wishlist together
	maxSkills         = 500
	maxHotbar         = 500
	maxEquipment      = 32
	// maxExtraDepth is far below the limits of PostgreSQL's and protobuf's parsers.
	maxExtraDepth = 64
)

// documents are the sections of a character that are stored as JSON. nil means that the request does not carry the section.
type documents struct {
	looks     *databasev1.Looks
	stats     *databasev1.Stats
	position  *databasev1.Position
	equipment *databasev1.EquipmentSet
	inventory *databasev1.Inventory
	skills    *databasev1.SkillBook
	extra     *structpb.Struct
}

// check refuses documents that are too large, and values that JSON or PostgreSQL cannot hold.
func (d documents) check() error {
	if p := d.position; p != nil {
		for _, f := range []float64{p.X, p.Y, p.Z, p.ReviveX, p.ReviveY} {
			if math.IsNaN(f) || math.IsInf(f, 0) {
				return rpcserver.InvalidArgument("position", "has a coordinate that is no finite number")
			}
		}
	}
	inv, skills := d.inventory, d.skills
	for _, l := range []struct {
		field    string
		n, limit int
	}{
		{"equipment", len(d.equipment.GetItems()), maxEquipment},
		{"inventory", len(inv.GetItems()) + len(inv.GetWishlist()), maxItems},
		{"skills", len(skills.GetSkills()), maxSkills},
		{"skills", len(skills.GetHotbar()), maxHotbar},
	} {
		if l.n > l.limit {
			return errTooLarge(l.field, fmt.Sprintf("has more than %d entries", l.limit))
		}
	}
	if err := d.checkItems(); err != nil {
		return err
	}
	if proto.Size(inv) > maxInventoryBytes {
		return errTooLarge("inventory", fmt.Sprintf("is larger than %d bytes", maxInventoryBytes))
	}
	if proto.Size(d.extra) > maxExtraBytes {
		return errTooLarge("extra", fmt.Sprintf("is larger than %d bytes", maxExtraBytes))
	}
	return checkExtra(d.extra.GetFields(), 0)
}

func checkExtra(fields map[string]*structpb.Value, depth int) error {
	for k, v := range fields {
		if strings.IndexByte(k, 0) >= 0 {
			return rpcserver.InvalidArgument("extra", "has a NUL in a key")
		}
		if err := checkValue(v, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func checkValue(v *structpb.Value, depth int) error {
	if depth > maxExtraDepth {
		return rpcserver.InvalidArgument("extra", fmt.Sprintf("is nested deeper than %d", maxExtraDepth))
	}
	switch k := v.GetKind().(type) {
	case nil:
		return rpcserver.InvalidArgument("extra", "has a value of no kind")
	case *structpb.Value_NumberValue:
		if math.IsNaN(k.NumberValue) || math.IsInf(k.NumberValue, 0) {
			return rpcserver.InvalidArgument("extra", "has a number that is not finite")
		}
	case *structpb.Value_StringValue:
		if strings.IndexByte(k.StringValue, 0) >= 0 {
			return rpcserver.InvalidArgument("extra", "has a NUL in a string")
		}
	case *structpb.Value_StructValue:
		return checkExtra(k.StructValue.GetFields(), depth)
	case *structpb.Value_ListValue:
		for _, e := range k.ListValue.GetValues() {
			if err := checkValue(e, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// columns are the documents as values of their columns.
type columns struct {
	looks, stats, position, equipment, inventory, skills, extra *string
}

func (d documents) columns() (c columns, err error) {
	for _, e := range []error{
		set(&c.looks, d.looks), set(&c.stats, d.stats), set(&c.position, d.position), set(&c.equipment, d.equipment),
		set(&c.inventory, d.inventory), set(&c.skills, d.skills), set(&c.extra, d.extra),
	} {
		if e != nil {
			return c, e
		}
	}
	return c, nil
}

// set stores the JSON of a section in its column. A section that the request does not carry leaves it nil.
func set[M interface {
	comparable
	proto.Message
}](column **string, m M) error {
	var none M
	if m == none {
		return nil
	}
	b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	s := string(b)
	*column = &s
	return err
}
