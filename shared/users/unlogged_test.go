package users_test

import (
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestUsersWithoutTrigger checks that users are cached for at most 10 s if the user table has no triggers.
func TestUsersWithoutTrigger(t *testing.T) {
	t.Parallel()
	for _, kind := range testenv.RedisKinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, "plugins")
			conn, err := d.Owner.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = migrations.Apply(t.Context(), conn.Conn(), migrations.Options{NoUserTrigger: true})
			conn.Release()
			if err != nil {
				t.Fatal(err)
			}
			e := testenv.NewOn(t, d, kind)
			c := client(t, e.Program)
			id := e.AddUser(t, "Player1")
			for range 2 {
				getUser(t, c, id)
			}
			if ttl := e.Redis.Client.PTTL(t.Context(), "user:"+id).Val(); ttl <= 0 || ttl > 10*time.Second {
				t.Errorf("TTL of user:%s = %v, want within (0, 10 s]", id, ttl)
			}
			if s := e.Program.Cache.Stats(); s.Hits != 1 {
				t.Errorf("%+v, want one hit", s)
			}
		})
	}
}
