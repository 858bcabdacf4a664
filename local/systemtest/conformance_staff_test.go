package systemtest_test

import (
	"strings"
	"time"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

var (
	nameTaken   = fault{twirp.AlreadyExists, "NAME_TAKEN"}
	nameInvalid = fault{twirp.InvalidArgument, "NAME_INVALID"}
	nameKept    = fault{twirp.InvalidArgument, "NAME_RESERVED"}
	slotsFull   = fault{twirp.FailedPrecondition, "SLOTS_FULL"}
	slotTaken   = fault{twirp.FailedPrecondition, "SLOT_TAKEN"}
	idReused    = fault{twirp.InvalidArgument, "REQUEST_ID_REUSED"}
)

const why = "ticket 4711"

// lost makes a hero and deletes it.
func (c *conform) lost(user string) *databasev1.Character {
	c.Helper()
	hero := c.hero(user)
	ok(c, c.characters.DeleteCharacter, &databasev1.DeleteCharacterRequest{UserId: user, CharacterId: hero.Id, Mode: atOnce})
	return hero
}

// heroes makes several heroes of a user.
func (c *conform) heroes(user string, n int) {
	c.Helper()
	for range n {
		c.hero(user)
	}
}

func findingScenarios() []scenario {
	return []scenario{
		{"FindPlayers", "by a name, and more of them", func(c *conform) {
			hero := c.hero(c.player().Id)
			one := ok(c, c.staff.FindPlayers, &databasev1.FindPlayersRequest{Query: strings.ToUpper(hero.Name), By: databasev1.PlayerField_PLAYER_FIELD_CHARACTER_NAME, Match: databasev1.PlayerMatch_PLAYER_MATCH_EXACT})
			if len(one.Players) != 1 || one.Players[0].CharacterId != hero.Id || one.Players[0].UserId != hero.UserId || one.More {
				c.Errorf("FindPlayers = %v, want %s", one, hero.Name)
			}
			ok(c, c.characters.CreateCharacter, &databasev1.CreateCharacterRequest{UserId: c.player().Id, Name: hero.Name + "x"})
			// The exact match comes first, so other scenarios' players, which may be banned, do not change the answer.
			some := ok(c, c.staff.FindPlayers, &databasev1.FindPlayersRequest{Query: hero.Name, By: databasev1.PlayerField_PLAYER_FIELD_CHARACTER_NAME, Limit: 1})
			if len(some.Players) != 1 || some.Players[0].CharacterId != hero.Id || !some.More {
				c.Errorf("FindPlayers = %v, want %s, and that there are more", some, hero.Name)
			}
		}},
		{"FindPlayers", "ARGUMENT", func(c *conform) {
			badArguments(c, c.staff.FindPlayers, map[string]*databasev1.FindPlayersRequest{
				"query": {}, "query is too long": {Query: tooLong}, "by": {Query: "a", By: 9}, "limit": {Query: "a", Limit: 101},
				"match": {Query: "a", By: databasev1.PlayerField_PLAYER_FIELD_USER_ID, Match: databasev1.PlayerMatch_PLAYER_MATCH_PREFIX},
			})
		}},
		{"GetPlayer", "with and without a reason", func(c *conform) {
			u := c.player()
			hero, lost := c.hero(u.Id), c.lost(u.Id)
			c.AddSession(c, u.Id, time.Hour)
			bare := ok(c, c.staff.GetPlayer, &databasev1.GetPlayerRequest{UserId: u.Id})
			if bare.User.Id != u.Id || bare.User.Email != "" || len(bare.Characters) != 2 || len(bare.Sessions) != 1 || bare.Sessions[0].IpAddress != "" {
				c.Errorf("GetPlayer = %v, want no personal field", bare)
			}
			if a, b := bare.Characters[0], bare.Characters[1]; a.Id != hero.Id || b.Id != lost.Id || b.Recovery != databasev1.Recovery_RECOVERY_UNDELETE {
				c.Errorf("GetPlayer = %v, want the deleted character last", bare)
			}
			if all := ok(c, c.staff.GetPlayer, &databasev1.GetPlayerRequest{UserId: u.Id, Reason: why}); all.User.Email != u.Email || all.Sessions[0].UserAgent == "" {
				c.Errorf("GetPlayer = %v, want the personal fields", all)
			}
		}},
		{"GetPlayer", "USER_NOT_FOUND", func(c *conform) {
			refuses(c, c.staff.GetPlayer, &databasev1.GetPlayerRequest{UserId: "nobody"}, noSuchUser)
			badArguments(c, c.staff.GetPlayer, map[string]*databasev1.GetPlayerRequest{"user_id": {}, "reason": {UserId: "a", Reason: tooLong + tooLong}})
		}},
	}
}

func staffScenarios() []scenario {
	return []scenario{
		{"UndeleteCharacter", "once", func(c *conform) {
			lost := c.lost(c.player().Id)
			r := &databasev1.UndeleteCharacterRequest{CharacterId: lost.Id, Reason: why, RequestId: conformUUID()}
			back := ok(c, c.staff.UndeleteCharacter, r)
			if back.Replayed || back.Character.Name != lost.Name {
				c.Errorf("UndeleteCharacter = %v", back)
			}
			want := proto.CloneOf(lost)
			got := ok(c, c.characters.GetCharacter, getCharacter(lost.Id)).Character
			want.Version, want.UpdatedAt = got.Version, got.UpdatedAt
			c.sees(want)
			if again := ok(c, c.staff.UndeleteCharacter, r); !again.Replayed || again.Character.Version != back.Character.Version {
				c.Errorf("UndeleteCharacter again = %v, want it replayed", again)
			}
			r.Reason = "another"
			refuses(c, c.staff.UndeleteCharacter, r, idReused)
		}},
		{"UndeleteCharacter", "a mark", func(c *conform) {
			hero := c.hero(c.player().Id)
			ok(c, c.characters.DeleteCharacter, &databasev1.DeleteCharacterRequest{UserId: hero.UserId, CharacterId: hero.Id})
			back := ok(c, c.staff.UndeleteCharacter, &databasev1.UndeleteCharacterRequest{CharacterId: hero.Id, Reason: why})
			if back.Character.State != databasev1.CharacterState_CHARACTER_STATE_ACTIVE || back.Character.DeleteAt != nil {
				c.Errorf("UndeleteCharacter = %v, want no mark", back)
			}
		}},
		{"UndeleteCharacter", "refused", func(c *conform) {
			u := c.player().Id
			first, second := c.lost(u), c.lost(u)
			there := c.hero(u)
			ask := func(r *databasev1.UndeleteCharacterRequest, want fault) {
				r.Reason = why
				refuses(c, c.staff.UndeleteCharacter, r, want)
			}
			ask(&databasev1.UndeleteCharacterRequest{CharacterId: there.Id}, fault{twirp.FailedPrecondition, "CHARACTER_NOT_DELETED"})
			ask(&databasev1.UndeleteCharacterRequest{CharacterId: 987654321}, noSuchCharacter)
			ask(&databasev1.UndeleteCharacterRequest{CharacterId: first.Id, NewName: there.Name}, nameTaken)
			ask(&databasev1.UndeleteCharacterRequest{CharacterId: first.Id, NewName: "a"}, nameInvalid)
			ask(&databasev1.UndeleteCharacterRequest{CharacterId: first.Id, NewName: "admin"}, nameKept)
			ask(&databasev1.UndeleteCharacterRequest{CharacterId: first.Id, Slot: proto.Int32(there.Slot)}, slotTaken)
			c.heroes(u, 4)
			ask(&databasev1.UndeleteCharacterRequest{CharacterId: second.Id}, slotsFull)
			gone := c.player().Id
			orphan := c.lost(gone)
			c.WebExec(c, `DELETE FROM {user} WHERE id = $1`, gone)
			ask(&databasev1.UndeleteCharacterRequest{CharacterId: orphan.Id}, noSuchUser)
		}},
		{"UndeleteCharacter", "ARGUMENT", func(c *conform) {
			badArguments(c, c.staff.UndeleteCharacter, map[string]*databasev1.UndeleteCharacterRequest{
				"character_id": {Reason: why}, "slot": {CharacterId: 1, Reason: why, Slot: proto.Int32(-1)}, "reason": {CharacterId: 1},
				"request_id": {CharacterId: 1, Reason: why, RequestId: "no UUID"},
			})
		}},
		{"RenameCharacter", "once", func(c *conform) {
			hero := c.hero(c.player().Id)
			r := &databasev1.RenameCharacterRequest{CharacterId: hero.Id, NewName: newName(), ExpectedName: hero.Name, Reason: why, RequestId: conformUUID()}
			c.sees(hero)
			done := ok(c, c.staff.RenameCharacter, r)
			got := ok(c, c.characters.GetCharacter, getCharacter(hero.Id)).Character
			want := proto.CloneOf(hero)
			want.Name, want.Version, want.UpdatedAt = r.NewName, hero.Version+1, got.UpdatedAt
			if done.Replayed || done.Character.Version != want.Version {
				c.Errorf("RenameCharacter = %v", done)
			}
			c.sees(want)
			if again := ok(c, c.staff.RenameCharacter, r); !again.Replayed {
				c.Errorf("RenameCharacter again = %v, want it replayed", again)
			}
			r.NewName = newName()
			refuses(c, c.staff.RenameCharacter, r, idReused)
		}},
		{"RenameCharacter", "refused", func(c *conform) {
			hero, other := c.hero(c.player().Id), c.hero(c.player().Id)
			for _, test := range []struct {
				r    *databasev1.RenameCharacterRequest
				want fault
			}{
				{&databasev1.RenameCharacterRequest{CharacterId: 987654321, NewName: newName()}, noSuchCharacter},
				{&databasev1.RenameCharacterRequest{CharacterId: hero.Id, NewName: strings.ToUpper(other.Name)}, nameTaken},
				{&databasev1.RenameCharacterRequest{CharacterId: hero.Id, NewName: "a"}, nameInvalid},
				{&databasev1.RenameCharacterRequest{CharacterId: hero.Id, NewName: "admin"}, nameKept},
				{&databasev1.RenameCharacterRequest{CharacterId: hero.Id, NewName: newName(), ExpectedName: other.Name}, fault{twirp.FailedPrecondition, "NAME_MISMATCH"}},
			} {
				test.r.Reason = why
				refuses(c, c.staff.RenameCharacter, test.r, test.want)
			}
			badArguments(c, c.staff.RenameCharacter, map[string]*databasev1.RenameCharacterRequest{
				"character_id": {NewName: "Anybody", Reason: why}, "reason": {CharacterId: 1, NewName: "Anybody"},
				"request_id":    {CharacterId: 1, NewName: "Anybody", Reason: why, RequestId: "no UUID"},
				"expected_name": {CharacterId: 1, NewName: "Anybody", Reason: why, ExpectedName: tooLong},
			})
		}},
		{"TransferCharacter", "once", func(c *conform) {
			hero, to := c.hero(c.player().Id), c.player().Id
			r := &databasev1.TransferCharacterRequest{CharacterId: hero.Id, FromUserId: hero.UserId, ToUserId: to, Reason: why, RequestId: conformUUID()}
			c.sees(hero)
			done := ok(c, c.staff.TransferCharacter, r)
			got := ok(c, c.characters.GetCharacter, getCharacter(hero.Id)).Character
			want := proto.CloneOf(hero)
			want.UserId, want.Version, want.UpdatedAt = to, hero.Version+1, got.UpdatedAt
			if done.Replayed || done.Character.Slot != 0 {
				c.Errorf("TransferCharacter = %v", done)
			}
			c.sees(want)
			if l := ok(c, c.characters.GetCharacterList, listOf(hero.UserId)).Characters; len(l) > 0 {
				c.Errorf("the list of the old owner = %v, want none", l)
			}
			if again := ok(c, c.staff.TransferCharacter, r); !again.Replayed {
				c.Errorf("TransferCharacter again = %v, want it replayed", again)
			}
			r.Reason = "another"
			refuses(c, c.staff.TransferCharacter, r, idReused)
		}},
		{"TransferCharacter", "refused", func(c *conform) {
			from, to, full := c.player().Id, c.player().Id, c.player().Id
			hero := c.hero(from)
			c.hero(to)
			c.heroes(full, 5)
			for _, test := range []struct {
				id       int64
				from, to string
				slot     *int32
				want     fault
			}{
				{987654321, from, to, nil, noSuchCharacter}, {hero.Id, to, from, nil, noSuchCharacter}, {hero.Id, from, "nobody", nil, noSuchUser},
				{hero.Id, from, full, nil, slotsFull}, {hero.Id, from, to, proto.Int32(0), slotTaken},
			} {
				refuses(c, c.staff.TransferCharacter, &databasev1.TransferCharacterRequest{CharacterId: test.id, FromUserId: test.from, ToUserId: test.to, Slot: test.slot, Reason: why}, test.want)
			}
			badArguments(c, c.staff.TransferCharacter, map[string]*databasev1.TransferCharacterRequest{
				"character_id": {FromUserId: "a", ToUserId: "b", Reason: why}, "from_user_id": {CharacterId: 1, ToUserId: "b", Reason: why},
				"to_user_id": {CharacterId: 1, FromUserId: "a", ToUserId: "a", Reason: why}, "reason": {CharacterId: 1, FromUserId: "a", ToUserId: "b"},
				"slot":       {CharacterId: 1, FromUserId: "a", ToUserId: "b", Reason: why, Slot: proto.Int32(5)},
				"request_id": {CharacterId: 1, FromUserId: "a", ToUserId: "b", Reason: why, RequestId: "no UUID"},
			})
		}},
	}
}

func noteScenarios() []scenario {
	return []scenario{
		{"AddNote", "and lists", func(c *conform) {
			u := c.player().Id
			r := &databasev1.AddNoteRequest{UserId: u, Text: "a note", RequestId: conformUUID()}
			note := ok(c, c.staff.AddNote, r)
			if again := ok(c, c.staff.AddNote, r); note.Replayed || !again.Replayed || again.Note.Id != note.Note.Id {
				c.Errorf("AddNote twice = %v and %v, want it replayed", note, again)
			}
			r.Text = "another"
			refuses(c, c.staff.AddNote, r, idReused)
			if notes := ok(c, c.staff.ListNotes, &databasev1.ListNotesRequest{UserId: u}).Notes; len(notes) != 1 || notes[0].Text != "a note" {
				c.Errorf("ListNotes = %v, want one", notes)
			}
			of := &databasev1.ListAuditRequest{Of: &databasev1.ListAuditRequest_UserId{UserId: u}}
			if rows := ok(c, c.staff.ListAudit, of).Entries; len(rows) != 1 || rows[0].Action != "AddNote" {
				c.Errorf("ListAudit = %v, want one", rows)
			}
		}},
		{"AddNote", "refused", func(c *conform) {
			refuses(c, c.staff.AddNote, &databasev1.AddNoteRequest{UserId: "nobody", Text: "a"}, noSuchUser)
			badArguments(c, c.staff.AddNote, map[string]*databasev1.AddNoteRequest{
				"user_id": {Text: "a"}, "text": {UserId: "a"}, "request_id": {UserId: "a", Text: "a", RequestId: "no UUID"},
			})
			badArguments(c, c.staff.ListNotes, map[string]*databasev1.ListNotesRequest{
				"user_id": {}, "limit": {UserId: "a", Limit: -1}, "before": {UserId: "a", Before: -1},
			})
			badArguments(c, c.staff.ListAudit, map[string]*databasev1.ListAuditRequest{
				"user_id": {Of: &databasev1.ListAuditRequest_UserId{}}, "character_id": {Of: &databasev1.ListAuditRequest_CharacterId{}},
				"who": {Of: &databasev1.ListAuditRequest_Who{}}, "limit": {Limit: -1}, "before": {Before: -1},
			})
		}},
	}
}
