package characters_test

import (
	"math"
	"strings"
	"testing"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characters"
)

func tooLarge(field string) fault {
	return fault{twirp.InvalidArgument, "DOCUMENT_TOO_LARGE", field}
}

var (
	long = strings.Repeat("x", 257)
	nul  = "a\x00b"
)

func TestArguments(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	ctx := t.Context()
	t.Run("GetCharacter", func(t *testing.T) {
		for _, test := range []struct {
			field   string
			request *databasev1.GetCharacterRequest
		}{
			{"character_id", &databasev1.GetCharacterRequest{}},
			{"character_id", &databasev1.GetCharacterRequest{CharacterId: -1}},
			{"user_id", &databasev1.GetCharacterRequest{UserId: long, CharacterId: 1}},
			{"user_id", &databasev1.GetCharacterRequest{UserId: nul, CharacterId: 1}},
			{"view", &databasev1.GetCharacterRequest{CharacterId: 1, View: 3}},
		} {
			_, err := e.GetCharacter(ctx, test.request)
			wantFault(t, "GetCharacter("+test.request.String()+")", err, badArgument(test.field))
		}
	})
	t.Run("GetCharacterList", func(t *testing.T) {
		for _, test := range []struct {
			field   string
			request *databasev1.GetCharacterListRequest
		}{
			{"user_id", &databasev1.GetCharacterListRequest{}},
			{"user_id", &databasev1.GetCharacterListRequest{UserId: long}},
			{"user_id", &databasev1.GetCharacterListRequest{UserId: nul}},
			{"view", &databasev1.GetCharacterListRequest{UserId: "u", View: -1}},
		} {
			_, err := e.GetCharacterList(ctx, test.request)
			wantFault(t, "GetCharacterList("+test.request.String()+")", err, badArgument(test.field))
		}
	})
	t.Run("DeleteCharacter", func(t *testing.T) {
		for _, test := range []struct {
			field   string
			request *databasev1.DeleteCharacterRequest
		}{
			{"user_id", &databasev1.DeleteCharacterRequest{CharacterId: 1}},
			{"user_id", &databasev1.DeleteCharacterRequest{UserId: long, CharacterId: 1}},
			{"character_id", &databasev1.DeleteCharacterRequest{UserId: "u"}},
			{"mode", &databasev1.DeleteCharacterRequest{UserId: "u", CharacterId: 1, Mode: 3}},
			{"expected_name", &databasev1.DeleteCharacterRequest{UserId: "u", CharacterId: 1, ExpectedName: long[:21]}},
			{"expected_name", &databasev1.DeleteCharacterRequest{UserId: "u", CharacterId: 1, ExpectedName: nul}},
		} {
			_, err := e.DeleteCharacter(ctx, test.request)
			wantFault(t, "DeleteCharacter("+test.request.String()+")", err, badArgument(test.field))
		}
	})
	t.Run("RestoreCharacter", func(t *testing.T) {
		for _, test := range []struct {
			field   string
			request *databasev1.RestoreCharacterRequest
		}{
			{"user_id", &databasev1.RestoreCharacterRequest{CharacterId: 1}},
			{"user_id", &databasev1.RestoreCharacterRequest{UserId: nul, CharacterId: 1}},
			{"character_id", &databasev1.RestoreCharacterRequest{UserId: "u", CharacterId: -5}},
		} {
			_, err := e.RestoreCharacter(ctx, test.request)
			wantFault(t, "RestoreCharacter("+test.request.String()+")", err, badArgument(test.field))
		}
	})
	t.Run("CreateCharacter", func(t *testing.T) {
		for _, test := range []struct {
			field string
			set   func(*databasev1.CreateCharacterRequest)
		}{
			{"user_id", func(r *databasev1.CreateCharacterRequest) { r.UserId = "" }},
			{"user_id", func(r *databasev1.CreateCharacterRequest) { r.UserId = long }},
			{"user_id", func(r *databasev1.CreateCharacterRequest) { r.UserId = nul }},
			{"request_id", func(r *databasev1.CreateCharacterRequest) { r.RequestId = "1" }},
			{"request_id", func(r *databasev1.CreateCharacterRequest) { r.RequestId = "{" + newUUID() + "}" }},
			{"request_id", func(r *databasev1.CreateCharacterRequest) { r.RequestId = strings.ReplaceAll(newUUID(), "-", "") }},
			{"request_id", func(r *databasev1.CreateCharacterRequest) { r.RequestId = "g" + newUUID()[1:] }},
			{"level", func(r *databasev1.CreateCharacterRequest) { r.Level = -1 }},
			{"job", func(r *databasev1.CreateCharacterRequest) { r.Job = -1 }},
			{"money", func(r *databasev1.CreateCharacterRequest) { r.Money = -1 }},
		} {
			r := fullRequest("u")
			test.set(r)
			_, err := e.CreateCharacter(ctx, r)
			wantFault(t, "CreateCharacter with a wrong "+test.field, err, badArgument(test.field))
		}
	})
	t.Run("SaveCharacter", func(t *testing.T) {
		for _, test := range []struct {
			field string
			set   func(*databasev1.SaveCharacterRequest)
		}{
			{"user_id", func(r *databasev1.SaveCharacterRequest) { r.UserId = long }},
			{"user_id", func(r *databasev1.SaveCharacterRequest) { r.UserId = nul }},
			{"character_id", func(r *databasev1.SaveCharacterRequest) { r.CharacterId = 0 }},
			{"expected_version", func(r *databasev1.SaveCharacterRequest) { r.ExpectedVersion = 0 }},
			{"expected_version", func(r *databasev1.SaveCharacterRequest) { r.ExpectedVersion = -1 }},
			{"save_id", func(r *databasev1.SaveCharacterRequest) { r.SaveId = "x" }},
			{"level", func(r *databasev1.SaveCharacterRequest) { r.Level = proto.Int32(0) }},
			{"job", func(r *databasev1.SaveCharacterRequest) { r.Job = proto.Int32(-1) }},
			{"money", func(r *databasev1.SaveCharacterRequest) { r.Money = proto.Int64(-1) }},
			{"add_play_seconds", func(r *databasev1.SaveCharacterRequest) { r.AddPlaySeconds = -1 }},
			{"add_play_seconds", func(r *databasev1.SaveCharacterRequest) { r.AddPlaySeconds = 7*oneDay + 1 }},
		} {
			r := &databasev1.SaveCharacterRequest{CharacterId: 1, ExpectedVersion: 1}
			test.set(r)
			_, err := e.SaveCharacter(ctx, r)
			wantFault(t, "SaveCharacter with a wrong "+test.field, err, badArgument(test.field))
		}
	})
}

// nested returns a Struct with n levels.
func nested(n int) *structpb.Struct {
	v := structpb.NewNumberValue(1)
	for i := range n - 1 {
		if i%2 == 0 {
			v = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{v}})
		} else {
			v = structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{"k": v}})
		}
	}
	return &structpb.Struct{Fields: map[string]*structpb.Value{"k": v}}
}

// sized returns a Struct of n bytes.
func sized(n int) *structpb.Struct {
	s := &structpb.Struct{Fields: map[string]*structpb.Value{"k": structpb.NewStringValue("")}}
	for size := proto.Size(s); size < n; size = proto.Size(s) {
		text := s.Fields["k"].GetStringValue()
		s.Fields["k"] = structpb.NewStringValue(text + strings.Repeat("x", max(1, (n-size)*9/10)))
	}
	return s
}

func field(v *structpb.Value) *structpb.Struct {
	return &structpb.Struct{Fields: map[string]*structpb.Value{"k": v}}
}

// items returns n items, each with a uid of its own if like has one.
func items(n int, like *databasev1.Item) []*databasev1.Item {
	l := make([]*databasev1.Item, n)
	for i := range l {
		l[i] = proto.CloneOf(like)
		if like.GetUid() != "" {
			l[i].Uid = newUUID()
		}
	}
	return l
}

// TestDocuments checks every document in a create and in a save, which have the same limits.
func TestDocuments(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	kept := e.mustCreate(t, e.user(t))
	// An item of 138 bytes: 500 of them are more than 64 KiB.
	heavy := &databasev1.Item{
		Uid: newUUID(), Slot: -1, Type: -1, ItemId: -1, Count: math.MaxInt32, Grade: -1, Gem: -1, Durability: -1, Life: -1,
		HasSocket: true, IsAppraised: true, IsCrafted: true, Price: -1,
	}
	for _, test := range []struct {
		name string
		r    *databasev1.CreateCharacterRequest
		want fault
	}{
		{"x is NaN", &databasev1.CreateCharacterRequest{Position: &databasev1.Position{X: math.NaN()}}, badArgument("position")},
		{"y is infinite", &databasev1.CreateCharacterRequest{Position: &databasev1.Position{Y: math.Inf(1)}}, badArgument("position")},
		{"z is infinite", &databasev1.CreateCharacterRequest{Position: &databasev1.Position{Z: math.Inf(-1)}}, badArgument("position")},
		{"revive_x is NaN", &databasev1.CreateCharacterRequest{Position: &databasev1.Position{ReviveX: math.NaN()}}, badArgument("position")},
		{"revive_y is infinite", &databasev1.CreateCharacterRequest{Position: &databasev1.Position{ReviveY: math.Inf(1)}}, badArgument("position")},
		{"equipment, full", &databasev1.CreateCharacterRequest{Equipment: items(32, heavy)}, fault{}},
		{"equipment, too much", &databasev1.CreateCharacterRequest{Equipment: items(33, heavy)}, tooLarge("equipment")},
		{"equipment, uid", &databasev1.CreateCharacterRequest{Equipment: []*databasev1.Item{{Uid: "1"}}}, badArgument("equipment")},
		{"equipment, count", &databasev1.CreateCharacterRequest{Equipment: []*databasev1.Item{{Count: -1}}}, badArgument("equipment")},
		{"inventory, full", &databasev1.CreateCharacterRequest{Inventory: &databasev1.Inventory{Items: items(300, nil), Wishlist: items(200, nil)}}, fault{}},
		{"inventory, too much", &databasev1.CreateCharacterRequest{Inventory: &databasev1.Inventory{Items: items(300, nil), Wishlist: items(201, nil)}}, tooLarge("inventory")},
		{"inventory, many bytes", &databasev1.CreateCharacterRequest{Inventory: &databasev1.Inventory{Items: items(460, heavy)}}, fault{}},
		{"inventory, too many bytes", &databasev1.CreateCharacterRequest{Inventory: &databasev1.Inventory{Items: items(500, heavy)}}, tooLarge("inventory")},
		{"inventory, uid", &databasev1.CreateCharacterRequest{Inventory: &databasev1.Inventory{Items: []*databasev1.Item{{Uid: nul}}}}, badArgument("inventory")},
		{"inventory, count", &databasev1.CreateCharacterRequest{Inventory: &databasev1.Inventory{Items: []*databasev1.Item{{Count: -1}}}}, badArgument("inventory")},
		{"wishlist, uid", &databasev1.CreateCharacterRequest{Inventory: &databasev1.Inventory{Wishlist: []*databasev1.Item{{Uid: "x"}}}}, badArgument("inventory")},
		{"uid twice in the equipment", &databasev1.CreateCharacterRequest{Equipment: []*databasev1.Item{heavy, heavy}}, badArgument("equipment")},
		{"uid twice in the inventory", &databasev1.CreateCharacterRequest{Inventory: &databasev1.Inventory{Items: []*databasev1.Item{heavy, {}, heavy}}}, badArgument("inventory")},
		{"uid twice in the wishlist", &databasev1.CreateCharacterRequest{Inventory: &databasev1.Inventory{Wishlist: []*databasev1.Item{heavy, heavy}}}, badArgument("inventory")},
		{"uid in equipment and inventory", &databasev1.CreateCharacterRequest{Equipment: []*databasev1.Item{heavy}, Inventory: &databasev1.Inventory{Items: []*databasev1.Item{{Uid: strings.ToUpper(heavy.Uid)}}}}, badArgument("inventory")},
		{"uid in equipment and wishlist", &databasev1.CreateCharacterRequest{Equipment: []*databasev1.Item{heavy}, Inventory: &databasev1.Inventory{Wishlist: []*databasev1.Item{heavy}}}, badArgument("inventory")},
		{"uid in inventory and wishlist", &databasev1.CreateCharacterRequest{Inventory: &databasev1.Inventory{Items: []*databasev1.Item{heavy}, Wishlist: []*databasev1.Item{heavy}}}, badArgument("inventory")},
		{"no uid, many times", &databasev1.CreateCharacterRequest{Equipment: []*databasev1.Item{{}, {}}, Inventory: &databasev1.Inventory{Items: []*databasev1.Item{{}}, Wishlist: []*databasev1.Item{{}, {}}}}, fault{}},
		{"skills, full", &databasev1.CreateCharacterRequest{Skills: &databasev1.SkillBook{Skills: make([]*databasev1.Skill, 500), Hotbar: make([]*databasev1.HotbarSlot, 500)}}, fault{}},
		{"skills, too many", &databasev1.CreateCharacterRequest{Skills: &databasev1.SkillBook{Skills: make([]*databasev1.Skill, 501)}}, tooLarge("skills")},
		{"hotbar, too many", &databasev1.CreateCharacterRequest{Skills: &databasev1.SkillBook{Hotbar: make([]*databasev1.HotbarSlot, 501)}}, tooLarge("skills")},
		{"extra of 16 KiB", &databasev1.CreateCharacterRequest{Extra: sized(16 << 10)}, fault{}},
		{"extra of 16 KiB and a byte", &databasev1.CreateCharacterRequest{Extra: sized(16<<10 + 1)}, tooLarge("extra")},
		{"extra, deep", &databasev1.CreateCharacterRequest{Extra: nested(64)}, fault{}},
		{"extra, too deep", &databasev1.CreateCharacterRequest{Extra: nested(65)}, badArgument("extra")},
		{"extra, far too deep", &databasev1.CreateCharacterRequest{Extra: nested(1000)}, badArgument("extra")},
		{"extra, NaN", &databasev1.CreateCharacterRequest{Extra: field(structpb.NewNumberValue(math.NaN()))}, badArgument("extra")},
		{"extra, infinite", &databasev1.CreateCharacterRequest{Extra: field(structpb.NewNumberValue(math.Inf(-1)))}, badArgument("extra")},
		{"extra, NUL", &databasev1.CreateCharacterRequest{Extra: field(structpb.NewStringValue(nul))}, badArgument("extra")},
		{"extra, NUL in a key", &databasev1.CreateCharacterRequest{Extra: &structpb.Struct{Fields: map[string]*structpb.Value{nul: structpb.NewNullValue()}}}, badArgument("extra")},
		{"extra, no kind", &databasev1.CreateCharacterRequest{Extra: field(&structpb.Value{})}, badArgument("extra")},
		{"extra, no kind in a list", &databasev1.CreateCharacterRequest{Extra: field(structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{{}}}))}, badArgument("extra")},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := test.r
			save := &databasev1.SaveCharacterRequest{
				CharacterId: kept.Id, ExpectedVersion: e.mustGet(t, kept).Version, Position: r.Position, Inventory: r.Inventory, Skills: r.Skills, Extra: r.Extra,
				Equipment: &databasev1.EquipmentSet{Items: r.Equipment}, SaveId: newUUID(),
			}
			_, err := patiently(t, e.SaveCharacter, save)
			wantFault(t, "SaveCharacter", err, test.want)
			r.UserId, r.Name, r.RequestId = kept.UserId, newName(), newUUID()
			created, err := patiently(t, e.CreateCharacter, r)
			wantFault(t, "CreateCharacter", err, test.want)
			if err == nil {
				saved := e.mustGet(t, kept)
				wantSame(t, "equipment, created and saved", created.Character.Equipment, saved.Equipment)
				if !proto.Equal(created.Character.Extra, saved.Extra) { // cmp is too slow for a deep document
					t.Errorf("extra created = %v, saved = %v, want the same", created.Character.Extra, saved.Extra)
				}
				e.mustDelete(t, created.Character, immediate)
			}
		})
	}
}
