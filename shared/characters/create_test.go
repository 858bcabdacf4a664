package characters_test

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characters"
)

var (
	slotsFull = fault{twirp.FailedPrecondition, "SLOTS_FULL", ""}
	blocked   = fault{twirp.FailedPrecondition, "CREATION_BLOCKED", ""}
	nameTaken = fault{twirp.AlreadyExists, "NAME_TAKEN", ""}
	noUser    = fault{twirp.NotFound, "USER_NOT_FOUND", ""}
	idReused  = fault{twirp.InvalidArgument, "REQUEST_ID_REUSED", "request_id"}

	ignoreCountdown = protocmp.IgnoreFields(&databasev1.Character{}, "seconds_until_deletion")
	ignoreTimes     = protocmp.IgnoreFields(&databasev1.Character{}, "created_at", "updated_at")
	ignoreID        = protocmp.IgnoreFields(&databasev1.Character{}, "id")
)

// fullRequest returns a request with every field, including values that JSON could change.
func fullRequest(user string) *databasev1.CreateCharacterRequest {
	extra, err := structpb.NewStruct(map[string]any{
		"":       "an empty key",
		"nested": map[string]any{"list": []any{1.5, "two", nil, true, []any{}, map[string]any{"deep": -0.1}}},
		"none":   nil, "no": false, "text": "Grüße, 世界 \U0001F409 \" \\ \u2028 </script>", "big": float64(1 << 53), "tiny": 5e-324,
		"huge": math.MaxFloat64,
	})
	if err != nil {
		panic(err)
	}
	item := &databasev1.Item{
		Uid: newUUID(), Slot: 3, Type: 8, ItemId: 1001, Count: math.MaxInt32, Grade: 9, Gem: 301, Durability: 50, Life: 1000,
		HasSocket: true, IsAppraised: true, IsCrafted: true, Price: math.MaxInt64,
	}
	worn := proto.CloneOf(item)
	worn.Uid = newUUID()
	return &databasev1.CreateCharacterRequest{
		UserId: user, Name: newName(), Level: 230, Job: 411, Money: math.MaxInt64,
		Looks: &databasev1.Looks{Race: 1, Face: 2, Hair: -3, BirthStone: 4},
		Stats: &databasev1.Stats{
			Strength: 1, Dexterity: 2, Intelligence: 3, Concentration: 4, Charm: 5, Sense: 6, Hp: -7, Mp: 8, MaxHp: 9, MaxMp: 10,
			Stamina: math.MaxInt32, Experience: math.MaxInt64, PenaltyExperience: math.MinInt64, StatPoints: 14, SkillPoints: 15,
		},
		Position: &databasev1.Position{
			MapId: 22, X: 0.1, Y: -1e-300, Z: math.MaxFloat64, ReviveMapId: 23, ReviveX: math.SmallestNonzeroFloat64, ReviveY: 5200.000000000001,
		},
		Equipment: []*databasev1.Item{worn, {Slot: 4}, {}},
		Inventory: &databasev1.Inventory{Capacity: 120, Items: []*databasev1.Item{item, {}}, Wishlist: []*databasev1.Item{{ItemId: 7}}},
		Skills: &databasev1.SkillBook{
			Skills: []*databasev1.Skill{{SkillId: 1, Level: 2, Slot: 3}, {}}, Hotbar: []*databasev1.HotbarSlot{{Index: 1, Kind: 2, Ref: -3}},
		},
		Extra: extra,
	}
}

func TestCreateCharacter(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	t.Run("start template", func(t *testing.T) {
		user := e.user(t)
		r := &databasev1.CreateCharacterRequest{UserId: user, Name: newName(), Looks: &databasev1.Looks{Race: 1, Hair: 5}}
		got := e.mustCreateAs(t, r)
		want := &databasev1.Character{
			UserId: user, Name: r.Name, State: active, Version: 1, Level: 1, Looks: r.Looks,
			Stats: &databasev1.Stats{
				Strength: 15, Dexterity: 15, Intelligence: 15, Concentration: 15, Charm: 10, Sense: 10,
				Hp: 50, MaxHp: 50, Mp: 18, MaxMp: 18, Stamina: 5000,
			},
			Position:  &databasev1.Position{MapId: 20, X: 530500, Y: 539500, ReviveMapId: 20, ReviveX: 530500, ReviveY: 539500},
			Inventory: &databasev1.Inventory{}, Skills: &databasev1.SkillBook{}, Extra: &structpb.Struct{},
		}
		wantSame(t, "CreateCharacter", got, want, ignoreID, ignoreTimes)
		if got.Id < 1 || !got.CreatedAt.IsValid() || !proto.Equal(got.CreatedAt, got.UpdatedAt) {
			t.Errorf("CreateCharacter = id %d, created %v, updated %v, want an id and one time", got.Id, got.CreatedAt, got.UpdatedAt)
		}
		wantSame(t, "GetCharacter after it", e.mustGet(t, got), got)
	})
	t.Run("every document is stored unchanged", func(t *testing.T) {
		r := fullRequest(e.user(t))
		got := e.mustCreateAs(t, r)
		want := &databasev1.Character{
			UserId: r.UserId, Name: r.Name, State: active, Version: 1, Level: r.Level, Job: r.Job, Money: r.Money, Looks: r.Looks, Stats: r.Stats,
			Position: r.Position, Equipment: r.Equipment, Inventory: r.Inventory, Skills: r.Skills, Extra: r.Extra,
		}
		wantSame(t, "CreateCharacter", got, want, ignoreID, ignoreTimes)
		wantSame(t, "GetCharacter after it", e.mustGet(t, got), got)
	})
	t.Run("JSON client", func(t *testing.T) {
		c := databasev1.NewCharacterDbServiceJSONClient(e.url, http.DefaultClient)
		r := fullRequest(e.user(t))
		got, err := c.CreateCharacter(t.Context(), r)
		if err != nil {
			t.Fatalf("CreateCharacter in JSON = %v, want a character", err)
		}
		wantSame(t, "GetCharacter of one created in JSON", e.mustGet(t, got.Character), got.Character)
		_, err = c.CreateCharacter(t.Context(), r)
		wantFault(t, "CreateCharacter in JSON of a taken name", err, nameTaken)
	})
	t.Run("unknown user", func(t *testing.T) {
		_, err := e.CreateCharacter(t.Context(), &databasev1.CreateCharacterRequest{UserId: "nobody", Name: newName()})
		wantFault(t, "CreateCharacter", err, noUser)
	})
	for _, test := range []struct {
		name, set string
		want      fault
	}{
		{"banned forever", "[banned] = true, [banExpires] = NULL", blocked},
		{"banned for an hour", "[banned] = true, [banExpires] = now() + interval '1 hour'", blocked},
		{"ban is over", "[banned] = true, [banExpires] = now() - interval '1 second'", fault{}},
		{"never banned", "[banned] = NULL, [banExpires] = NULL", fault{}},
		{"pardoned", "[banned] = false, [banExpires] = now() + interval '1 hour'", fault{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			user := e.user(t)
			e.WebExec(t, "UPDATE {user} SET "+test.set+" WHERE id = $1", user)
			_, err := e.CreateCharacter(t.Context(), &databasev1.CreateCharacterRequest{UserId: user, Name: newName()})
			wantFault(t, "CreateCharacter by a user with "+test.set, err, test.want)
		})
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{Slots: 3})
	fill := func(t *testing.T) (user string, c []*databasev1.Character) {
		t.Helper()
		user = e.user(t)
		for slot := range int32(3) {
			c = append(c, e.mustCreate(t, user))
			if got := c[slot].Slot; got != slot {
				t.Fatalf("CreateCharacter = slot %d, want %d", got, slot)
			}
		}
		return user, c
	}
	isFull := func(t *testing.T, user string) {
		t.Helper()
		_, err := e.CreateCharacter(t.Context(), &databasev1.CreateCharacterRequest{UserId: user, Name: newName()})
		wantFault(t, "CreateCharacter in a full roster", err, slotsFull)
	}
	t.Run("all taken", func(t *testing.T) {
		user, _ := fill(t)
		isFull(t, user)
	})
	t.Run("a marked character keeps its slot", func(t *testing.T) {
		user, c := fill(t)
		e.mustDelete(t, c[1], scheduled)
		isFull(t, user)
	})
	for _, middle := range []int32{0, 1, 2} {
		t.Run("free after a delete", func(t *testing.T) {
			user, c := fill(t)
			e.mustDelete(t, c[middle], immediate)
			if got := e.mustCreate(t, user); got.Slot != middle {
				t.Errorf("CreateCharacter = slot %d, want the free slot %d", got.Slot, middle)
			}
			isFull(t, user)
		})
		t.Run("free after a passed deadline", func(t *testing.T) {
			user, c := fill(t)
			e.setDeadline(t, c[middle], -time.Second)
			if got := e.mustCreate(t, user); got.Slot != middle {
				t.Errorf("CreateCharacter = slot %d, want the free slot %d", got.Slot, middle)
			}
			isFull(t, user)
		})
	}
	t.Run("lowest first", func(t *testing.T) {
		user, c := fill(t)
		e.mustDelete(t, c[2], immediate)
		e.setDeadline(t, c[0], -time.Second)
		for _, want := range []int32{0, 2} {
			if got := e.mustCreate(t, user); got.Slot != want {
				t.Errorf("CreateCharacter = slot %d, want %d", got.Slot, want)
			}
		}
	})
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{Slots: 2})
	first := func(t *testing.T) (*databasev1.CreateCharacterRequest, *databasev1.Character) {
		t.Helper()
		r := fullRequest(e.user(t))
		r.RequestId = newUUID()
		return r, e.mustCreateAs(t, r)
	}
	replays := func(t *testing.T, r *databasev1.CreateCharacterRequest, c *databasev1.Character) {
		t.Helper()
		got, err := e.CreateCharacter(t.Context(), r)
		wantFault(t, "CreateCharacter again", err, fault{})
		wantSame(t, "CreateCharacter again", got, &databasev1.CreateCharacterResponse{Character: c, Replayed: true})
	}
	t.Run("a retry gets the same answer", func(t *testing.T) {
		r, c := first(t)
		replays(t, r, c)
		replays(t, r, c)
		if list := e.mustList(t, &databasev1.GetCharacterListRequest{UserId: r.UserId, View: full}); len(list) != 1 {
			t.Errorf("GetCharacterList after the retries = %d characters, want 1", len(list))
		}
	})
	t.Run("in the other case", func(t *testing.T) {
		r, c := first(t)
		r.RequestId = strings.ToUpper(r.RequestId)
		replays(t, r, c)
	})
	t.Run("a retry in a full roster", func(t *testing.T) {
		r, c := first(t)
		e.mustCreate(t, r.UserId)
		replays(t, r, c)
	})
	t.Run("a retry by a user who was banned since", func(t *testing.T) {
		r, c := first(t)
		e.WebExec(t, "UPDATE {user} SET [banned] = true WHERE id = $1", r.UserId)
		replays(t, r, c)
	})
	t.Run("a retry after a save gets the saved character", func(t *testing.T) {
		r, c := first(t)
		e.mustSave(t, &databasev1.SaveCharacterRequest{CharacterId: c.Id, ExpectedVersion: 1, Money: proto.Int64(5)})
		replays(t, r, e.mustGet(t, c))
	})
	t.Run("of another request", func(t *testing.T) {
		for what, change := range map[string]func(*databasev1.CreateCharacterRequest){
			"name":  func(r *databasev1.CreateCharacterRequest) { r.Name = newName() },
			"money": func(r *databasev1.CreateCharacterRequest) { r.Money-- },
			"extra": func(r *databasev1.CreateCharacterRequest) { r.Extra = nil },
		} {
			r, _ := first(t)
			change(r)
			_, err := e.CreateCharacter(t.Context(), r)
			wantFault(t, "CreateCharacter with a used request id and another "+what, err, idReused)
		}
	})
	t.Run("of a deleted character", func(t *testing.T) {
		r, c := first(t)
		e.mustDelete(t, c, immediate)
		_, err := e.CreateCharacter(t.Context(), r)
		wantFault(t, "CreateCharacter with the request id of a deleted character", err, idReused)
		r, c = first(t)
		e.setDeadline(t, c, -time.Second)
		_, err = e.CreateCharacter(t.Context(), r)
		wantFault(t, "CreateCharacter with the request id of one past its deadline", err, idReused)
	})
	t.Run("of another user", func(t *testing.T) {
		r, c := first(t)
		got := e.mustCreateAs(t, &databasev1.CreateCharacterRequest{UserId: e.user(t), Name: newName(), RequestId: r.RequestId})
		if got.Id == c.Id {
			t.Errorf("CreateCharacter with another user's request id = that user's character %d, want a new one", got.Id)
		}
	})
}
