package characters_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characters"
)

// sections are the messages that are stored as JSON.
var sections = []proto.Message{
	&databasev1.Looks{}, &databasev1.Stats{}, &databasev1.Position{}, &databasev1.EquipmentSet{}, &databasev1.Inventory{},
	&databasev1.SkillBook{}, &structpb.Struct{},
}

func empty(m proto.Message) proto.Message { return m.ProtoReflect().New().Interface() }

// decoded returns what the program and what protojson read.
func decoded(document string, section proto.Message) (got, want proto.Message, gotErr, wantErr error) {
	got, want = empty(section), empty(section)
	gotErr = characters.Decode(document, got)
	wantErr = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal([]byte(document), want)
	return got, want, gotErr, wantErr
}

func checkDecoded(t *testing.T, document string, section proto.Message) {
	t.Helper()
	name := section.ProtoReflect().Descriptor().Name()
	got, want, gotErr, wantErr := decoded(document, section)
	if (gotErr == nil) != (wantErr == nil) {
		t.Errorf("decode(%s) as %s = %v, want %v", document, name, gotErr, wantErr)
	}
	if wantErr == nil && !proto.Equal(want, got) { // which takes two NaN for equal
		t.Errorf("decode(%s) as %s (-want +got):\n%s", document, name, cmp.Diff(want, got, protocmp.Transform()))
	}
}

// fill sets every field to a value that edges returns.
func fill(m protoreflect.Message, entries int, edge func(protoreflect.Kind) protoreflect.Value) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.IsMap(): // the fields of a Struct
		case f.IsList():
			for range entries {
				e := m.Mutable(f).List().NewElement()
				fill(e.Message(), entries, edge)
				m.Mutable(f).List().Append(e)
			}
		default:
			m.Set(f, edge(f.Kind()))
		}
	}
}

// edge returns a value that is hard to read, or an ordinary one.
func edge(random *rand.Rand) func(protoreflect.Kind) protoreflect.Value {
	pick := func(n int64, all ...int64) int64 {
		if i := random.IntN(2 * len(all)); i < len(all) {
			return all[i]
		}
		return n
	}
	return func(k protoreflect.Kind) protoreflect.Value {
		switch k {
		case protoreflect.Int32Kind:
			return protoreflect.ValueOfInt32(int32(pick(int64(random.Int32()), 0, 1, -1, 10, math.MaxInt32, math.MinInt32)))
		case protoreflect.Int64Kind:
			return protoreflect.ValueOfInt64(pick(random.Int64(), 0, 1, -1, 1<<53+1, math.MaxInt64, math.MinInt64))
		case protoreflect.DoubleKind:
			all := []float64{0, 530500, -0.1, 5200.000000000001, 1 << 53, 1e21, -1e-300, math.MaxFloat64, math.SmallestNonzeroFloat64, random.NormFloat64()}
			return protoreflect.ValueOfFloat64(all[random.IntN(len(all))])
		case protoreflect.BoolKind:
			return protoreflect.ValueOfBool(random.IntN(2) == 0)
		case protoreflect.StringKind: // an item's uid
			return protoreflect.ValueOfString(newUUID())
		}
		panic(fmt.Sprintf("a field of the kind %v: teach the test and jsonb about it", k))
	}
}

// TestOwnDocuments: what this program writes comes back equal, and without protojson. A field that sections.go does not know
// fails here.
func TestOwnDocuments(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 60 {
		for _, section := range sections {
			want := empty(section)
			fill(want.ProtoReflect(), round%4, edge(random))
			written, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			var stored string
			if err := e.Owner.QueryRow(t.Context(), `SELECT $1::jsonb::text`, string(written)).Scan(&stored); err != nil {
				t.Fatal(err)
			}
			got := empty(section)
			if !characters.ReadSection(stored, got) {
				t.Errorf("%s: %s needs protojson", section.ProtoReflect().Descriptor().Name(), stored)
			}
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", section.ProtoReflect().Descriptor().Name(), stored, diff)
			}
		}
	}
}

// strange are documents that an operator, another version of this program or nothing at all has written.
var strange = []string{
	`{}`, ``, ` {}`, `{} `, `{}{}`, `null`, `[]`, `"{}"`, `{`, `{"race"`, `{"race": `, `{"race": 1`, `{"race": 1,`, `{"race": 1, `, `{"": 1}`,
	`{"race": 1}`, `{"race":1}`, `{ "race": 1}`, `{"race": 1 }`, `{"race" : 1}`, `{"race": 1}x`, "{\"race\": 1}\n", `{"hair": 1, "race": 2}`,
	`{"race": 2, "hair": 1}`, `{"race": 1, "race": 2}`, `{"race": 1, "unknown": [1, {"a": null}]}`, `{"birthStone": 1}`, `{"birth_stone": 1}`,
	`{"birthStone": 1, "birth_stone": 2}`, `{"ra\u0063e": 1}`, `{"RACE": 1}`,
	`{"race": null}`, `{"race": "1"}`, `{"race": " 1"}`, `{"race": ""}`, `{"race": true}`, `{"race": {}}`, `{"race": [1]}`, `{"race": 1.0}`, `{"race": 1.5}`,
	`{"race": 1e2}`, `{"race": 1E+2}`, `{"race": 100e-2}`, `{"race": 01}`, `{"race": -1}`, `{"race": -0}`, `{"race": -}`, `{"race": +1}`, `{"race": --1}`,
	`{"race": 2147483647}`, `{"race": 2147483648}`, `{"race": -2147483648}`, `{"race": -2147483649}`, `{"race": 99999999999999999999}`,
	`{"experience": 9223372036854775807}`, `{"experience": "9223372036854775807"}`, `{"experience": "9223372036854775808"}`,
	`{"experience": 9223372036854775808}`, `{"experience": "-9223372036854775808"}`, `{"experience": -9223372036854775808}`,
	`{"experience": -9223372036854775809}`, `{"experience": "1e3"}`, `{"experience": "1.0"}`, `{"experience": "1`, `{"experience": "1" "}`,
	`{"experience": 18446744073709551616}`, `{"experience": 18446744073709551617}`, `{"experience": "00"}`, `{"experience": ""}`, `{"experience": null}`,
	`{"x": 1}`, `{"x": 1.}`, `{"x": .5}`, `{"x": 00.5}`, `{"x": -0.0}`, `{"x": -0}`, `{"x": 1e400}`, `{"x": "NaN"}`, `{"x": "Infinity"}`, `{"x": "1.5"}`, `{"x": NaN}`,
	`{"x": 1.5, "y": 2.5, "z": 3.5, "map_id": 4}`, `{"x": 1.5, "map_id": 4, "y": 2.5}`, `{"x": 1_0}`, `{"x": 0x10}`, `{"x": }`, `{"x": -}`,
	`{"items": []}`, `{"items": null}`, `{"items": {}}`, `{"items": [{}]}`, `{"items": [null]}`, `{"items": [{}, {}]}`, `{"items": [{},{}]}`, `{"items": [{}, ]}`,
	`{"items": [{}`, `{"items": [{}, {}`, `{"items": [`, `{"items": [1]}`, `{"items": [[]]}`, `{"items": [{"uid": "]"}]}`, `{"items": [{"uid": "{"}, {}]}`,
	`{"items": [{"uid": "{{"}]}`, `{"items": [{"uid": "a\"b"}]}`, `{"items": [{"uid": "\u0041"}]}`, `{"items": [{"uid": "Grüße"}]}`, "{\"items\": [{\"uid\": \"\xff\"}]}",
	"{\"items\": [{\"uid\": \"\x01\"}]}", "{\"items\": [{\"uid\": \"\x7f\"}]}", `{"items": [{"uid": null}]}`, `{"items": [{"uid": 1}]}`, `{"items": [{"has_socket": true}]}`,
	`{"items": [{"has_socket": false}]}`, `{"items": [{"has_socket": "true"}]}`, `{"items": [{"has_socket": 1}]}`, `{"items": [{"hasSocket": true}]}`,
	`{"items": [{"unknown": {"slot": 1}}]}`, `{"items": [{"slot": 1, "type": 2}], "capacity": 7, "wishlist": [{"price": "5"}]}`,
	`{"items": [{"slot": 1}], "items": [{"slot": 2}]}`, `{"hotbar": [{"ref": -3, "kind": 2, "index": 1}], "skills": [{"slot": 1, "level": 2, "skill_id": 3}]}`,
	`{"a": {"b": [1, null, "x"]}}`, `{"a": 1, "a": 2}`,
}

// TestStrangeDocuments: the program reads every document as protojson does.
func TestStrangeDocuments(t *testing.T) {
	t.Parallel()
	for _, document := range strange {
		for _, section := range sections {
			checkDecoded(t, document, section)
		}
	}
}

func FuzzDocuments(f *testing.F) {
	for _, document := range strange {
		for i := range sections {
			f.Add(document, uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, document string, section uint8) {
		checkDecoded(t, document, sections[int(section)%len(sections)])
	})
}

// thirtyItems is an inventory as PostgreSQL prints it.
func thirtyItems() string {
	document := `{"items": [`
	for i := range 30 {
		if i > 0 {
			document += ", "
		}
		document += fmt.Sprintf(`{"uid": "6ecd8c99-4036-403d-bf84-cf8400f67836", "life": 1000, "slot": %d, "count": 5, "price": "5", "item_id": 1005}`, i)
	}
	return document + `], "capacity": 120}`
}

// TestDecodeAllocations: a document costs an allocation for each list, and not one for each value.
func TestDecodeAllocations(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts all allocations of the process
	document, section := thirtyItems(), &databasev1.Inventory{}
	got := testing.AllocsPerRun(100, func() {
		section.Reset()
		if err := characters.Decode(document, section); err != nil {
			t.Error(err)
		}
	})
	if len(section.Items) != 30 || got > 3 {
		t.Errorf("30 items are %d items and %v allocations, want 30 and at most 3", len(section.Items), got)
	}
}

// BenchmarkDocuments compares the ways to read 30 items.
func BenchmarkDocuments(b *testing.B) {
	document, section := thirtyItems(), &databasev1.Inventory{}
	if err := characters.Decode(document, section); err != nil {
		b.Fatal(err)
	}
	wire, err := proto.Marshal(section)
	if err != nil {
		b.Fatal(err)
	}
	for name, read := range map[string]func(proto.Message) error{
		"jsonb":     func(m proto.Message) error { return characters.Decode(document, m) },
		"protojson": func(m proto.Message) error { return protojson.Unmarshal([]byte(document), m) },
		"protobuf":  func(m proto.Message) error { return proto.Unmarshal(wire, m) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := read(&databasev1.Inventory{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestOperatorsDocuments: an operator may write every form that protobuf's JSON has.
func TestOperatorsDocuments(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	c := e.mustCreate(t, e.user(t))
	e.OwnerExec(t, `UPDATE game.character
   SET looks = '{"race": "1", "birthStone": 2, "hair": null, "horns": {"left": [true]}}', stats = '{"experience": 12, "hp": 7.0, "mp": 1e2}',
       position = '{"x": "0.5", "y": 2, "map_id": "21"}', equipment = '{"items": null}',
       inventory = '{"items": [{"uid": "\u00e4\"", "price": 9, "count": "3", "hasSocket": true}, {"slot": 4}]}',
       skills = '{"skills": [{"skillId": 5}]}', extra = '{"quest": {"done": [1, null, "x"]}}'
 WHERE id = $1`, c.Id)
	extra, err := structpb.NewStruct(map[string]any{"quest": map[string]any{"done": []any{1, nil, "x"}}})
	if err != nil {
		t.Fatal(err)
	}
	want := proto.CloneOf(c)
	want.Looks, want.Stats = &databasev1.Looks{Race: 1, BirthStone: 2}, &databasev1.Stats{Experience: 12, Hp: 7, Mp: 100}
	want.Position, want.Equipment = &databasev1.Position{X: 0.5, Y: 2, MapId: 21}, nil
	want.Inventory = &databasev1.Inventory{Items: []*databasev1.Item{{Uid: "ä\"", Price: 9, Count: 3, HasSocket: true}, {Slot: 4}}}
	want.Skills, want.Extra = &databasev1.SkillBook{Skills: []*databasev1.Skill{{SkillId: 5}}}, extra
	list := e.mustList(t, &databasev1.GetCharacterListRequest{UserId: c.UserId, View: full})
	wantSame(t, "GetCharacterList, full", list, []*databasev1.Character{want})
}
