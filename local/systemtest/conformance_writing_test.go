package systemtest_test

import (
	"math"
	"strconv"
	"strings"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

func takenScenarios() []scenario {
	return []scenario{
		{"CreateCharacter", "REQUEST_ID_REUSED", func(c *conform) {
			u := c.player().Id
			r := heroRequest(u, newName())
			hero := ok(c, c.characters.CreateCharacter, r).Character
			other := proto.CloneOf(r)
			other.Level++
			refuses(c, c.characters.CreateCharacter, other, fault{twirp.InvalidArgument, "REQUEST_ID_REUSED"})
			ok(c, c.characters.DeleteCharacter, &databasev1.DeleteCharacterRequest{UserId: u, CharacterId: hero.Id, Mode: atOnce})
			refuses(c, c.characters.CreateCharacter, r, fault{twirp.InvalidArgument, "REQUEST_ID_REUSED"})
		}},
		{"CreateCharacter", "NAME_TAKEN", func(c *conform) {
			hero := c.hero(c.player().Id)
			u := c.player().Id
			taken := fault{twirp.AlreadyExists, "NAME_TAKEN"}
			for _, name := range []string{hero.Name, strings.ToUpper(hero.Name), strings.ToLower(hero.Name)} {
				refuses(c, c.characters.CreateCharacter, heroRequest(u, name), taken)
			}
			ok(c, c.characters.DeleteCharacter, &databasev1.DeleteCharacterRequest{UserId: hero.UserId, CharacterId: hero.Id})
			refuses(c, c.characters.CreateCharacter, heroRequest(u, hero.Name), taken)
			c.owner(`UPDATE game.character SET delete_at = now() - interval '1 s' WHERE id = $1`, hero.Id)
			c.sees(ok(c, c.characters.CreateCharacter, heroRequest(u, hero.Name)).Character)
		}},
		{"CreateCharacter", "SLOTS_FULL", func(c *conform) {
			u := c.player().Id
			var heroes []*databasev1.Character
			for slot := range int32(5) {
				hero := c.hero(u)
				if hero.Slot != slot {
					c.Errorf("character %d has slot %d", slot, hero.Slot)
				}
				heroes = append(heroes, hero)
			}
			refuses(c, c.characters.CreateCharacter, heroRequest(u, newName()), fault{twirp.FailedPrecondition, "SLOTS_FULL"})
			ok(c, c.characters.DeleteCharacter, &databasev1.DeleteCharacterRequest{UserId: u, CharacterId: heroes[2].Id, Mode: atOnce})
			if next := c.hero(u); next.Slot != 2 {
				c.Errorf("after slot 2 became free, the next character has slot %d", next.Slot)
			}
		}},
		{"CreateCharacter", "CREATION_BLOCKED", func(c *conform) {
			u := c.player().Id
			c.WebExec(c, `UPDATE {user} SET [banned] = true WHERE id = $1`, u)
			refuses(c, c.characters.CreateCharacter, heroRequest(u, newName()), fault{twirp.FailedPrecondition, "CREATION_BLOCKED"})
		}},
	}
}

func deletingScenarios() []scenario {
	return []scenario{
		{"DeleteCharacter", "scheduled, restored", func(c *conform) {
			hero := c.hero(c.player().Id)
			c.sees(hero)
			r := &databasev1.DeleteCharacterRequest{UserId: hero.UserId, CharacterId: hero.Id, ExpectedName: hero.Name}
			marked := ok(c, c.characters.DeleteCharacter, r)
			if m := marked.Character; m.State != isMarked || m.DeleteAt == nil || marked.RemainingSeconds < 86000 || m.Version != hero.Version+1 {
				c.Errorf("DeleteCharacter = %v, want it marked", marked)
			}
			c.sees(marked.Character)
			again := ok(c, c.characters.DeleteCharacter, r).Character
			if !proto.Equal(again.DeleteAt, marked.Character.DeleteAt) || again.Version != marked.Character.Version {
				c.Errorf("DeleteCharacter again = %v, want %v", again, marked.Character)
			}
			restore := &databasev1.RestoreCharacterRequest{UserId: hero.UserId, CharacterId: hero.Id}
			restored := ok(c, c.characters.RestoreCharacter, restore).Character
			if restored.State != isActive || restored.DeleteAt != nil || restored.SecondsUntilDeletion != 0 {
				c.Errorf("RestoreCharacter = %v, want no mark", restored)
			}
			c.sees(restored)
			wantAnswer(c, "RestoreCharacter again", ok(c, c.characters.RestoreCharacter, restore).Character, restored)
		}},
		{"DeleteCharacter", "at once", func(c *conform) {
			hero := c.hero(c.player().Id)
			c.sees(hero)
			r := &databasev1.DeleteCharacterRequest{UserId: hero.UserId, CharacterId: hero.Id, Mode: atOnce}
			gone := ok(c, c.characters.DeleteCharacter, r)
			if gone.Character.State != isDeleted || gone.RemainingSeconds != 0 {
				c.Errorf("DeleteCharacter = %v, want it deleted", gone)
			}
			c.goneFor(hero.UserId, hero.Id)
			if l := ok(c, c.characters.GetCharacterList, listOf(hero.UserId)).Characters; len(l) > 0 {
				c.Errorf("GetCharacterList = %v, want none", l)
			}
			wantAnswer(c, "DeleteCharacter again", ok(c, c.characters.DeleteCharacter, r).Character, gone.Character)
		}},
		{"DeleteCharacter", "NAME_MISMATCH", func(c *conform) {
			hero := c.hero(c.player().Id)
			for _, mode := range []databasev1.DeleteMode{0, atOnce} {
				r := &databasev1.DeleteCharacterRequest{UserId: hero.UserId, CharacterId: hero.Id, Mode: mode, ExpectedName: strings.ToUpper(hero.Name)}
				refuses(c, c.characters.DeleteCharacter, r, fault{twirp.FailedPrecondition, "NAME_MISMATCH"})
			}
			c.sees(hero)
		}},
		{"DeleteCharacter", "ARGUMENT", func(c *conform) {
			badArguments(c, c.characters.DeleteCharacter, map[string]*databasev1.DeleteCharacterRequest{
				"user_id": {CharacterId: 1}, "character_id": {UserId: "a"}, "mode": {UserId: "a", CharacterId: 1, Mode: 9},
				"expected_name": {UserId: "a", CharacterId: 1, ExpectedName: tooLong},
			})
		}},
		{"RestoreCharacter", "ARGUMENT", func(c *conform) {
			badArguments(c, c.characters.RestoreCharacter, map[string]*databasev1.RestoreCharacterRequest{
				"user_id": {CharacterId: 1}, "character_id": {UserId: "a"},
			})
		}},
	}
}

func savingScenarios() []scenario {
	return []scenario{
		{"SaveCharacter", "every section, once", func(c *conform) {
			hero := c.hero(c.player().Id)
			c.sees(hero)
			r := &databasev1.SaveCharacterRequest{
				CharacterId: hero.Id, ExpectedVersion: hero.Version, SaveId: conformUUID(), Level: proto.Int32(4), Money: proto.Int64(0),
				Stats: &databasev1.Stats{Strength: 16}, Equipment: &databasev1.EquipmentSet{}, Extra: &structpb.Struct{}, AddPlaySeconds: 60,
			}
			saved := ok(c, c.characters.SaveCharacter, r)
			if saved.Version != hero.Version+1 || saved.Replayed {
				c.Errorf("SaveCharacter = %v, want version %d", saved, hero.Version+1)
			}
			got := ok(c, c.characters.GetCharacter, getCharacter(hero.Id)).Character
			want := proto.CloneOf(hero)
			want.Level, want.Money, want.Stats, want.Equipment, want.Extra = 4, 0, r.Stats, nil, r.Extra
			want.Version, want.PlaySeconds, want.LastPlayedAt, want.UpdatedAt = saved.Version, 60, got.LastPlayedAt, got.UpdatedAt
			wantAnswer(c, "GetCharacter after a save", got, want)
			c.sees(want)
			if again := ok(c, c.characters.SaveCharacter, r); again.Version != saved.Version || !again.Replayed {
				c.Errorf("SaveCharacter again = %v, want it replayed", again)
			}
			c.sees(want)
		}},
		{"SaveCharacter", "REQUEST_ID_REUSED", func(c *conform) {
			hero := c.hero(c.player().Id)
			r := &databasev1.SaveCharacterRequest{CharacterId: hero.Id, ExpectedVersion: hero.Version, SaveId: conformUUID(), Level: proto.Int32(4)}
			ok(c, c.characters.SaveCharacter, r)
			other := proto.CloneOf(r)
			other.Money = proto.Int64(9)
			refuses(c, c.characters.SaveCharacter, other, fault{twirp.InvalidArgument, "REQUEST_ID_REUSED"})
			if again := ok(c, c.characters.SaveCharacter, r); !again.Replayed {
				c.Errorf("SaveCharacter again = %v, want it replayed", again)
			}
		}},
		{"SaveCharacter", "nothing", func(c *conform) {
			hero := c.hero(c.player().Id)
			r := &databasev1.SaveCharacterRequest{CharacterId: hero.Id, ExpectedVersion: hero.Version}
			if got := ok(c, c.characters.SaveCharacter, r); got.Version != hero.Version || got.Replayed {
				c.Errorf("SaveCharacter of nothing = %v, want version %d", got, hero.Version)
			}
			c.sees(hero)
		}},
		{"SaveCharacter", "VERSION_MISMATCH", func(c *conform) {
			hero := c.hero(c.player().Id)
			r := &databasev1.SaveCharacterRequest{UserId: hero.UserId, CharacterId: hero.Id, ExpectedVersion: hero.Version, Level: proto.Int32(9)}
			ok(c, c.characters.SaveCharacter, r)
			for _, version := range []int64{hero.Version, hero.Version + 2, math.MaxInt64} {
				r.ExpectedVersion = version
				e := refuses(c, c.characters.SaveCharacter, r, fault{twirp.Aborted, "VERSION_MISMATCH"})
				if got, want := e.Meta("current_version"), strconv.FormatInt(hero.Version+1, 10); got != want {
					c.Errorf("current_version = %q, want %s", got, want)
				}
			}
		}},
		{"SaveCharacter", "ARGUMENT", func(c *conform) {
			requests := map[string]*databasev1.SaveCharacterRequest{"expected_version": {CharacterId: 1}}
			for argument, spoil := range map[string]func(*databasev1.SaveCharacterRequest){
				"user_id":          func(r *databasev1.SaveCharacterRequest) { r.UserId = tooLong },
				"character_id":     func(r *databasev1.SaveCharacterRequest) { r.CharacterId = -1 },
				"save_id":          func(r *databasev1.SaveCharacterRequest) { r.SaveId = "no UUID" },
				"level":            func(r *databasev1.SaveCharacterRequest) { r.Level = proto.Int32(0) },
				"job":              func(r *databasev1.SaveCharacterRequest) { r.Job = proto.Int32(-1) },
				"money":            func(r *databasev1.SaveCharacterRequest) { r.Money = proto.Int64(-1) },
				"add_play_seconds": func(r *databasev1.SaveCharacterRequest) { r.AddPlaySeconds = 604801 },
				"position":         func(r *databasev1.SaveCharacterRequest) { r.Position = &databasev1.Position{Y: math.Inf(1)} },
			} {
				requests[argument] = &databasev1.SaveCharacterRequest{CharacterId: 1, ExpectedVersion: 1}
				spoil(requests[argument])
			}
			hero := c.hero(c.player().Id) // wears one item and carries another
			requests["equipment"] = &databasev1.SaveCharacterRequest{CharacterId: hero.Id, ExpectedVersion: hero.Version, Equipment: &databasev1.EquipmentSet{Items: hero.Inventory.Items}}
			requests["inventory"] = &databasev1.SaveCharacterRequest{CharacterId: hero.Id, ExpectedVersion: hero.Version, Inventory: &databasev1.Inventory{Wishlist: hero.Equipment}}
			badArguments(c, c.characters.SaveCharacter, requests)
		}},
		{"SaveCharacter", "DOCUMENT_TOO_LARGE", func(c *conform) {
			large := &structpb.Struct{Fields: map[string]*structpb.Value{"a": structpb.NewStringValue(strings.Repeat("a", 16<<10))}}
			refuses(c, c.characters.SaveCharacter, &databasev1.SaveCharacterRequest{CharacterId: 1, ExpectedVersion: 1, Extra: large}, tooLarge)
		}},
	}
}
