package characters_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characters"
	"github.com/osirose-new/database-service/shared/testenv"
)

// cost is the statements and commands of one call.
type cost struct {
	Queries []string // first words of the statements
	Deletes []string
}

func TestCounts(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, plain *testenv.Env) {
		n := plain.Count(t)
		e := start(t, plain, characters.Config{})
		user := e.user(t)
		c := e.mustCreate(t, user)
		get := func() error {
			_, err := e.GetCharacter(t.Context(), &databasev1.GetCharacterRequest{UserId: user, CharacterId: c.Id})
			return err
		}
		list := func() error {
			_, err := e.GetCharacterList(t.Context(), &databasev1.GetCharacterListRequest{UserId: user})
			return err
		}
		forget := func() {
			if err := e.Redis.Client.Del(t.Context(), fmt.Sprint("character:", c.Id), "characters:"+user).Err(); err != nil {
				t.Fatal(err)
			}
		}
		// The next sync deletes again what was cached since the change.
		know := func() {
			eventually(t, "both in the cache, and no sync", func() bool {
				before := e.Program.Cache.Stats()
				if err := errors.Join(get(), list()); err != nil {
					t.Log(err)
				}
				after := e.Program.Cache.Stats()
				return after.Hits == before.Hits+2 && after.Syncs == before.Syncs
			})
		}
		set := func(columns string) func() {
			return func() { e.OwnerExec(t, "UPDATE game.character SET "+columns+" WHERE id = $1", c.Id) }
		}
		both := []string{fmt.Sprintf("delete character:%d characters:%s", c.Id, user)}
		for _, test := range []struct {
			name    string
			prepare func()
			call    func() error
			want    cost
		}{
			{"a cached get", know, get, cost{}},
			{"a cached list", know, list, cost{}},
			{"an uncached get", forget, get, cost{Queries: []string{"SELECT"}}},
			{"an uncached list", forget, list, cost{Queries: []string{"SELECT"}}},
			{"a full list", forget, func() error {
				_, err := e.GetCharacterList(t.Context(), &databasev1.GetCharacterListRequest{UserId: user, View: full})
				return err
			}, cost{Queries: []string{"SELECT"}}},
			{"a save", set("version = 1"), func() error {
				_, err := e.SaveCharacter(t.Context(), &databasev1.SaveCharacterRequest{CharacterId: c.Id, ExpectedVersion: 1, Money: proto.Int64(1)})
				return err
			}, cost{[]string{"UPDATE"}, both}},
			{"a mark", set("delete_at = NULL"), func() error {
				_, err := e.DeleteCharacter(t.Context(), &databasev1.DeleteCharacterRequest{UserId: user, CharacterId: c.Id})
				return err
			}, cost{[]string{"UPDATE"}, both}},
			{"a restore", set("delete_at = now() + interval '1 day'"), func() error {
				_, err := e.RestoreCharacter(t.Context(), &databasev1.RestoreCharacterRequest{UserId: user, CharacterId: c.Id})
				return err
			}, cost{[]string{"UPDATE"}, both}},
			{"a delete", set("deleted_at = NULL"), func() error {
				_, err := e.DeleteCharacter(t.Context(), &databasev1.DeleteCharacterRequest{UserId: user, CharacterId: c.Id, Mode: immediate})
				return err
			}, cost{[]string{"UPDATE"}, both}},
		} {
			t.Run(test.name, func(t *testing.T) {
				got := e.measure(t, n, test.prepare, test.call)
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("cost of %s (-want +got):\n%s", test.name, diff)
				}
			})
		}
		t.Run("a create", func(t *testing.T) {
			var made *databasev1.Character
			got := e.measure(t, n, func() {}, func() error {
				r, err := e.CreateCharacter(t.Context(), &databasev1.CreateCharacterRequest{UserId: user, Name: newName(), RequestId: newUUID()})
				made = r.GetCharacter()
				return err
			})
			want := cost{[]string{"INSERT"}, []string{fmt.Sprintf("delete character:%d characters:%s", made.GetId(), user)}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("cost of a create (-want +got):\n%s", diff)
			}
		})
	})
}

// measure returns what the call costs if Redis answers in time and no reader syncs.
func (e *env) measure(t *testing.T, n *testenv.Counter, prepare func(), call func() error) (c cost) {
	t.Helper()
	for range 10 {
		prepare()
		before := e.Program.Cache.Stats().RedisErrors
		n.Reset()
		err := call()
		if busy(faultOf(err)) || e.Program.Cache.Stats().RedisErrors != before || n.Syncs() > 0 {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, sql := range n.Queries() {
			c.Queries = append(c.Queries, strings.Fields(sql)[0])
		}
		c.Deletes = n.Commands("delete")
		return c
	}
	t.Fatal("Redis does not answer in time")
	return c
}
