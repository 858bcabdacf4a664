package users_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

var (
	first = timestamppb.New(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC))
	last  = timestamppb.New(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC))
)

// TestOddTimes reads users and sessions with times that PostgreSQL has and a caller cannot get.
func TestOddTimes(t *testing.T) {
	t.Parallel()
	for _, schema := range []string{"plugins", "timestamp"} {
		for name, test := range map[string]struct {
			at     string // every time of the user and the session
			banned bool
			end    *timestamppb.Timestamp // of the ban
			made   *timestamppb.Timestamp
			live   bool
		}{
			"infinity":          {"infinity", true, nil, nil, true},
			"minus infinity":    {"-infinity", false, first, nil, false},
			"the year 20000":    {"20000-01-01", true, last, last, true},
			"before the year 1": {"0044-03-15 BC", false, first, first, false},
		} {
			t.Run(schema+"/"+name, func(t *testing.T) {
				t.Parallel()
				e := testenv.New(t, schema, "miniredis")
				id := e.AddUser(t, "Player")
				session, token := e.AddSession(t, id, time.Hour)
				e.WebExec(t, `UPDATE {user} SET banned = true, [banExpires] = '`+test.at+`', [createdAt] = '`+test.at+`', [updatedAt] = '`+test.at+`'`)
				e.WebExec(t, `UPDATE {session} SET [expiresAt] = '`+test.at+`', [createdAt] = '`+test.at+`', [updatedAt] = '`+test.at+`'`)
				c := client(t, e.Program)
				for _, when := range []string{"cold", "warm"} {
					u := getUser(t, c, id)
					if u.Banned != test.banned || !equal(u.BanExpiresAt, test.end) || !equal(u.CreatedAt, test.made) || !equal(u.UpdatedAt, test.made) {
						t.Errorf("%s: GetUser = %v, want banned: %t until %v, created %v", when, u, test.banned, test.end, test.made)
					}
					if _, err := protojson.Marshal(u); err != nil {
						t.Errorf("%s: the user in JSON: %v", when, err)
					}
				}
				r, err := c.GetUserBySession(t.Context(), &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: token}})
				if !test.live {
					wantCode(t, "GetUserBySession", err, "not_found", "SESSION_EXPIRED")
					return
				}
				if err != nil || r.Session.Id != session || !equal(r.Session.ExpiresAt, last) || !equal(r.Session.CreatedAt, test.made) || r.Session.ExpiresInSeconds <= 0 {
					t.Errorf("GetUserBySession = %v, %v; want the session until %v", r, err, last)
				}
			})
		}
	}
}

func equal(a, b *timestamppb.Timestamp) bool {
	return (a == nil) == (b == nil) && a.AsTime().Equal(b.AsTime())
}
