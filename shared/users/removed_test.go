package users_test

import (
	"testing"

	"github.com/osirose-new/database-service/shared/testenv"
)

// TestNameOfARemovedUser checks that a name finds its new user after the former one was removed, although the cached
// pointer is to the former one.
func TestNameOfARemovedUser(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		c := client(t, e.Program)
		former := e.AddUser(t, "Phoenix")
		for len(e.Redis.Client.Keys(t.Context(), "user:username:*").Val()) == 0 { // a busy Redis may miss the pointer
			if got, err := byUsername(t.Context(), c, "phoenix"); err != nil || got.Id != former {
				t.Fatalf("GetUserByUsername = %v, %v; want %s", got, err, former)
			}
		}
		e.WebExec(t, `DELETE FROM {user} WHERE id = $1`, former)
		next := e.AddUser(t, "Phoenix")
		settle(t, e)
		if got, err := byUsername(t.Context(), c, "phoenix"); err != nil || got.Id != next {
			t.Errorf("GetUserByUsername after the name was taken again = %v, %v; want %s", got, err, next)
		}
	})
}
