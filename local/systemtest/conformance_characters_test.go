package systemtest_test

import (
	"math"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

const (
	basicView = databasev1.CharacterView_CHARACTER_VIEW_BASIC
	fullView  = databasev1.CharacterView_CHARACTER_VIEW_FULL
	isActive  = databasev1.CharacterState_CHARACTER_STATE_ACTIVE
	isMarked  = databasev1.CharacterState_CHARACTER_STATE_PENDING_DELETION
	isDeleted = databasev1.CharacterState_CHARACTER_STATE_DELETED
	atOnce    = databasev1.DeleteMode_DELETE_MODE_IMMEDIATE
)

var noSuchCharacter = fault{twirp.NotFound, "CHARACTER_NOT_FOUND"}

func getCharacter(id int64) *databasev1.GetCharacterRequest {
	return &databasev1.GetCharacterRequest{CharacterId: id}
}

func listOf(user string) *databasev1.GetCharacterListRequest {
	return &databasev1.GetCharacterListRequest{UserId: user}
}

// hero makes a character with something in every section.
func (c *conform) hero(user string) *databasev1.Character {
	c.Helper()
	return ok(c, c.characters.CreateCharacter, heroRequest(user, newName())).Character
}

func heroRequest(user, name string) *databasev1.CreateCharacterRequest {
	return &databasev1.CreateCharacterRequest{
		UserId: user, Name: name, RequestId: conformUUID(), Level: 3, Job: 2, Money: 100,
		Looks: &databasev1.Looks{Hair: 4}, Stats: &databasev1.Stats{Strength: 15}, Position: &databasev1.Position{MapId: 20, X: 1.5},
		Equipment: []*databasev1.Item{{Uid: conformUUID(), ItemId: 7, Count: 1}},
		Inventory: &databasev1.Inventory{Capacity: 30, Items: []*databasev1.Item{{Uid: conformUUID(), ItemId: 8, Count: 2}}},
		Skills:    &databasev1.SkillBook{Skills: []*databasev1.Skill{{SkillId: 9, Level: 1}}},
		Extra:     &structpb.Struct{Fields: map[string]*structpb.Value{"title": structpb.NewStringValue("hero")}},
	}
}

// sees checks that each way to read a character returns want.
func (c *conform) sees(want *databasev1.Character) {
	c.Helper()
	countdown := protocmp.IgnoreFields(want, "seconds_until_deletion")
	basic := proto.CloneOf(want)
	basic.Inventory, basic.Skills, basic.Extra = nil, nil, nil
	for _, owner := range []string{"", want.UserId} {
		r := getCharacter(want.Id)
		r.UserId = owner
		wantAnswer(c, "GetCharacter", ok(c, c.characters.GetCharacter, r).Character, want, countdown)
		r.View = basicView
		wantAnswer(c, "GetCharacter, BASIC", ok(c, c.characters.GetCharacter, r).Character, basic, countdown)
	}
	for view, same := range map[databasev1.CharacterView]*databasev1.Character{0: basic, basicView: basic, fullView: want} {
		r := listOf(want.UserId)
		r.View = view
		for _, got := range ok(c, c.characters.GetCharacterList, r).Characters {
			if got.Id == want.Id {
				wantAnswer(c, "GetCharacterList, "+view.String(), got, same, countdown)
				same = nil
			}
		}
		if same != nil {
			c.Errorf("GetCharacterList, %s: character %d is missing", view, want.Id)
		}
	}
}

// goneFor checks that every read and write of the character is answered as for an id that never existed.
func (c *conform) goneFor(user string, id int64) {
	c.Helper()
	const never = math.MaxInt64
	for _, call := range []func(int64) twirp.Error{
		func(id int64) twirp.Error {
			r := getCharacter(id)
			r.UserId = user
			return refuses(c, c.characters.GetCharacter, r, noSuchCharacter)
		},
		func(id int64) twirp.Error {
			r := &databasev1.DeleteCharacterRequest{UserId: user, CharacterId: id}
			return refuses(c, c.characters.DeleteCharacter, r, noSuchCharacter)
		},
		func(id int64) twirp.Error {
			r := &databasev1.RestoreCharacterRequest{UserId: user, CharacterId: id}
			return refuses(c, c.characters.RestoreCharacter, r, noSuchCharacter)
		},
		func(id int64) twirp.Error {
			r := &databasev1.SaveCharacterRequest{UserId: user, CharacterId: id, ExpectedVersion: 1}
			return refuses(c, c.characters.SaveCharacter, r, noSuchCharacter)
		},
	} {
		got, want := call(id), call(never)
		if d := cmp.Diff(want.MetaMap(), got.MetaMap()); got.Msg() != want.Msg() || d != "" {
			c.Errorf("%v differs from the error for an id that never existed, %v:\n%s", got, want, d)
		}
	}
}

func characterScenarios() []scenario {
	return []scenario{
		{"GetCharacter", "in every way", func(c *conform) {
			hero := c.hero(c.player().Id)
			for range 2 { // uncached and cached
				c.sees(hero)
			}
		}},
		{"GetCharacter", "ARGUMENT", func(c *conform) {
			badArguments(c, c.characters.GetCharacter, map[string]*databasev1.GetCharacterRequest{
				"character_id": {}, "user_id": {UserId: tooLong, CharacterId: 1}, "view": {CharacterId: 1, View: 9},
			})
		}},
		{"GetCharacter", "CHARACTER_NOT_FOUND", func(c *conform) {
			u := c.player()
			hero := c.hero(u.Id)
			c.sees(hero)
			c.goneFor(c.player().Id, hero.Id) // the character of another user
			ok(c, c.characters.DeleteCharacter, &databasev1.DeleteCharacterRequest{UserId: u.Id, CharacterId: hero.Id})
			c.owner(`UPDATE game.character SET delete_at = now() - interval '1 s' WHERE id = $1`, hero.Id)
			c.goneFor(u.Id, hero.Id)
			if l := ok(c, c.characters.GetCharacterList, listOf(u.Id)).Characters; len(l) > 0 {
				c.Errorf("GetCharacterList after the deadline = %v", l)
			}
			other := c.hero(u.Id)
			c.sees(other)
			c.web(`DELETE FROM {user} WHERE id = $1`, u.Id)
			c.goneFor(u.Id, other.Id)
		}},
	}
}

func listScenarios() []scenario {
	return []scenario{
		{"GetCharacterList", "by slot", func(c *conform) {
			u := c.player()
			if l := ok(c, c.characters.GetCharacterList, listOf(u.Id)); len(l.Characters) > 0 || l.MaxSlots != 5 {
				c.Errorf("GetCharacterList of a user without characters = %v", l)
			}
			first, second := c.hero(u.Id), c.hero(u.Id)
			got := ok(c, c.characters.GetCharacterList, &databasev1.GetCharacterListRequest{UserId: u.Id, View: fullView}).Characters
			wantAnswer(c, "GetCharacterList", got, []*databasev1.Character{first, second})
			ok(c, c.characters.DeleteCharacter, &databasev1.DeleteCharacterRequest{UserId: u.Id, CharacterId: first.Id})
			r := listOf(u.Id)
			if l := ok(c, c.characters.GetCharacterList, r).Characters; len(l) != 2 {
				c.Errorf("GetCharacterList with one that is marked = %v, want both", l)
			}
			r.ExcludePendingDeletion = true
			if l := ok(c, c.characters.GetCharacterList, r).Characters; len(l) != 1 || l[0].Id != second.Id {
				c.Errorf("GetCharacterList without those marked = %v, want %d alone", l, second.Id)
			}
		}},
		{"GetCharacterList", "of an unknown user", func(c *conform) {
			if l := ok(c, c.characters.GetCharacterList, listOf("unknown")).Characters; len(l) > 0 {
				c.Errorf("GetCharacterList of an unknown user = %v", l)
			}
		}},
		{"GetCharacterList", "ARGUMENT", func(c *conform) {
			badArguments(c, c.characters.GetCharacterList, map[string]*databasev1.GetCharacterListRequest{
				"user_id": {}, "user_id is too long": listOf(tooLong), "view": {UserId: "a", View: 9},
			})
		}},
	}
}

func creationScenarios() []scenario {
	return []scenario{
		{"CreateCharacter", "once", func(c *conform) {
			r := heroRequest(c.player().Id, newName())
			first := ok(c, c.characters.CreateCharacter, r)
			c.sees(first.Character)
			again := ok(c, c.characters.CreateCharacter, r)
			wantAnswer(c, "CreateCharacter again", again.Character, first.Character)
			if first.Replayed || !again.Replayed || first.Character.State != isActive {
				c.Errorf("CreateCharacter = %v, and again %v", first, again)
			}
			if l := ok(c, c.characters.GetCharacterList, listOf(r.UserId)).Characters; len(l) != 1 {
				c.Errorf("GetCharacterList = %v, want one", l)
			}
		}},
		{"CreateCharacter", "ARGUMENT", func(c *conform) {
			valid := heroRequest("a", newName())
			requests := map[string]*databasev1.CreateCharacterRequest{}
			for argument, spoil := range map[string]func(*databasev1.CreateCharacterRequest){
				"user_id":    func(r *databasev1.CreateCharacterRequest) { r.UserId = "" },
				"request_id": func(r *databasev1.CreateCharacterRequest) { r.RequestId = "no UUID" },
				"level":      func(r *databasev1.CreateCharacterRequest) { r.Level = -1 },
				"job":        func(r *databasev1.CreateCharacterRequest) { r.Job = -1 },
				"money":      func(r *databasev1.CreateCharacterRequest) { r.Money = -1 },
				"position":   func(r *databasev1.CreateCharacterRequest) { r.Position.X = math.NaN() },
				"equipment":  func(r *databasev1.CreateCharacterRequest) { r.Equipment[0].Count = -1 },
				"inventory":  func(r *databasev1.CreateCharacterRequest) { r.Inventory.Items[0].Uid = "no UUID" },
				"extra":      func(r *databasev1.CreateCharacterRequest) { r.Extra.Fields["\x00"] = structpb.NewBoolValue(true) },
			} {
				requests[argument] = proto.CloneOf(valid)
				spoil(requests[argument])
			}
			badArguments(c, c.characters.CreateCharacter, requests)
		}},
		{"CreateCharacter", "NAME_INVALID", func(c *conform) {
			for _, name := range []string{"", "abc", "1234", "-abcd", "ab cd", "äbcde", strings.Repeat("a", 21)} {
				refuses(c, c.characters.CreateCharacter, heroRequest("a", name), fault{twirp.InvalidArgument, "NAME_INVALID"})
			}
		}},
		{"CreateCharacter", "NAME_RESERVED", func(c *conform) {
			refuses(c, c.characters.CreateCharacter, heroRequest("a", "Adm1n"), fault{twirp.InvalidArgument, "NAME_RESERVED"})
		}},
		{"CreateCharacter", "DOCUMENT_TOO_LARGE", func(c *conform) {
			r := heroRequest("a", newName())
			r.Inventory.Items = make([]*databasev1.Item, 501)
			for i := range r.Inventory.Items {
				r.Inventory.Items[i] = &databasev1.Item{ItemId: 1}
			}
			refuses(c, c.characters.CreateCharacter, r, tooLarge)
		}},
		{"CreateCharacter", "USER_NOT_FOUND", func(c *conform) {
			refuses(c, c.characters.CreateCharacter, heroRequest("unknown", newName()), noSuchUser)
		}},
	}
}

var tooLarge = fault{twirp.InvalidArgument, "DOCUMENT_TOO_LARGE"}
