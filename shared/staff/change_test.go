package staff_test

import (
	"strings"
	"testing"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

func TestUndelete(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		for how, gone := range map[string]func(*testing.T, string, string) *databasev1.Character{"deleted": e.deleted, "its deadline has passed": e.expired} {
			t.Run(how, func(t *testing.T) {
				t.Parallel()
				user, name := e.user(t), newName()
				c := gone(t, user, name)
				if got := e.player(t, user)[c.Id]; got.Recovery != undelete || got.DeletedAt == nil || got.ForgottenAt.AsTime().Sub(got.DeletedAt.AsTime()).Hours() != 30*24 {
					t.Errorf("before: %v, want UNDELETE, and forgotten after 30 days", got)
				}
				got := must(t, e.UndeleteCharacter, &databasev1.UndeleteCharacterRequest{CharacterId: c.Id, Reason: why, RequestId: newUUID()})
				if got.Replayed || got.Character.Name != name || got.Character.Slot != c.Slot || got.Character.Recovery != 0 || got.Character.DeletedAt != nil {
					t.Errorf("UndeleteCharacter = %v", got)
				}
				back := must(t, e.characters.GetCharacter, &databasev1.GetCharacterRequest{UserId: user, CharacterId: c.Id}).Character
				if back.Money != 77 || back.Level != 9 || back.DeleteAt != nil || back.Version <= c.Version {
					t.Errorf("GetCharacter = %v, want all that it had, and a later version", back)
				}
				if list := must(t, e.characters.GetCharacterList, &databasev1.GetCharacterListRequest{UserId: user}); len(list.Characters) != 1 {
					t.Errorf("GetCharacterList = %v, want the character", list)
				}
			})
		}
	})
	e := one(t)
	t.Run("a mark", func(t *testing.T) {
		t.Parallel()
		user, name := e.user(t), newName()
		c := e.create(t, user, name)
		for range slots - 1 { // no slot is free, and none is needed
			e.create(t, user, newName())
		}
		must(t, e.characters.DeleteCharacter, &databasev1.DeleteCharacterRequest{UserId: user, CharacterId: c.Id})
		r := &databasev1.UndeleteCharacterRequest{CharacterId: c.Id, Reason: why, RequestId: newUUID()}
		if got := must(t, e.UndeleteCharacter, r); got.Replayed || got.Character.Recovery != 0 || got.Character.DeleteAt != nil || got.Character.Slot != c.Slot {
			t.Errorf("UndeleteCharacter = %v, want no mark", got)
		}
		if got := must(t, e.UndeleteCharacter, r); !got.Replayed {
			t.Errorf("UndeleteCharacter again = %v, want it replayed", got)
		}
		if back := must(t, e.characters.GetCharacter, &databasev1.GetCharacterRequest{UserId: user, CharacterId: c.Id}).Character; back.DeleteAt != nil {
			t.Errorf("GetCharacter = %v, want no mark", back)
		}
		must(t, e.characters.DeleteCharacter, &databasev1.DeleteCharacterRequest{UserId: user, CharacterId: c.Id})
		e.OwnerExec(t, `UPDATE game.character SET slot = 30 WHERE id = $1`, c.Id) // of a time when a user might have more
		e.OwnerExec(t, `UPDATE game.character SET user_id = game.user_id($1), slot = 29 WHERE id = $2`, user, e.create(t, e.user(t), newName()).Id)
		if got := must(t, e.UndeleteCharacter, &databasev1.UndeleteCharacterRequest{CharacterId: c.Id, Reason: why}); got.Character.Slot != 30 {
			t.Errorf("UndeleteCharacter = %v, want it in its slot", got)
		}
		row := must(t, e.ListAudit, &databasev1.ListAuditRequest{Of: &databasev1.ListAuditRequest_CharacterId{CharacterId: c.Id}}).Entries[0].Before.AsMap()
		if row["delete_at"] == nil || row["deleted_at"] != nil {
			t.Errorf("the audit has the values %v before, want the deadline", row)
		}
	})
	t.Run("name taken", func(t *testing.T) {
		t.Parallel()
		user, name := e.user(t), newName()
		c := e.deleted(t, user, name)
		e.create(t, e.user(t), strings.ToUpper(name))
		if got := e.player(t, user)[c.Id].Recovery; got != nameTaken {
			t.Errorf("before: %v, want NAME_TAKEN", got)
		}
		wantFault(t, e.UndeleteCharacter, &databasev1.UndeleteCharacterRequest{CharacterId: c.Id, Reason: why}, taken)
		other := newName()
		got := must(t, e.UndeleteCharacter, &databasev1.UndeleteCharacterRequest{CharacterId: c.Id, NewName: other, Reason: why, RequestId: newUUID()})
		if got.Character.Name != other {
			t.Errorf("UndeleteCharacter = %v, want the name %s", got, other)
		}
	})
	t.Run("slots", func(t *testing.T) {
		t.Parallel()
		user := e.user(t)
		c := e.deleted(t, user, newName())
		second := e.deleted(t, user, newName())
		e.create(t, user, newName()) // in slot 0
		wantFault(t, e.UndeleteCharacter, &databasev1.UndeleteCharacterRequest{CharacterId: c.Id, Slot: proto.Int32(0), Reason: why}, slotTaken)
		if got := must(t, e.UndeleteCharacter, &databasev1.UndeleteCharacterRequest{CharacterId: c.Id, Reason: why, RequestId: newUUID()}); got.Character.Slot != 1 {
			t.Errorf("UndeleteCharacter = %v, want the lowest free slot", got)
		}
		third := e.deleted(t, user, newName())
		if got := must(t, e.UndeleteCharacter, &databasev1.UndeleteCharacterRequest{CharacterId: third.Id, Slot: proto.Int32(2), Reason: why, RequestId: newUUID()}); got.Character.Slot != 2 {
			t.Errorf("UndeleteCharacter = %v, want slot 2", got)
		}
		if got := e.player(t, user)[second.Id].Recovery; got != noFreeSlot {
			t.Errorf("of a full user: %v, want NO_FREE_SLOT", got)
		}
		wantFault(t, e.UndeleteCharacter, &databasev1.UndeleteCharacterRequest{CharacterId: second.Id, Reason: why}, full)
	})
	t.Run("slots and a name whose holders' deadlines have passed", func(t *testing.T) {
		t.Parallel()
		user, name := e.user(t), newName()
		c := e.deleted(t, user, name)
		for range slots - 1 {
			e.expired(t, user, newName())
		}
		e.expired(t, user, name)
		if got := must(t, e.UndeleteCharacter, &databasev1.UndeleteCharacterRequest{CharacterId: c.Id, Reason: why, RequestId: newUUID()}); got.Character.Name != name {
			t.Errorf("UndeleteCharacter = %v, want %s", got, name)
		}
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		user := e.user(t)
		there, marked := e.create(t, user, newName()), e.create(t, user, newName())
		must(t, e.characters.DeleteCharacter, &databasev1.DeleteCharacterRequest{UserId: user, CharacterId: marked.Id})
		if got := e.player(t, user); got[there.Id].Recovery != 0 || got[marked.Id].Recovery != restore {
			t.Errorf("GetPlayer = %v, want no recovery, and RESTORE", got)
		}
		notDeleted := fault{code: twirp.FailedPrecondition, reason: "CHARACTER_NOT_DELETED"}
		removed := e.user(t)
		orphan := e.deleted(t, removed, newName())
		e.WebExec(t, `DELETE FROM {user} WHERE id::text = $1`, removed)
		if got := e.player(t, removed)[orphan.Id].Recovery; got != userRemoved {
			t.Errorf("of a removed user: %v, want USER_REMOVED", got)
		}
		forgotten := e.deleted(t, user, newName())
		e.OwnerExec(t, `UPDATE game.character SET deleted_at = now() - interval '31 days' WHERE id = $1`, forgotten.Id)
		gone := e.deleted(t, user, newName()).Id
		for want, requests := range map[fault][]*databasev1.UndeleteCharacterRequest{
			notDeleted:               {{CharacterId: there.Id, Reason: why}},
			notFound:                 {{CharacterId: 987654321, Reason: why}, {CharacterId: forgotten.Id, Reason: why}},
			userNotFound:             {{CharacterId: orphan.Id, Reason: why}},
			argument("character_id"): {{Reason: why}, {CharacterId: -1, Reason: why}},
			argument("slot"):         {{CharacterId: gone, Slot: proto.Int32(-1), Reason: why}, {CharacterId: gone, Slot: proto.Int32(slots), Reason: why}},
			argument("reason"):       {{CharacterId: gone}, {CharacterId: gone, Reason: "a\x00"}, {CharacterId: gone, Reason: strings.Repeat("x", 501)}},
			argument("request_id"):   {{CharacterId: gone, Reason: why, RequestId: "1"}},
			{twirp.InvalidArgument, "NAME_INVALID", "new_name"}:  {{CharacterId: gone, Reason: why, NewName: "abc"}},
			{twirp.InvalidArgument, "NAME_RESERVED", "new_name"}: {{CharacterId: gone, Reason: why, NewName: "Adm1n"}, {CharacterId: gone, Reason: why, NewName: "Guild"}},
		} {
			for _, r := range requests {
				wantFault(t, e.UndeleteCharacter, r, want)
			}
		}
	})
}

func TestRename(t *testing.T) {
	t.Parallel()
	e := one(t)
	user, name := e.user(t), newName()
	c := e.create(t, user, name)
	must(t, e.characters.GetCharacter, &databasev1.GetCharacterRequest{UserId: user, CharacterId: c.Id}) // fills the cache
	shouted := strings.ToUpper(name)
	for _, to := range []string{newName(), shouted} { // the old name is free at once
		got := must(t, e.RenameCharacter, &databasev1.RenameCharacterRequest{CharacterId: c.Id, NewName: to, Reason: why, RequestId: newUUID()})
		if got.Replayed || got.Character.Name != to {
			t.Errorf("RenameCharacter = %v, want the name %s", got, to)
		}
		if got := must(t, e.characters.GetCharacter, &databasev1.GetCharacterRequest{UserId: user, CharacterId: c.Id}).Character; got.Name != to {
			t.Errorf("GetCharacter = %v, want the name %s", got, to)
		}
	}
	other := e.create(t, user, newName())
	deleted := e.deleted(t, user, newName())
	for want, requests := range map[fault][]*databasev1.RenameCharacterRequest{
		taken:                    {{CharacterId: c.Id, NewName: strings.ToLower(other.Name), Reason: why}},
		notFound:                 {{CharacterId: 987654321, NewName: "Anybody", Reason: why}, {CharacterId: deleted.Id, NewName: "Anybody", Reason: why}},
		argument("character_id"): {{NewName: "Anybody", Reason: why}},
		argument("reason"):       {{CharacterId: c.Id, NewName: "Anybody"}},
		argument("request_id"):   {{CharacterId: c.Id, NewName: "Anybody", Reason: why, RequestId: "1"}},
		argument("expected_name"): {
			{CharacterId: c.Id, NewName: "Anybody", Reason: why, ExpectedName: strings.Repeat("x", 21)}, {CharacterId: c.Id, NewName: "Anybody", Reason: why, ExpectedName: "a\x00"},
		},
		{code: twirp.FailedPrecondition, reason: "NAME_MISMATCH"}: {{CharacterId: c.Id, NewName: "Anybody", Reason: why, ExpectedName: name}},
		{twirp.InvalidArgument, "NAME_INVALID", "new_name"}:       {{CharacterId: c.Id, Reason: why}, {CharacterId: c.Id, NewName: "a b c", Reason: why}},
		{twirp.InvalidArgument, "NAME_RESERVED", "new_name"}:      {{CharacterId: c.Id, NewName: "Moderator", Reason: why}},
	} {
		for _, r := range requests {
			wantFault(t, e.RenameCharacter, r, want)
		}
	}
	if got := must(t, e.RenameCharacter, &databasev1.RenameCharacterRequest{CharacterId: c.Id, NewName: name, ExpectedName: shouted, Reason: why}); got.Character.Name != name {
		t.Errorf("RenameCharacter with the right expected_name = %v, want %s", got, name)
	}
}

func TestTransfer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		from, to := e.user(t), e.user(t)
		c := e.create(t, from, newName())
		for range slots - 1 {
			e.create(t, to, newName())
		}
		for _, user := range []string{from, to} { // fills the cache
			must(t, e.characters.GetCharacterList, &databasev1.GetCharacterListRequest{UserId: user})
		}
		request := &databasev1.TransferCharacterRequest{CharacterId: c.Id, FromUserId: from, ToUserId: to, Reason: why, RequestId: newUUID()}
		if got := must(t, e.TransferCharacter, request); got.Replayed || got.Character.Slot != slots-1 || got.Character.Name != c.Name {
			t.Errorf("TransferCharacter = %v, want it in the lowest free slot", got)
		}
		for user, want := range map[string]int{from: 0, to: slots} {
			if got := must(t, e.characters.GetCharacterList, &databasev1.GetCharacterListRequest{UserId: user}); len(got.Characters) != want {
				t.Errorf("GetCharacterList = %v, want %d", got, want)
			}
		}
		if got := must(t, e.characters.GetCharacter, &databasev1.GetCharacterRequest{UserId: to, CharacterId: c.Id}).Character; got.Money != 77 {
			t.Errorf("GetCharacter = %v, want its money", got)
		}
		another := e.create(t, from, newName())
		deleted := e.deleted(t, from, newName())
		free := e.user(t)
		e.create(t, free, newName())
		for want, requests := range map[fault][]*databasev1.TransferCharacterRequest{
			full:      {{CharacterId: another.Id, FromUserId: from, ToUserId: to, Reason: why}},
			slotTaken: {{CharacterId: another.Id, FromUserId: from, ToUserId: free, Slot: proto.Int32(0), Reason: why}},
			notFound: {
				{CharacterId: 987654321, FromUserId: from, ToUserId: free, Reason: why}, {CharacterId: another.Id, FromUserId: to, ToUserId: free, Reason: why},
				{CharacterId: another.Id, FromUserId: "nobody", ToUserId: free, Reason: why}, {CharacterId: deleted.Id, FromUserId: from, ToUserId: free, Reason: why},
			},
			userNotFound:             {{CharacterId: another.Id, FromUserId: from, ToUserId: "nobody", Reason: why}},
			argument("from_user_id"): {{CharacterId: another.Id, ToUserId: free, Reason: why}},
			argument("to_user_id"):   {{CharacterId: another.Id, FromUserId: from, Reason: why}, {CharacterId: another.Id, FromUserId: from, ToUserId: from, Reason: why}},
			argument("character_id"): {{FromUserId: from, ToUserId: free, Reason: why}},
			argument("slot"):         {{CharacterId: another.Id, FromUserId: from, ToUserId: free, Slot: proto.Int32(slots), Reason: why}},
			argument("reason"):       {{CharacterId: another.Id, FromUserId: from, ToUserId: free}},
			argument("request_id"):   {{CharacterId: another.Id, FromUserId: from, ToUserId: free, Reason: why, RequestId: "x"}},
		} {
			for _, r := range requests {
				wantFault(t, e.TransferCharacter, r, want)
			}
		}
	})
}
