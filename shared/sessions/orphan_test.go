package sessions_test

import (
	"testing"

	"github.com/osirose-new/database-service/shared/testenv"
)

// TestSessionWithoutUser removes a user whose session no foreign key removes. better-auth does not accept such a session.
func TestSessionWithoutUser(t *testing.T) {
	t.Parallel()
	testenv.Each(t, func(t *testing.T, e *testenv.Env) {
		user, id, token := addSession(t, e, "1 hour")
		e.WebExec(t, `DO $$ DECLARE key name; BEGIN
			FOR key IN SELECT conname FROM pg_constraint WHERE conrelid = '{session}'::regclass AND contype = 'f' LOOP
				EXECUTE format('ALTER TABLE {session} DROP CONSTRAINT %I', key);
			END LOOP; END $$`)
		c := client(t, e.Program, nil)
		if _, err := c.GetSession(t.Context(), byToken(token)); err != nil {
			t.Fatalf("GetSession: %v", err)
		}
		e.WebExec(t, "DELETE FROM {user} WHERE id::text = $1", user)
		_, err := c.GetSession(t.Context(), byToken(token))
		wantReason(t, "GetSession of a removed user", err, "SESSION_NOT_FOUND")
		_, err = c.RefreshSession(t.Context(), refreshToken(token))
		wantReason(t, "RefreshSession of a removed user", err, "SESSION_NOT_FOUND")
		if !e.SerialIDs() {
			_, err = c.GetSession(t.Context(), byID(id))
			wantReason(t, "GetSession by id of a removed user", err, "SESSION_NOT_FOUND")
		}
	})
}
