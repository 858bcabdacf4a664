package staff_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/staff"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestPlans checks that each statement uses the index that makes it fast. Its tables are small, so PostgreSQL must prefer indexes.
func TestPlans(t *testing.T) {
	t.Parallel()
	d := testenv.NewDatabase(t, "plugins")
	conn, err := pgx.ConnectConfig(t.Context(), d.Owner.Config().ConnConfig.Copy())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	if _, err := conn.Exec(t.Context(), `SET enable_seqscan = off`); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		sql  string
		want []string
	}{
		"user by id":            {staff.FindUserByIDSQL, []string{"user_pkey"}},
		"user by username":      {staff.FindUserByUsernameSQL, []string{"user_username_key"}},
		"user by its prefix":    {staff.FindUserByUsernamePrefixSQL, []string{"user_username_key"}},
		"user by e-mail":        {staff.FindUserByEmailSQL, []string{"user_email_key"}},
		"user by its beginning": {staff.FindUserByEmailPrefixSQL, []string{"user_email_key"}},
		"character":             {staff.FindCharacterSQL, []string{"character_name_key", "character_gone"}},
		"characters of a user":  {staff.SelectCharactersSQL, []string{"character_slot", "character_gone"}},
		"audit":                 {staff.SelectAuditSQL, []string{"audit_pkey"}},
		"audit of a user":       {staff.SelectAuditOfUserSQL, []string{"audit_user", "audit_from_user"}},
		"audit of a character":  {staff.SelectAuditOfCharacterSQL, []string{"audit_character"}},
		"audit of a caller":     {staff.SelectAuditOfWhoSQL, []string{"audit_who"}},
		"notes":                 {staff.SelectNotesSQL, []string{"note_user"}},
	} {
		args := pgx.NamedArgs{
			"query": "anna", "lower": "anna", "upper": "ANNA", "most": 21, "name": "anna", "last": "anna\uffff",
			"user_id": "u1", "character_id": 1, "who": "w", "before": 0, "limit": 20,
		}
		rows, err := conn.Query(t.Context(), "EXPLAIN "+test.sql, args)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		plan := strings.Join(lines, "\n")
		for _, index := range test.want {
			if !strings.Contains(plan, index) {
				t.Errorf("%s: the plan does not use %s:\n%s", name, index, plan)
			}
		}
		if strings.Contains(plan, "Seq Scan") {
			t.Errorf("%s: a sequential scan:\n%s", name, plan)
		}
	}
}
