package characters_test

import (
	"testing"
	"time"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characters"
)

var (
	nameMismatch = fault{twirp.FailedPrecondition, "NAME_MISMATCH", ""}

	// ignoreMark ignores the fields that a mark changes.
	ignoreMark = protocmp.IgnoreFields(&databasev1.Character{}, "state", "delete_at", "seconds_until_deletion", "version", "updated_at")
)

const oneDay = 24 * 60 * 60

func TestDeleteScheduled(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	t.Run("marks the character", func(t *testing.T) {
		for _, mode := range []databasev1.DeleteMode{0, scheduled} {
			c := e.mustCreateAs(t, fullRequest(e.user(t)))
			got := e.mustDelete(t, c, mode)
			m := got.Character
			wantSame(t, "DeleteCharacter", m, c, ignoreMark)
			if m.State != pending || m.Version != 2 || m.DeleteAt.AsTime().Sub(m.UpdatedAt.AsTime()) != characters.DefaultDeleteDelay {
				t.Errorf("DeleteCharacter = %v, want PENDING_DELETION, version 2 and a deadline a day after the change", m)
			}
			if got.RemainingSeconds != oneDay || m.SecondsUntilDeletion != oneDay {
				t.Errorf("DeleteCharacter = %d and %d s left, want a day", got.RemainingSeconds, m.SecondsUntilDeletion)
			}
			wantSame(t, "GetCharacter after it", e.mustGet(t, c), m, ignoreCountdown)
		}
	})
	t.Run("again keeps the first deadline", func(t *testing.T) {
		c := e.mustCreate(t, e.user(t))
		first := e.mustDelete(t, c, scheduled).Character
		for range 2 {
			wantSame(t, "DeleteCharacter again", e.mustDelete(t, c, scheduled).Character, first, ignoreCountdown)
		}
	})
	t.Run("at least 1 second is left while it is marked", func(t *testing.T) {
		c := e.mustCreate(t, e.user(t))
		e.setDeadline(t, c, 300*time.Millisecond)
		eventually(t, "the deadline", func() bool {
			got, err := e.DeleteCharacter(t.Context(), &databasev1.DeleteCharacterRequest{UserId: c.UserId, CharacterId: c.Id})
			if err == nil && (got.RemainingSeconds != 1 || got.Character.SecondsUntilDeletion != 1 || got.Character.State != pending) {
				t.Fatalf("DeleteCharacter just before the deadline = %v, want PENDING_DELETION and 1 second", got)
			}
			return faultOf(err) == notFound
		})
	})
	t.Run("after another delay", func(t *testing.T) {
		e := one(t, characters.Config{DeleteDelay: time.Hour})
		got := e.mustDelete(t, e.mustCreate(t, e.user(t)), scheduled)
		if got.RemainingSeconds != 3600 {
			t.Errorf("DeleteCharacter with a delay of an hour = %d s left, want 3600", got.RemainingSeconds)
		}
	})
}

func TestDeleteImmediate(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	gone := func(t *testing.T, c *databasev1.Character) {
		t.Helper()
		got := e.mustDelete(t, c, immediate)
		wantSame(t, "DeleteCharacter", got.Character, c, ignoreMark)
		if got.RemainingSeconds != 0 || got.Character.State != deleted || got.Character.DeleteAt != nil || got.Character.SecondsUntilDeletion != 0 {
			t.Errorf("DeleteCharacter at once = %v, want DELETED without a deadline", got)
		}
		wantSame(t, "DeleteCharacter again", e.mustDelete(t, c, immediate), got)
		for what, err := range e.touch(t, c) {
			wantFault(t, what+" of a deleted character", err, notFound)
		}
	}
	t.Run("an active character", func(t *testing.T) { gone(t, e.mustCreateAs(t, fullRequest(e.user(t)))) })
	t.Run("a marked character", func(t *testing.T) {
		c := e.mustCreate(t, e.user(t))
		e.mustDelete(t, c, scheduled)
		gone(t, c)
	})
	t.Run("a character whose name and slot were taken since", func(t *testing.T) {
		c := e.mustCreate(t, e.user(t))
		e.mustDelete(t, c, immediate)
		next := e.mustCreateAs(t, &databasev1.CreateCharacterRequest{UserId: c.UserId, Name: c.Name})
		gone(t, c)
		wantSame(t, "the next character of that name", e.mustGet(t, next), next)
	})
}

// touch makes all calls that must not find a deleted character.
func (e *env) touch(t testing.TB, c *databasev1.Character) map[string]error {
	t.Helper()
	_, get := e.GetCharacter(t.Context(), &databasev1.GetCharacterRequest{UserId: c.UserId, CharacterId: c.Id})
	_, schedule := e.DeleteCharacter(t.Context(), &databasev1.DeleteCharacterRequest{UserId: c.UserId, CharacterId: c.Id})
	_, restore := e.RestoreCharacter(t.Context(), &databasev1.RestoreCharacterRequest{UserId: c.UserId, CharacterId: c.Id})
	_, save := e.SaveCharacter(t.Context(), &databasev1.SaveCharacterRequest{CharacterId: c.Id, ExpectedVersion: c.Version, Money: proto.Int64(1)})
	return map[string]error{"GetCharacter": get, "DeleteCharacter, scheduled": schedule, "RestoreCharacter": restore, "SaveCharacter": save}
}

func TestDeadlinePassed(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	for _, finished := range []bool{false, true} {
		name := map[bool]string{false: "and it is not finished", true: "and the next create finished it"}[finished]
		t.Run(name, func(t *testing.T) {
			c := e.mustCreate(t, e.user(t))
			e.mustDelete(t, c, scheduled)
			e.setDeadline(t, c, -time.Second)
			var want []*databasev1.Character
			if finished {
				want = append(want, reduced(e.mustCreate(t, c.UserId)))
			}
			for what, err := range e.touch(t, c) {
				wantFault(t, what+" after the deadline", err, notFound)
			}
			_, err := e.DeleteCharacter(t.Context(), &databasev1.DeleteCharacterRequest{UserId: c.UserId, CharacterId: c.Id, Mode: immediate})
			wantFault(t, "DeleteCharacter, immediate, after the deadline", err, notFound)
			list := e.mustList(t, &databasev1.GetCharacterListRequest{UserId: c.UserId})
			wantSame(t, "GetCharacterList after the deadline", list, want)
			list = e.mustList(t, &databasev1.GetCharacterListRequest{UserId: c.UserId, View: full})
			if len(list) != len(want) {
				t.Errorf("GetCharacterList, full, after the deadline = %v, want %d characters", list, len(want))
			}
		})
	}
}

func TestExpectedName(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	remove := func(c *databasev1.Character, mode databasev1.DeleteMode, name string) error {
		_, err := e.DeleteCharacter(t.Context(), &databasev1.DeleteCharacterRequest{UserId: c.UserId, CharacterId: c.Id, Mode: mode, ExpectedName: name})
		return err
	}
	for _, mode := range []databasev1.DeleteMode{scheduled, immediate} {
		t.Run(mode.String(), func(t *testing.T) {
			c := e.mustCreate(t, e.user(t))
			for _, wrong := range []string{"Another", c.Name + "x", "h" + c.Name[1:]} {
				wantFault(t, "DeleteCharacter with expected_name "+wrong, remove(c, mode, wrong), nameMismatch)
			}
			wantSame(t, "GetCharacter after the wrong names", e.mustGet(t, c), c)
			wantFault(t, "DeleteCharacter with the right name", remove(c, mode, c.Name), fault{})
			wantFault(t, "DeleteCharacter again with the right name", remove(c, mode, c.Name), fault{})
			wantFault(t, "DeleteCharacter again with a wrong name", remove(c, mode, "Another"), nameMismatch)
		})
	}
}

func TestRestoreCharacter(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	restore := func(t *testing.T, c *databasev1.Character) *databasev1.Character {
		t.Helper()
		got, err := e.RestoreCharacter(t.Context(), &databasev1.RestoreCharacterRequest{UserId: c.UserId, CharacterId: c.Id})
		if err != nil {
			t.Fatalf("RestoreCharacter(%d) = %v, want success", c.Id, err)
		}
		return got.Character
	}
	t.Run("before the deadline, and again", func(t *testing.T) {
		c := e.mustCreateAs(t, fullRequest(e.user(t)))
		e.mustDelete(t, c, scheduled)
		first := restore(t, c)
		wantSame(t, "RestoreCharacter", first, c, protocmp.IgnoreFields(c, "version", "updated_at"))
		if first.Version != 3 {
			t.Errorf("RestoreCharacter = version %d, want 3", first.Version)
		}
		wantSame(t, "RestoreCharacter again", restore(t, c), first)
		wantSame(t, "GetCharacter after it", e.mustGet(t, c), first)
	})
	t.Run("a character that was never marked", func(t *testing.T) {
		c := e.mustCreate(t, e.user(t))
		wantSame(t, "RestoreCharacter", restore(t, c), c)
	})
	t.Run("and mark it again", func(t *testing.T) {
		c := e.mustCreate(t, e.user(t))
		e.mustDelete(t, c, scheduled)
		e.setDeadline(t, c, time.Hour)
		restore(t, c)
		if got := e.mustDelete(t, c, scheduled).RemainingSeconds; got != oneDay {
			t.Errorf("DeleteCharacter after a restore = %d s left, want a day from now", got)
		}
	})
}
