package characters_test

import (
	"bytes"
	"slices"
	"sync"
	"testing"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characters"
)

const callers = 16

// together makes n concurrent calls of f.
func together[T any](n int, f func(i int) (T, error)) ([]T, []fault) {
	begin := make(chan struct{})
	answers, faults := make([]T, n), make([]fault, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-begin
			var err error
			answers[i], err = f(i)
			faults[i] = faultOf(err)
		})
	}
	close(begin)
	wg.Wait()
	return answers, faults
}

// rounds plays n rounds. If a request timed out because the machine is busy, the round proves nothing, so rounds
// repeats it.
func rounds(t *testing.T, n int, play func() (faults []fault, judge func())) {
	t.Helper()
	for again := 0; n > 0; {
		faults, judge := play()
		if slices.ContainsFunc(faults, busy) {
			if again++; again > 20 {
				t.Fatalf("concurrent requests time out: %v", faults)
			}
			continue
		}
		judge()
		n--
	}
}

func count(faults []fault, f fault) (n int) {
	for _, g := range faults {
		if g == f {
			n++
		}
	}
	return n
}

// wantWinners checks that exactly winners calls succeeded and that all others failed with loss.
func wantWinners(t *testing.T, call string, faults []fault, winners int, loss fault) {
	t.Helper()
	won, lost := count(faults, fault{}), len(faults)-winners
	if won != winners || lost != 0 && count(faults, loss) != lost {
		t.Errorf("%d concurrent calls of %s = %+v, want %d to succeed, the others %+v", len(faults), call, faults, winners, loss)
	}
}

func TestConcurrentCreates(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{Slots: 5})
	create := func(r *databasev1.CreateCharacterRequest) (*databasev1.CreateCharacterResponse, error) {
		return e.CreateCharacter(t.Context(), r)
	}
	t.Run("by one user", func(t *testing.T) {
		rounds(t, 4, func() ([]fault, func()) {
			user := e.user(t)
			_, faults := together(callers, func(int) (*databasev1.CreateCharacterResponse, error) {
				return create(&databasev1.CreateCharacterRequest{UserId: user, Name: newName()})
			})
			return faults, func() {
				wantWinners(t, "CreateCharacter", faults, 5, slotsFull)
				var slots []int32
				for _, c := range e.mustList(t, &databasev1.GetCharacterListRequest{UserId: user}) {
					slots = append(slots, c.Slot)
				}
				if !slices.Equal(slots, []int32{0, 1, 2, 3, 4}) {
					t.Errorf("GetCharacterList = slots %v, want 0 to 4", slots)
				}
			}
		})
	})
	t.Run("by one user with due deletions", func(t *testing.T) {
		rounds(t, 2, func() ([]fault, func()) {
			user := e.user(t)
			for i := range 5 {
				c := e.mustCreate(t, user)
				if i != 2 {
					e.setDeadline(t, c, -1)
				}
			}
			_, faults := together(callers, func(int) (*databasev1.CreateCharacterResponse, error) {
				return create(&databasev1.CreateCharacterRequest{UserId: user, Name: newName()})
			})
			return faults, func() { wantWinners(t, "CreateCharacter", faults, 4, slotsFull) }
		})
	})
	t.Run("of one name", func(t *testing.T) {
		users := make([]string, callers)
		for i := range users {
			users[i] = e.user(t)
		}
		rounds(t, 3, func() ([]fault, func()) {
			name := newName()
			got, faults := together(callers, func(i int) (*databasev1.CreateCharacterResponse, error) {
				return create(&databasev1.CreateCharacterRequest{UserId: users[i], Name: name})
			})
			for _, r := range got {
				if r != nil {
					e.mustDelete(t, r.Character, immediate)
				}
			}
			return faults, func() { wantWinners(t, "CreateCharacter of one name", faults, 1, nameTaken) }
		})
	})
	t.Run("with one request id", func(t *testing.T) {
		rounds(t, 3, func() ([]fault, func()) {
			r := fullRequest(e.user(t))
			r.RequestId = newUUID()
			got, faults := together(callers, func(int) (*databasev1.CreateCharacterResponse, error) { return create(r) })
			return faults, func() {
				wantWinners(t, "CreateCharacter with one request id", faults, callers, fault{})
				first := 0
				for _, a := range got {
					wantSame(t, "CreateCharacter with one request id", a.GetCharacter(), got[0].GetCharacter())
					if !a.GetReplayed() {
						first++
					}
				}
				if all := e.mustList(t, &databasev1.GetCharacterListRequest{UserId: r.UserId}); first != 1 || len(all) != 1 {
					t.Errorf("CreateCharacter with one request id = %d first answers and %d characters, want 1 and 1", first, len(all))
				}
			}
		})
	})
}

func TestConcurrentSaves(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	user := e.user(t)
	t.Run("of one version", func(t *testing.T) {
		c := e.mustCreate(t, user)
		rounds(t, 3, func() ([]fault, func()) {
			before := e.mustGet(t, c)
			_, faults := together(callers, func(i int) (*databasev1.SaveCharacterResponse, error) {
				return e.SaveCharacter(t.Context(), &databasev1.SaveCharacterRequest{CharacterId: c.Id, ExpectedVersion: before.Version, Money: proto.Int64(int64(i))})
			})
			return faults, func() {
				wantWinners(t, "SaveCharacter", faults, 1, versionMismatch)
				got := e.mustGet(t, c)
				if got.Version != before.Version+1 || faults[got.Money] != (fault{}) {
					t.Errorf("GetCharacter = version %d, saved by number %d, want %d and the winner", got.Version, got.Money, before.Version+1)
				}
			}
		})
	})
	t.Run("with one save id", func(t *testing.T) {
		rounds(t, 1, func() ([]fault, func()) {
			r := &databasev1.SaveCharacterRequest{CharacterId: e.mustCreate(t, e.user(t)).Id, ExpectedVersion: 1, SaveId: newUUID(), AddPlaySeconds: 60}
			got, faults := together(callers, func(int) (*databasev1.SaveCharacterResponse, error) { return e.SaveCharacter(t.Context(), r) })
			return faults, func() {
				wantWinners(t, "SaveCharacter with one save id", faults, callers, fault{})
				first := slices.DeleteFunc(got, (*databasev1.SaveCharacterResponse).GetReplayed)
				wantSame(t, "the answers that were not replayed", first, []*databasev1.SaveCharacterResponse{{Version: 2}})
			}
		})
	})
	t.Run("increments add up", func(t *testing.T) {
		const workers, each = 8, 5
		c := e.mustCreate(t, user)
		together(workers, func(int) (any, error) {
			for done := 0; done < each; {
				got, err := e.GetCharacter(t.Context(), &databasev1.GetCharacterRequest{CharacterId: c.Id})
				if err != nil {
					continue
				}
				r := &databasev1.SaveCharacterRequest{CharacterId: c.Id, ExpectedVersion: got.Character.Version, SaveId: newUUID(), Money: proto.Int64(got.Character.Money + 1)}
				_, err = patiently(t, e.SaveCharacter, r)
				switch faultOf(err) {
				case fault{}:
					done++
				case versionMismatch:
				default:
					t.Errorf("SaveCharacter = %v, want success or VERSION_MISMATCH", err)
					return nil, err
				}
			}
			return nil, nil
		})
		if got := e.mustGet(t, c); got.Money != workers*each || got.Version != 1+workers*each {
			t.Errorf("GetCharacter = money %d, version %d, want %d and %d", got.Money, got.Version, workers*each, 1+workers*each)
		}
	})
}

func TestConcurrentDeletes(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	for _, mode := range []databasev1.DeleteMode{scheduled, immediate} {
		t.Run(mode.String(), func(t *testing.T) {
			rounds(t, 2, func() ([]fault, func()) {
				c := e.mustCreate(t, e.user(t))
				got, faults := together(callers, func(int) (*databasev1.DeleteCharacterResponse, error) {
					return e.DeleteCharacter(t.Context(), &databasev1.DeleteCharacterRequest{UserId: c.UserId, CharacterId: c.Id, Mode: mode})
				})
				return faults, func() {
					wantWinners(t, "DeleteCharacter", faults, callers, fault{})
					for _, a := range got {
						wantSame(t, "DeleteCharacter at once", a.GetCharacter(), got[0].GetCharacter(), ignoreCountdown)
					}
					if got[0].GetCharacter().GetVersion() != 2 {
						t.Errorf("DeleteCharacter at once = version %d, want one change", got[0].GetCharacter().GetVersion())
					}
				}
			})
		})
	}
}

// TestChangedBetweenStatements changes the character between two statements of a write: after the first one has changed
// nothing, and before the second one finds the reason. Then every answer except RETRY would be wrong.
func TestChangedBetweenStatements(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name           string
		before, change string
		call           func(e *env, c *databasev1.Character) error
	}{
		{"a marked one is marked, and restored", `delete_at = now() + interval '1 hour'`, `delete_at = NULL`, func(e *env, c *databasev1.Character) error {
			_, err := e.DeleteCharacter(t.Context(), &databasev1.DeleteCharacterRequest{UserId: c.UserId, CharacterId: c.Id})
			return err
		}},
		{"an active one is restored, and marked", `level = 1`, `delete_at = now() + interval '1 hour'`, func(e *env, c *databasev1.Character) error {
			_, err := e.RestoreCharacter(t.Context(), &databasev1.RestoreCharacterRequest{UserId: c.UserId, CharacterId: c.Id})
			return err
		}},
		{"one of another name is deleted, and renamed", `name = 'Another'`, `name = 'Expected'`, func(e *env, c *databasev1.Character) error {
			_, err := e.DeleteCharacter(t.Context(), &databasev1.DeleteCharacterRequest{UserId: c.UserId, CharacterId: c.Id, Mode: immediate, ExpectedName: "Expected"})
			return err
		}},
		{"one of another name is marked, and renamed", `name = 'Another'`, `name = 'Expected'`, func(e *env, c *databasev1.Character) error {
			_, err := e.DeleteCharacter(t.Context(), &databasev1.DeleteCharacterRequest{UserId: c.UserId, CharacterId: c.Id, ExpectedName: "Expected"})
			return err
		}},
		{"one is saved too early, and saved by another", `version = 1`, `version = 2`, func(e *env, c *databasev1.Character) error {
			_, err := e.SaveCharacter(t.Context(), &databasev1.SaveCharacterRequest{CharacterId: c.Id, ExpectedVersion: 2, Level: proto.Int32(2)})
			return err
		}},
		{"one is saved too early with items, and saved by another", `version = 1`, `version = 2`, func(e *env, c *databasev1.Character) error {
			_, err := e.SaveCharacter(t.Context(), &databasev1.SaveCharacterRequest{CharacterId: c.Id, ExpectedVersion: 2, Equipment: &databasev1.EquipmentSet{Items: []*databasev1.Item{{Uid: newUUID()}}}})
			return err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := one(t, characters.Config{})
			c := e.mustCreate(t, e.user(t))
			e.OwnerExec(t, `UPDATE game.character SET `+test.before+` WHERE id = $1`, c.Id)
			written, changed := false, false
			e.PGProxy.OnSend(func(sent []byte) {
				update := bytes.Contains(sent, []byte("UPDATE game.character"))
				written = written || update
				if written && !update && !changed && bytes.Contains(sent, []byte("SELECT")) {
					changed = true
					e.OwnerExec(t, `UPDATE game.character SET `+test.change+` WHERE id = $1`, c.Id)
				}
			})
			wantFault(t, "the call", test.call(e, c), fault{twirp.Aborted, "RETRY", ""})
			if !changed {
				t.Error("the character was not changed between the statements")
			}
		})
	}
}
