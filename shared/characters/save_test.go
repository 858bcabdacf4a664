package characters_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characters"
)

var (
	versionMismatch = fault{twirp.Aborted, "VERSION_MISMATCH", ""}

	// ignoreSaved ignores the fields that every save changes.
	ignoreSaved = protocmp.IgnoreFields(&databasev1.Character{}, "version", "updated_at")
)

// wantMismatch checks the error with the current version.
func wantMismatch(t testing.TB, call string, err error, current string) {
	t.Helper()
	wantFault(t, call, err, versionMismatch)
	if e, ok := errors.AsType[twirp.Error](err); ok && e.Meta("current_version") != current {
		t.Errorf("%s = current_version %q, want %s", call, e.Meta("current_version"), current)
	}
}

func TestSaveReplacesWhatItCarries(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	extra, err := structpb.NewStruct(map[string]any{"quest": []any{1.0, "two"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		request *databasev1.SaveCharacterRequest
		change  func(want *databasev1.Character)
	}{
		{"level", &databasev1.SaveCharacterRequest{Level: proto.Int32(1)}, func(c *databasev1.Character) { c.Level = 1 }},
		{"job to zero", &databasev1.SaveCharacterRequest{Job: proto.Int32(0)}, func(c *databasev1.Character) { c.Job = 0 }},
		{"money to zero", &databasev1.SaveCharacterRequest{Money: proto.Int64(0)}, func(c *databasev1.Character) { c.Money = 0 }},
		{"looks as a whole", &databasev1.SaveCharacterRequest{Looks: &databasev1.Looks{Hair: 9}}, func(c *databasev1.Character) { c.Looks = &databasev1.Looks{Hair: 9} }},
		{"stats as a whole", &databasev1.SaveCharacterRequest{Stats: &databasev1.Stats{Hp: 1}}, func(c *databasev1.Character) { c.Stats = &databasev1.Stats{Hp: 1} }},
		{"position as a whole", &databasev1.SaveCharacterRequest{Position: &databasev1.Position{X: -0.5}}, func(c *databasev1.Character) { c.Position = &databasev1.Position{X: -0.5} }},
		{"equipment", &databasev1.SaveCharacterRequest{Equipment: &databasev1.EquipmentSet{Items: []*databasev1.Item{{Slot: 9}}}},
			func(c *databasev1.Character) { c.Equipment = []*databasev1.Item{{Slot: 9}} }},
		{"an empty equipment", &databasev1.SaveCharacterRequest{Equipment: &databasev1.EquipmentSet{}}, func(c *databasev1.Character) { c.Equipment = nil }},
		{"inventory", &databasev1.SaveCharacterRequest{Inventory: &databasev1.Inventory{Capacity: 1}}, func(c *databasev1.Character) { c.Inventory = &databasev1.Inventory{Capacity: 1} }},
		{"an empty inventory", &databasev1.SaveCharacterRequest{Inventory: &databasev1.Inventory{}}, func(c *databasev1.Character) { c.Inventory = &databasev1.Inventory{} }},
		{"an empty skill book", &databasev1.SaveCharacterRequest{Skills: &databasev1.SkillBook{}}, func(c *databasev1.Character) { c.Skills = &databasev1.SkillBook{} }},
		{"extra", &databasev1.SaveCharacterRequest{Extra: extra}, func(c *databasev1.Character) { c.Extra = extra }},
		{"an empty extra", &databasev1.SaveCharacterRequest{Extra: &structpb.Struct{}}, func(c *databasev1.Character) { c.Extra = &structpb.Struct{} }},
		{"play seconds", &databasev1.SaveCharacterRequest{AddPlaySeconds: 90}, func(c *databasev1.Character) { c.PlaySeconds = 90 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := e.mustCreateAs(t, fullRequest(e.user(t)))
			test.request.UserId, test.request.CharacterId, test.request.ExpectedVersion = want.UserId, want.Id, 1
			wantSame(t, "SaveCharacter", e.mustSave(t, test.request), &databasev1.SaveCharacterResponse{Version: 2})
			test.change(want)
			got := e.mustGet(t, want)
			wantSame(t, "GetCharacter after SaveCharacter", got, want, ignoreSaved, protocmp.IgnoreFields(want, "last_played_at"))
			if got.Version != 2 || !got.UpdatedAt.AsTime().After(want.UpdatedAt.AsTime()) {
				t.Errorf("GetCharacter after SaveCharacter = version %d, updated %v, want 2 and later than %v", got.Version, got.UpdatedAt, want.UpdatedAt)
			}
			if played := test.request.AddPlaySeconds > 0; played != proto.Equal(got.LastPlayedAt, got.UpdatedAt) || !played && got.LastPlayedAt != nil {
				t.Errorf("GetCharacter after SaveCharacter = last played %v, want it set only if play seconds were added", got.LastPlayedAt)
			}
		})
	}
}

func TestPlaySecondsAddUp(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	c := e.mustCreate(t, e.user(t))
	for i, add := range []int32{60, 0, 7 * oneDay} {
		e.mustSave(t, &databasev1.SaveCharacterRequest{CharacterId: c.Id, ExpectedVersion: int64(i) + 1, AddPlaySeconds: add, Level: proto.Int32(2)})
	}
	got := e.mustGet(t, c)
	if got.PlaySeconds != 60+7*oneDay || !proto.Equal(got.LastPlayedAt, got.UpdatedAt) {
		t.Errorf("GetCharacter = %d s played, last %v, want %d and %v", got.PlaySeconds, got.LastPlayedAt, 60+7*oneDay, got.UpdatedAt)
	}
	before := got.LastPlayedAt
	e.mustSave(t, &databasev1.SaveCharacterRequest{CharacterId: c.Id, ExpectedVersion: 4, Level: proto.Int32(3)})
	wantSame(t, "last_played_at after a save without play seconds", e.mustGet(t, c).LastPlayedAt, before)
}

func TestSaveOfNothing(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	want := e.mustCreateAs(t, fullRequest(e.user(t)))
	nothing := &databasev1.SaveCharacterRequest{UserId: want.UserId, CharacterId: want.Id, ExpectedVersion: 1, SaveId: newUUID()}
	for range 2 {
		wantSame(t, "SaveCharacter of nothing", e.mustSave(t, nothing), &databasev1.SaveCharacterResponse{Version: 1})
		wantSame(t, "GetCharacter after a save of nothing", e.mustGet(t, want), want)
	}
	something := proto.CloneOf(nothing)
	something.Money = proto.Int64(7)
	wantSame(t, "SaveCharacter with the same save_id", e.mustSave(t, something), &databasev1.SaveCharacterResponse{Version: 2})
	nothing.SaveId = newUUID()
	_, err := patiently(t, e.SaveCharacter, nothing)
	wantMismatch(t, "SaveCharacter of nothing with an old version", err, "2")
	nothing.UserId, nothing.ExpectedVersion = e.user(t), 2
	_, err = patiently(t, e.SaveCharacter, nothing)
	wantFault(t, "SaveCharacter of nothing for another user", err, notFound)
	e.mustDelete(t, want, immediate)
	nothing.UserId = want.UserId
	_, err = patiently(t, e.SaveCharacter, nothing)
	wantFault(t, "SaveCharacter of nothing after the deletion", err, notFound)
}

func TestSaveLeavesTheMark(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	user := e.user(t)
	e.mustCreate(t, user) // takes slot 0, so that the tested slot is not 0
	c := e.mustCreateAs(t, fullRequest(user))
	want := e.mustDelete(t, c, scheduled).Character
	e.mustSave(t, &databasev1.SaveCharacterRequest{UserId: user, CharacterId: c.Id, ExpectedVersion: 2, Level: proto.Int32(7)})
	want.Level = 7
	wantSame(t, "GetCharacter after a save of a marked one", e.mustGet(t, c), want, ignoreSaved, ignoreCountdown)
}

func TestSaveVersion(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	save := func(c *databasev1.Character, version int64, id string, money int64) (*databasev1.SaveCharacterResponse, error) {
		return e.SaveCharacter(t.Context(), &databasev1.SaveCharacterRequest{
			CharacterId: c.Id, ExpectedVersion: version, SaveId: id, Money: proto.Int64(money), AddPlaySeconds: 1,
		})
	}
	// saved checks that a save returns the version, and that the character is as that save wrote it.
	saved := func(t *testing.T, c *databasev1.Character, version int64, id string, money int64, want *databasev1.SaveCharacterResponse) {
		t.Helper()
		got, err := save(c, version, id, money)
		wantFault(t, "SaveCharacter", err, fault{})
		wantSame(t, "SaveCharacter", got, want)
	}
	is := func(t *testing.T, c *databasev1.Character, version, money, played int64) {
		t.Helper()
		if got := e.mustGet(t, c); got.Version != version || got.Money != money || got.PlaySeconds != played {
			t.Errorf("GetCharacter = version %d, money %d, %d s played, want %d, %d, %d", got.Version, got.Money, got.PlaySeconds, version, money, played)
		}
	}
	response := func(version int64, replayed bool) *databasev1.SaveCharacterResponse {
		return &databasev1.SaveCharacterResponse{Version: version, Replayed: replayed}
	}
	t.Run("a mismatch returns the current version and changes nothing", func(t *testing.T) {
		c := e.mustCreate(t, e.user(t))
		saved(t, c, 1, "", 10, response(2, false))
		for _, wrong := range []int64{1, 3, 1 << 60} {
			_, err := save(c, wrong, "", 99)
			wantMismatch(t, "SaveCharacter with a wrong version", err, "2")
		}
		is(t, c, 2, 10, 1)
	})
	t.Run("a mark is a change", func(t *testing.T) {
		c := e.mustCreate(t, e.user(t))
		e.mustDelete(t, c, scheduled)
		_, err := save(c, 1, "", 99)
		wantMismatch(t, "SaveCharacter with the version before the mark", err, "2")
	})
	t.Run("a retry is applied once", func(t *testing.T) {
		c, id := e.mustCreate(t, e.user(t)), newUUID()
		saved(t, c, 1, id, 10, response(2, false))
		saved(t, c, 1, id, 10, response(2, true))
		saved(t, c, 1, strings.ToUpper(id), 10, response(2, true))
		is(t, c, 2, 10, 1)
	})
	t.Run("a save_id with other content", func(t *testing.T) {
		c, id := e.mustCreate(t, e.user(t)), newUUID()
		saved(t, c, 1, id, 10, response(2, false))
		for name, r := range map[string]*databasev1.SaveCharacterRequest{
			"another value":   {Money: proto.Int64(11), AddPlaySeconds: 1},
			"another section": {Money: proto.Int64(10), AddPlaySeconds: 1, Looks: &databasev1.Looks{}},
			"less":            {Money: proto.Int64(10)},
			"nothing":         {},
		} {
			r.CharacterId, r.ExpectedVersion, r.SaveId = c.Id, 1, strings.ToUpper(id)
			_, err := patiently(t, e.SaveCharacter, r)
			wantFault(t, "SaveCharacter with "+name, err, fault{twirp.InvalidArgument, "REQUEST_ID_REUSED", "save_id"})
		}
		got, err := patiently(t, e.SaveCharacter, &databasev1.SaveCharacterRequest{
			UserId: c.UserId, CharacterId: c.Id, ExpectedVersion: 1, SaveId: id, Money: proto.Int64(10), AddPlaySeconds: 1,
		})
		wantFault(t, "SaveCharacter again, with the user", err, fault{})
		wantSame(t, "SaveCharacter again, with the user", got, response(2, true))
		is(t, c, 2, 10, 1)
	})
	t.Run("a save_id of a program that stores no hash", func(t *testing.T) {
		c, id, old := e.mustCreate(t, e.user(t)), newUUID(), newUUID()
		saved(t, c, 1, id, 10, response(2, false))
		e.OwnerExec(t, `UPDATE game.character SET version = 3, last_save_version = 3, last_save_id = $2 WHERE id = $1`, c.Id, old)
		saved(t, c, 2, old, 20, response(3, true))
	})
	t.Run("a retry after a mark", func(t *testing.T) {
		c, id := e.mustCreate(t, e.user(t)), newUUID()
		saved(t, c, 1, id, 10, response(2, false))
		e.mustDelete(t, c, scheduled)
		saved(t, c, 1, id, 10, response(2, true))
		is(t, c, 3, 10, 1)
	})
	t.Run("a retry after another save", func(t *testing.T) {
		c, id := e.mustCreate(t, e.user(t)), newUUID()
		saved(t, c, 1, id, 10, response(2, false))
		saved(t, c, 2, newUUID(), 20, response(3, false))
		_, err := save(c, 1, id, 10)
		wantMismatch(t, "SaveCharacter again after another save", err, "3")
		is(t, c, 3, 20, 2)
	})
	t.Run("another save under the same version", func(t *testing.T) {
		c := e.mustCreate(t, e.user(t))
		saved(t, c, 1, newUUID(), 10, response(2, false))
		_, err := save(c, 1, newUUID(), 20)
		wantMismatch(t, "SaveCharacter with another save_id", err, "2")
		_, err = save(c, 1, "", 20)
		wantMismatch(t, "SaveCharacter without a save_id", err, "2")
		is(t, c, 2, 10, 1)
	})
	t.Run("the same save_id with the new version is a new save", func(t *testing.T) {
		c, id := e.mustCreate(t, e.user(t)), newUUID()
		saved(t, c, 1, id, 10, response(2, false))
		saved(t, c, 2, id, 20, response(3, false))
		saved(t, c, 2, id, 20, response(3, true))
		_, err := save(c, 1, id, 10)
		wantMismatch(t, "SaveCharacter with the version before", err, "3")
		is(t, c, 3, 20, 2)
	})
}
