package staff_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

const (
	byID        = databasev1.PlayerField_PLAYER_FIELD_USER_ID
	byUsername  = databasev1.PlayerField_PLAYER_FIELD_USERNAME
	byEmail     = databasev1.PlayerField_PLAYER_FIELD_EMAIL
	byCharacter = databasev1.PlayerField_PLAYER_FIELD_CHARACTER_NAME
	bySession   = databasev1.PlayerField_PLAYER_FIELD_SESSION_ID

	exact  = databasev1.PlayerMatch_PLAYER_MATCH_EXACT
	prefix = databasev1.PlayerMatch_PLAYER_MATCH_PREFIX
)

// found describes players as "FIELD user" or "FIELD user character state".
func (e *env) found(t *testing.T, r *databasev1.FindPlayersRequest) (all []string) {
	t.Helper()
	for _, p := range must(t, e.FindPlayers, r).Players {
		text := strings.TrimPrefix(p.FoundBy.String(), "PLAYER_FIELD_") + " " + p.Name
		if p.UserRemoved {
			text += "(removed)"
		}
		if p.CharacterName != "" {
			text += " " + p.CharacterName + " " + strings.TrimPrefix(p.CharacterState.String(), "CHARACTER_STATE_")
		}
		all = append(all, text)
	}
	return all
}

func TestFindPlayers(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		anna, annabel, bert := e.AddUser(t, "Anna_k"), e.AddUser(t, "Annabel"), e.AddUser(t, "Bert")
		session, _ := e.AddSession(t, bert, time.Hour)
		e.create(t, bert, "Zanna")
		e.create(t, bert, "Annihilator")
		e.deleted(t, annabel, "Anna-Lost")
		e.expired(t, annabel, "Anna-Late")
		marked := e.create(t, annabel, "Anna-Soon")
		must(t, e.characters.DeleteCharacter, &databasev1.DeleteCharacterRequest{UserId: annabel, CharacterId: marked.Id})
		removed := e.AddUser(t, "Removed")
		e.create(t, removed, "Anna-Free")
		e.WebExec(t, `DELETE FROM {user} WHERE id::text = $1`, removed)
		forgotten := e.deleted(t, bert, "Anna-Old")
		e.OwnerExec(t, `UPDATE game.character SET deleted_at = now() - interval '31 days' WHERE id = $1`, forgotten.Id)
		bySessionID := []string{"SESSION_ID Bert"}
		if e.SerialIDs() {
			bySessionID = nil
		}
		for what, test := range map[string]struct {
			request *databasev1.FindPlayersRequest
			want    []string
		}{
			"id":                      {&databasev1.FindPlayersRequest{Query: anna, By: byID}, []string{"USER_ID Anna_k"}},
			"id, by any field":        {&databasev1.FindPlayersRequest{Query: anna, Match: exact}, []string{"USER_ID Anna_k"}},
			"no id":                   {&databasev1.FindPlayersRequest{Query: "nobody", By: byID}, nil},
			"username":                {&databasev1.FindPlayersRequest{Query: "ANNA_K", By: byUsername, Match: exact}, []string{"USERNAME Anna_k"}},
			"username, prefix":        {&databasev1.FindPlayersRequest{Query: "aNNa", By: byUsername}, []string{"USERNAME Anna_k", "USERNAME Annabel"}},
			"username, no substring":  {&databasev1.FindPlayersRequest{Query: "nnabel", By: byUsername}, nil},
			"username, no pattern":    {&databasev1.FindPlayersRequest{Query: "a%", By: byUsername}, nil},
			"username, not as exact":  {&databasev1.FindPlayersRequest{Query: "Anna", By: byUsername, Match: exact}, nil},
			"e-mail":                  {&databasev1.FindPlayersRequest{Query: "Bert@Example.com", By: byEmail, Match: exact}, []string{"EMAIL Bert"}},
			"e-mail, prefix":          {&databasev1.FindPlayersRequest{Query: "annab", By: byEmail}, []string{"EMAIL Annabel"}},
			"e-mail, by any field":    {&databasev1.FindPlayersRequest{Query: "bert@"}, []string{"EMAIL Bert"}},
			"character":               {&databasev1.FindPlayersRequest{Query: "ANNIHILATOR", By: byCharacter, Match: exact}, []string{"CHARACTER_NAME Bert Annihilator ACTIVE"}},
			"character, no substring": {&databasev1.FindPlayersRequest{Query: "nnihil", By: byCharacter}, nil},
			"character, too long":     {&databasev1.FindPlayersRequest{Query: strings.Repeat("a", 21), By: byCharacter}, nil},
			"session":                 {&databasev1.FindPlayersRequest{Query: session, By: bySession}, bySessionID},
			"no session":              {&databasev1.FindPlayersRequest{Query: "nothing", By: bySession}, nil},
			"characters, with deleted": {&databasev1.FindPlayersRequest{Query: "anna", By: byCharacter, Match: prefix}, []string{
				"CHARACTER_NAME (removed) Anna-Free DELETED", "CHARACTER_NAME Annabel Anna-Late DELETED", "CHARACTER_NAME Annabel Anna-Lost DELETED",
				"CHARACTER_NAME Annabel Anna-Soon PENDING_DELETION",
			}},
		} {
			if diff := cmp.Diff(test.want, e.found(t, test.request)); diff != "" {
				t.Errorf("%s: FindPlayers(%v) (-want +got):\n%s", what, test.request, diff)
			}
		}
	})
	e := one(t)
	t.Run("pages", func(t *testing.T) {
		t.Parallel()
		for i := range 23 {
			e.AddUser(t, fmt.Sprintf("Many%02d", i))
		}
		for limit, want := range map[int32]int{0: 20, 5: 5, 23: 23, 100: 23} {
			got := must(t, e.FindPlayers, &databasev1.FindPlayersRequest{Query: "many", Limit: limit})
			if len(got.Players) != want || got.More != (want < 23) {
				t.Errorf("limit %d: %d players, more: %t", limit, len(got.Players), got.More)
			}
		}
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		for want, requests := range map[fault][]*databasev1.FindPlayersRequest{
			argument("query"): {{}, {Query: "a\x00"}, {Query: strings.Repeat("x", 257)}},
			argument("by"):    {{Query: "a", By: 9}},
			argument("match"): {{Query: "a", Match: 9}, {Query: "a", By: byID, Match: prefix}, {Query: "a", By: bySession, Match: prefix}},
			argument("limit"): {{Query: "a", Limit: -1}, {Query: "a", Limit: 101}},
		} {
			for _, r := range requests {
				wantFault(t, e.FindPlayers, r, want)
			}
		}
	})
}

func TestGetPlayer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		user := e.AddUser(t, "Player")
		kept, gone := e.create(t, user, newName()), e.deleted(t, user, newName())
		if e.Plugins() {
			e.WebExec(t, `UPDATE {user} SET [banned] = true, [banReason] = 'cheating', [banExpires] = now() + interval '1 hour' WHERE id::text = $1`, user)
		}
		live, _ := e.AddSession(t, user, time.Hour)
		e.AddSession(t, user, -time.Hour)
		other := e.AddUser(t, "Other")
		e.AddSession(t, other, time.Hour)
		got := must(t, e.GetPlayer, &databasev1.GetPlayerRequest{UserId: user})
		if u := got.User; u.Id != user || u.Name != "Player" || u.Banned != e.Plugins() || u.Email != "" || u.BanReason != "" || got.MaxSlots != slots {
			t.Errorf("GetPlayer without a reason = %v", got)
		}
		if s := got.Sessions; len(s) != 1 || s[0].Id != live || s[0].IpAddress != "" || s[0].UserAgent != "" || s[0].ExpiresInSeconds < 1 {
			t.Errorf("sessions = %v, want the live one without personal fields", s)
		}
		if c := got.Characters; len(c) != 2 || c[0].Id != kept.Id || c[1].Id != gone.Id || c[0].Money != 77 || c[0].Level != 9 || c[1].DeletedAt == nil {
			t.Errorf("characters = %v, want the one that is there first", c)
		}
		personal := must(t, e.GetPlayer, &databasev1.GetPlayerRequest{UserId: user, Reason: why})
		if personal.User.Email == "" || personal.Sessions[0].IpAddress == "" || personal.Sessions[0].UserAgent == "" || personal.User.BanReason != map[bool]string{true: "cheating"}[e.Plugins()] {
			t.Errorf("GetPlayer with a reason = %v, want the personal fields", personal)
		}
		e.WebExec(t, `DELETE FROM {user} WHERE id::text = $1`, user)
		if got := must(t, e.GetPlayer, &databasev1.GetPlayerRequest{UserId: user}); got.User != nil || len(got.Characters) != 2 {
			t.Errorf("GetPlayer of a removed user = %v, want the characters alone", got)
		}
		wantFault(t, e.GetPlayer, &databasev1.GetPlayerRequest{UserId: "nobody"}, userNotFound)
		wantFault(t, e.GetPlayer, &databasev1.GetPlayerRequest{UserId: "nobody", Reason: why}, userNotFound)
		wantFault(t, e.GetPlayer, &databasev1.GetPlayerRequest{}, argument("user_id"))
		wantFault(t, e.GetPlayer, &databasev1.GetPlayerRequest{UserId: user, Reason: strings.Repeat("x", 501)}, argument("reason"))
	})
}

// TestWithoutTheRole serves StaffService by a login that lacks the group role.
func TestWithoutTheRole(t *testing.T) {
	t.Parallel()
	base := testenv.New(t, testenv.Variants[0], "miniredis")
	with := start(t, base)
	user := with.user(t)
	c := with.create(t, user, newName())
	without := startAs(t, base, base.Program)
	setup := fault{code: "unavailable", reason: "DATABASE_MISCONFIGURED"}
	wantFault(t, without.GetPlayer, &databasev1.GetPlayerRequest{UserId: user}, setup)
	wantFault(t, without.RenameCharacter, &databasev1.RenameCharacterRequest{CharacterId: c.Id, NewName: newName(), Reason: why}, setup)
	wantFault(t, without.AddNote, &databasev1.AddNoteRequest{UserId: user, Text: "x"}, setup)
	wantFault(t, without.ListAudit, &databasev1.ListAuditRequest{}, setup)
	if got := with.player(t, user)[c.Id].Name; got != c.Name {
		t.Errorf("the name is %s, want it unchanged", got)
	}
}
