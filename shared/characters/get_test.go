package characters_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/characters"
)

func TestGetCharacter(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, e *env) {
		user := e.user(t)
		want := e.mustCreateAs(t, fullRequest(user))
		get := func(t *testing.T, r *databasev1.GetCharacterRequest) *databasev1.Character {
			t.Helper()
			got, err := patiently(t, e.GetCharacter, r)
			if err != nil {
				t.Fatalf("GetCharacter(%v) = %v, want a character", r, err)
			}
			return got.Character
		}
		t.Run("cold cache", func(t *testing.T) {
			r := &databasev1.GetCharacterRequest{UserId: user, CharacterId: want.Id}
			wantSame(t, "GetCharacter, cold", get(t, r), want)
		})
		for _, test := range []struct {
			name string
			user string
			view databasev1.CharacterView
			want *databasev1.Character
		}{
			{"cached", user, 0, want},
			{"cached, full", user, full, want},
			{"cached, basic", user, basic, reduced(want)},
			{"cached, of any owner", "", full, want},
		} {
			t.Run(test.name, func(t *testing.T) {
				r := &databasev1.GetCharacterRequest{UserId: test.user, CharacterId: want.Id, View: test.view}
				e.untilHit(t, func() { wantSame(t, "GetCharacter, "+test.name, get(t, r), test.want) })
			})
		}
		t.Run("own writes are visible at once in a cached reply", func(t *testing.T) {
			c := e.mustCreate(t, user)
			for i := range 5 {
				e.untilHit(t, func() { e.mustGet(t, c) })
				saved := e.mustSave(t, &databasev1.SaveCharacterRequest{CharacterId: c.Id, ExpectedVersion: c.Version + int64(i), Money: proto.Int64(int64(i))})
				if got := e.mustGet(t, c); got.Version != saved.Version || got.Money != int64(i) {
					t.Fatalf("GetCharacter after a save = version %d and money %d, want %d and %d", got.Version, got.Money, saved.Version, i)
				}
			}
		})
	})
}

// reduced returns the BASIC view of a character.
func reduced(c *databasev1.Character) *databasev1.Character {
	c = proto.CloneOf(c)
	c.Inventory, c.Skills, c.Extra = nil, nil, nil
	return c
}

func TestOtherUsersCharacterIsNotFound(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, e *env) {
		me, other := e.user(t), e.user(t)
		uncached, cached, gone, passed := e.mustCreate(t, other), e.mustCreate(t, other), e.mustCreate(t, me), e.mustCreate(t, me)
		e.untilHit(t, func() { e.mustGet(t, cached) })
		e.mustDelete(t, gone, immediate)
		e.setDeadline(t, passed, -time.Second)
		for _, test := range []struct {
			method  string
			request func(id int64) proto.Message
			goneToo bool // the same for an immediately deleted character
		}{
			{"GetCharacter", func(id int64) proto.Message { return &databasev1.GetCharacterRequest{UserId: me, CharacterId: id} }, true},
			{"SaveCharacter", func(id int64) proto.Message {
				return &databasev1.SaveCharacterRequest{UserId: me, CharacterId: id, ExpectedVersion: 1, Money: proto.Int64(1)}
			}, true},
			{"RestoreCharacter", func(id int64) proto.Message { return &databasev1.RestoreCharacterRequest{UserId: me, CharacterId: id} }, true},
			{"DeleteCharacter", func(id int64) proto.Message {
				return &databasev1.DeleteCharacterRequest{UserId: me, CharacterId: id, Mode: scheduled}
			}, true},
			{"DeleteCharacter", func(id int64) proto.Message {
				return &databasev1.DeleteCharacterRequest{UserId: me, CharacterId: id, Mode: immediate, ExpectedName: "Another"}
			}, false},
		} {
			want := e.raw(t, test.method, test.request(1<<40))
			if want.Status != 404 {
				t.Errorf("%s of no character = %v, want status 404", test.method, want)
			}
			targets := map[string]int64{"another user's": uncached.Id, "another user's, cached": cached.Id, "past its deadline": passed.Id}
			if test.goneToo {
				targets["deleted at once"] = gone.Id
			}
			for what, id := range targets {
				if diff := cmp.Diff(want, e.raw(t, test.method, test.request(id))); diff != "" {
					t.Errorf("%s of a character that is %s differs from one that does not exist (-want +got):\n%s", test.method, what, diff)
				}
			}
		}
		for _, c := range []*databasev1.Character{uncached, cached} {
			wantSame(t, "another user's character afterwards", e.mustGet(t, c), c)
		}
	})
}

func TestDeadlinePassesInCachedReply(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, e *env) {
		// On a busy machine a read may come from the database and prove nothing. Then it tries again.
		for ahead := time.Second; !e.deadlinePassesInCache(t, ahead); ahead *= 2 {
			if ahead > time.Minute {
				t.Fatal("no reply came from the cache after its deadline")
			}
		}
	})
}

// deadlinePassesInCache reports whether the replies came from the cache, before and after the deadline.
func (e *env) deadlinePassesInCache(t *testing.T, ahead time.Duration) bool {
	user := e.user(t)
	stays, c := e.mustCreate(t, user), e.mustCreate(t, user)
	e.setDeadline(t, c, ahead)
	get := func() (*databasev1.Character, error) {
		got, err := patiently(t, e.GetCharacter, &databasev1.GetCharacterRequest{UserId: user, CharacterId: c.Id})
		return got.GetCharacter(), err
	}
	list := func() []*databasev1.Character {
		return e.mustList(t, &databasev1.GetCharacterListRequest{UserId: user})
	}
	hits := func() uint64 { return e.Program.Cache.Stats().Hits }
	// After a sync has applied the changes above, the next sync does not delete the values.
	syncs, before := e.Program.Cache.Stats().Syncs, hits()
	for tick := time.Tick(5 * time.Millisecond); hits() < before+4; <-tick {
		if e.Program.Cache.Stats().Syncs == syncs {
			before = hits()
		}
		one, err := get()
		if faultOf(err) == notFound {
			return false
		}
		if err != nil {
			t.Fatalf("GetCharacter before the deadline = %v, want a character", err)
		}
		for _, got := range append(list()[1:], one) {
			if got.State != pending || got.SecondsUntilDeletion < 1 || got.DeleteAt == nil {
				t.Fatalf("a marked character = %v, want PENDING_DELETION with at least 1 second", got)
			}
		}
	}
	e.waitUntilHidden(t, c)
	before = hits()
	_, err := get()
	wantFault(t, "GetCharacter after the deadline", err, notFound)
	wantSame(t, "GetCharacterList after the deadline", list(), []*databasev1.Character{reduced(stays)})
	return hits() == before+2
}

// waitUntilHidden waits until the deadline is so long ago that no cached reply contains the character.
func (e *env) waitUntilHidden(t testing.TB, c *databasev1.Character) {
	t.Helper()
	eventually(t, "the deadline", func() (passed bool) {
		err := e.Owner.QueryRow(t.Context(), `SELECT now() > delete_at + $2::interval FROM game.character WHERE id = $1`,
			c.Id, cache.MaxStaleness+10*time.Millisecond).Scan(&passed)
		return err == nil && passed
	})
}

// TestHiddenIsNotRestorable reads a marked character from the cache until a reply hides it. Statements are delayed, so
// that a cached clock ahead of the database's would hide it too early.
func TestHiddenIsNotRestorable(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, e *env) {
		user := e.user(t)
		c := e.mustCreate(t, user)
		e.setDeadline(t, c, 1500*time.Millisecond)
		e.PGProxy.OnSend(func([]byte) { time.Sleep(50 * time.Millisecond) })
		left := func() (seconds float64) {
			err := e.Owner.QueryRow(t.Context(), `SELECT extract(epoch FROM delete_at - clock_timestamp()) FROM game.character WHERE id = $1`, c.Id).Scan(&seconds)
			if err != nil {
				t.Fatal(err)
			}
			return seconds
		}
		for hidden := false; !hidden; {
			got, err := e.GetCharacter(t.Context(), &databasev1.GetCharacterRequest{CharacterId: c.Id})
			list, listErr := e.GetCharacterList(t.Context(), &databasev1.GetCharacterListRequest{UserId: user})
			hidden = faultOf(err) == notFound || listErr == nil && len(list.Characters) == 0
			left := left()
			if hidden && left > 0 {
				t.Errorf("hidden %.3f s before the deadline: GetCharacter = %v, GetCharacterList = %v", left, err, list.GetCharacters())
			}
			for _, c := range append(list.GetCharacters(), got.GetCharacter()) {
				if c != nil && float64(c.SecondsUntilDeletion) < left {
					t.Fatalf("seconds_until_deletion = %d, want at least %.3f, the time left after the reply", c.SecondsUntilDeletion, left)
				}
			}
		}
		e.PGProxy.OnSend(nil)
		_, err := patiently(t, e.RestoreCharacter, &databasev1.RestoreCharacterRequest{UserId: user, CharacterId: c.Id})
		wantFault(t, "RestoreCharacter of a hidden one", err, notFound)
	})
}

func TestGetCharacterList(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, e *env) {
		user := e.user(t)
		first, second, third := e.mustCreateAs(t, fullRequest(user)), e.mustCreate(t, user), e.mustCreate(t, user)
		e.mustDelete(t, second, immediate)
		second = e.mustCreateAs(t, fullRequest(user)) // the newest character is in the middle slot
		marked := e.mustDelete(t, third, scheduled).Character
		all := []*databasev1.Character{first, second, marked}
		basics := []*databasev1.Character{reduced(first), reduced(second), reduced(marked)}
		for _, test := range []struct {
			name    string
			request *databasev1.GetCharacterListRequest
			want    []*databasev1.Character
		}{
			{"basic by slot", &databasev1.GetCharacterListRequest{}, basics},
			{"asked for basic", &databasev1.GetCharacterListRequest{View: basic}, basics},
			{"full", &databasev1.GetCharacterListRequest{View: full}, all},
			{"without marked ones", &databasev1.GetCharacterListRequest{ExcludePendingDeletion: true}, basics[:2]},
			{"full without marked ones", &databasev1.GetCharacterListRequest{View: full, ExcludePendingDeletion: true}, all[:2]},
		} {
			t.Run(test.name, func(t *testing.T) {
				test.request.UserId = user
				call := func() { wantSame(t, "GetCharacterList", e.mustList(t, test.request), test.want, ignoreCountdown) }
				call()
				if test.request.View != full { // FULL is never cached
					e.untilHit(t, call)
				}
			})
		}
		t.Run("own writes are visible at once in a cached reply", func(t *testing.T) {
			user := e.user(t)
			var want []*databasev1.Character
			for range 3 {
				list := e.mustList(t, &databasev1.GetCharacterListRequest{UserId: user})
				wantSame(t, "GetCharacterList after a create", list, want)
				e.untilHit(t, func() { e.mustList(t, &databasev1.GetCharacterListRequest{UserId: user}) })
				want = append(want, reduced(e.mustCreate(t, user)))
			}
			e.mustDelete(t, want[1], immediate)
			list := e.mustList(t, &databasev1.GetCharacterListRequest{UserId: user})
			wantSame(t, "GetCharacterList after a delete", list, []*databasev1.Character{want[0], want[2]})
		})
		t.Run("by slot, for any order of the rows", func(t *testing.T) {
			e.OwnerExec(t, `ALTER DATABASE `+e.Name+` SET enable_indexscan = off`)
			client, url := serve(t, e.Open(t), characters.Config{})
			other := &env{e.Env, client, url, e.purger}
			e.mustSave(t, &databasev1.SaveCharacterRequest{CharacterId: first.Id, ExpectedVersion: 1, Level: proto.Int32(2)}) // moves the row to the end
			for _, view := range []databasev1.CharacterView{basic, full} {
				list := other.mustList(t, &databasev1.GetCharacterListRequest{UserId: user, View: view})
				if len(list) != 3 || list[0].Slot != 0 || list[1].Slot != 1 || list[2].Slot != 2 {
					t.Errorf("GetCharacterList(%s) = %v, want slots 0, 1, 2", view, list)
				}
			}
		})
		t.Run("unknown user", func(t *testing.T) {
			for _, view := range []databasev1.CharacterView{basic, full} {
				got := e.mustList(t, &databasev1.GetCharacterListRequest{UserId: "nobody", View: view})
				wantSame(t, "GetCharacterList of an unknown user", got, []*databasev1.Character(nil))
			}
			if n, err := e.Redis.Client.Exists(t.Context(), "characters:nobody").Result(); n != 0 || err != nil {
				t.Errorf("Redis has the unknown user's id: %d, %v", n, err)
			}
		})
	})
	for _, test := range []struct {
		name  string
		slots int
		want  int32
	}{{"default slots", 0, 5}, {"configured slots", 2, 2}, {"more slots than the ceiling", 100, 32}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := one(t, characters.Config{Slots: test.slots})
			got, err := e.GetCharacterList(t.Context(), &databasev1.GetCharacterListRequest{UserId: "nobody"})
			if err != nil || got.MaxSlots != test.want {
				t.Errorf("GetCharacterList = %v, %v, want max_slots %d", got, err, test.want)
			}
		})
	}
}
