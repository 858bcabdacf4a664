package staff_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/faultproxy"
)

// TestAuditIsComplete makes each change and compares it with its row.
func TestAuditIsComplete(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		user, other, name, newer := e.user(t), e.user(t), newName(), newName()
		c := e.deleted(t, user, name)
		must(t, e.UndeleteCharacter, &databasev1.UndeleteCharacterRequest{CharacterId: c.Id, Slot: proto.Int32(2), Reason: "back", RequestId: newUUID()})
		must(t, e.RenameCharacter, &databasev1.RenameCharacterRequest{CharacterId: c.Id, NewName: newer, Reason: "renamed", RequestId: newUUID()})
		must(t, e.TransferCharacter, &databasev1.TransferCharacterRequest{CharacterId: c.Id, FromUserId: user, ToUserId: other, Reason: "moved", RequestId: newUUID()})
		must(t, e.AddNote, &databasev1.AddNoteRequest{UserId: user, Text: "noted", RequestId: newUUID()})
		must(t, e.GetPlayer, &databasev1.GetPlayerRequest{UserId: user, Reason: "looked"})
		must(t, e.GetPlayer, &databasev1.GetPlayerRequest{UserId: user}) // no personal fields, no row
		wantFault(t, e.RenameCharacter, &databasev1.RenameCharacterRequest{CharacterId: c.Id, NewName: newer, ExpectedName: name, Reason: "not done"},
			fault{code: twirp.FailedPrecondition, reason: "NAME_MISMATCH"})
		type row struct {
			Action, Who, Reason, UserID string
			CharacterID                 int64
			Before, After               map[string]any
		}
		var got []row
		for _, a := range must(t, e.ListAudit, &databasev1.ListAuditRequest{Of: &databasev1.ListAuditRequest_UserId{UserId: user}}).Entries {
			r := row{a.Action, a.Who, a.Reason, a.UserId, a.CharacterId, a.Before.AsMap(), a.After.AsMap()}
			delete(r.After, "note_id")
			if r.Before["deleted_at"] != nil {
				r.Before["deleted_at"] = "then"
			}
			got = append(got, r)
		}
		const who = "anyone"
		none := map[string]any{}
		want := []row{
			{"GetPlayer", who, "looked", user, 0, none, none},
			{"AddNote", who, "", user, 0, none, none},
			{"TransferCharacter", who, "moved", other, c.Id, map[string]any{"user_id": user, "slot": 2.}, map[string]any{"user_id": other, "slot": 0.}},
			{"RenameCharacter", who, "renamed", user, c.Id, map[string]any{"name": name}, map[string]any{"name": newer}},
			{"UndeleteCharacter", who, "back", user, c.Id, map[string]any{"name": name, "slot": 0., "deleted_at": "then"}, map[string]any{"name": name, "slot": 2.}},
		}
		without := []string{"FindPlayers", "ListNotes", "ListAudit"} // they return no personal fields
		methods := databasev1.File_osirose_database_v1_staff_proto.Services().ByName("StaffService").Methods()
		for i := range methods.Len() {
			name := string(methods.Get(i).Name())
			if !slices.Contains(without, name) && !slices.ContainsFunc(want, func(r row) bool { return r.Action == name }) {
				t.Errorf("%s is neither made here nor known to need no audit", name)
			}
		}
		// A read that timed out on a busy machine may have written its row.
		for len(got) > len(want) && got[1].Action == "GetPlayer" {
			got = got[1:]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ListAudit (-want +got):\n%s", diff)
		}
		if got := must(t, e.ListAudit, &databasev1.ListAuditRequest{Of: &databasev1.ListAuditRequest_UserId{UserId: other}}).Entries; len(got) != 1 || got[0].Action != "TransferCharacter" {
			t.Errorf("the audit of the new owner = %v, want the transfer", got)
		}
	})
}

// TestNothingBetween cuts the connection to PostgreSQL at many points of a change, as if the process had died there: there is the change and
// its row, or neither.
func TestNothingBetween(t *testing.T) {
	t.Parallel()
	for name, direction := range map[string]faultproxy.Direction{"what is sent": faultproxy.Sent, "what is received": faultproxy.Received} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := one(t)
			user := e.user(t)
			c := e.create(t, user, newName())
			changes := 0
			for n := 0; ; n += 61 {
				to := newName()
				cut := e.PGProxy.CutAfter(direction, n)
				_, _ = e.RenameCharacter(t.Context(), &databasev1.RenameCharacterRequest{CharacterId: c.Id, NewName: to, Reason: why})
				happened, _ := cut.Happened()
				e.PGProxy.CutAfter(direction, 1<<30)
				if e.player(t, user)[c.Id].Name == to {
					changes++
				}
				if rows := e.rows(t, c.Id); rows != changes {
					t.Fatalf("cut after %d bytes: %d changes and %d rows", n, changes, rows)
				}
				if !happened {
					break
				}
			}
			if changes == 0 {
				t.Error("nothing was changed, also without a cut")
			}
		})
	}
}

// rows counts the audit of a character.
func (e *env) rows(t *testing.T, id int64) (n int) {
	t.Helper()
	if err := e.Owner.QueryRow(t.Context(), `SELECT count(*) FROM game.audit WHERE character_id = $1`, id).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestAuditStays tries what a login of the service could do to the audit.
func TestAuditStays(t *testing.T) {
	t.Parallel()
	e := one(t)
	user := e.user(t)
	must(t, e.AddNote, &databasev1.AddNoteRequest{UserId: user, Text: "noted", RequestId: newUUID()})
	for _, sql := range []string{
		`UPDATE game.audit SET who = 'x'`, `DELETE FROM game.audit`, `TRUNCATE game.audit`, `INSERT INTO game.audit (at, who, action, user_id, reason) VALUES (now(), 'x', 'x', 'x', 'x')`,
		`UPDATE game.note SET text = 'x'`, `DELETE FROM game.note`, `SELECT setval('game.audit_id_seq', 1)`,
	} {
		_, err := e.Owner.Exec(t.Context(), `SET ROLE game_and_staff; `+sql)
		if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.Code != "42501" {
			t.Errorf("%s: %v, want SQLSTATE 42501", sql, err)
		}
		e.OwnerExec(t, `RESET ROLE`)
	}
}

func TestNotesAndPages(t *testing.T) {
	t.Parallel()
	e := one(t)
	user := e.user(t)
	for _, text := range []string{"one", "two", "three"} {
		got := must(t, e.AddNote, &databasev1.AddNoteRequest{UserId: user, Text: text, RequestId: newUUID()}).Note
		if got.Text != text || got.UserId != user || got.Who != "anyone" || got.At == nil {
			t.Errorf("AddNote = %v", got)
		}
	}
	texts := func(limit int32, before int64) (all []string, last int64) {
		for _, n := range must(t, e.ListNotes, &databasev1.ListNotesRequest{UserId: user, Limit: limit, Before: before}).Notes {
			all, last = append(all, n.Text), n.Id
		}
		return all, last
	}
	page, last := texts(2, 0)
	rest, _ := texts(2, last)
	if diff := cmp.Diff([]string{"three", "two", "one"}, append(page, rest...)); diff != "" {
		t.Errorf("ListNotes in two pages (-want +got):\n%s", diff)
	}
	var actions int
	for before := int64(0); ; {
		entries := must(t, e.ListAudit, &databasev1.ListAuditRequest{Of: &databasev1.ListAuditRequest_Who{Who: "anyone"}, Limit: 2, Before: before}).Entries
		if len(entries) == 0 {
			break
		}
		actions += len(entries)
		before = entries[len(entries)-1].Id
	}
	if all := must(t, e.ListAudit, &databasev1.ListAuditRequest{}).Entries; actions != 3 || len(all) != 3 {
		t.Errorf("the audit has %d rows in pages and %d in all, want 3", actions, len(all))
	}
	for want, requests := range map[fault][]*databasev1.AddNoteRequest{
		userNotFound:           {{UserId: "nobody", Text: "x"}},
		argument("user_id"):    {{Text: "x"}},
		argument("text"):       {{UserId: user}, {UserId: user, Text: "a\x00"}, {UserId: user, Text: strings.Repeat("x", 2001)}},
		argument("request_id"): {{UserId: user, Text: "x", RequestId: "1"}},
	} {
		for _, r := range requests {
			wantFault(t, e.AddNote, r, want)
		}
	}
	wantFault(t, e.ListNotes, &databasev1.ListNotesRequest{}, argument("user_id"))
	wantFault(t, e.ListNotes, &databasev1.ListNotesRequest{UserId: user, Limit: 101}, argument("limit"))
	wantFault(t, e.ListNotes, &databasev1.ListNotesRequest{UserId: user, Before: -1}, argument("before"))
	for want, r := range map[fault]*databasev1.ListAuditRequest{
		argument("user_id"):      {Of: &databasev1.ListAuditRequest_UserId{}},
		argument("character_id"): {Of: &databasev1.ListAuditRequest_CharacterId{}},
		argument("who"):          {Of: &databasev1.ListAuditRequest_Who{Who: "a\x00"}},
		argument("limit"):        {Limit: -1},
		argument("before"):       {Before: -1},
	} {
		wantFault(t, e.ListAudit, r, want)
	}
}
