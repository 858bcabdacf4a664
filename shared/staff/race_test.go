package staff_test

import (
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestReplays repeats each change with its request_id, with other content, and many times at once.
func TestReplays(t *testing.T) {
	t.Parallel()
	e := one(t)
	user, other := e.user(t), e.user(t)
	c := e.deleted(t, user, newName())
	name := newName()
	back := &databasev1.UndeleteCharacterRequest{CharacterId: c.Id, Reason: why, RequestId: newUUID()}
	rename := &databasev1.RenameCharacterRequest{CharacterId: c.Id, NewName: name, Reason: why, RequestId: newUUID()}
	transfer := &databasev1.TransferCharacterRequest{CharacterId: c.Id, FromUserId: user, ToUserId: other, Reason: why, RequestId: newUUID()}
	note := &databasev1.AddNoteRequest{UserId: user, Text: "a note", RequestId: newUUID()}
	for _, change := range []struct {
		what   string
		repeat func() bool // reports whether it was a replay
		alter  func()      // the same id with other content fails
	}{
		{"undelete", func() bool { return must(t, e.UndeleteCharacter, back).Replayed }, func() {
			r := proto.CloneOf(back)
			r.Reason = "another"
			wantFault(t, e.UndeleteCharacter, r, reused)
		}},
		{"rename", func() bool { return must(t, e.RenameCharacter, rename).Replayed }, func() {
			r := proto.CloneOf(rename)
			r.NewName = newName()
			wantFault(t, e.RenameCharacter, r, reused)
		}},
		{"transfer", func() bool { return must(t, e.TransferCharacter, transfer).Replayed }, func() {
			r := proto.CloneOf(transfer)
			r.Slot = proto.Int32(1)
			wantFault(t, e.TransferCharacter, r, reused)
		}},
		{"note", func() bool { return must(t, e.AddNote, note).Replayed }, func() {
			r := proto.CloneOf(note)
			r.Text = "another"
			wantFault(t, e.AddNote, r, reused)
		}},
	} {
		var all sync.WaitGroup
		var mu sync.Mutex
		first := 0
		for range 8 {
			all.Go(func() {
				replayed := change.repeat()
				mu.Lock()
				defer mu.Unlock()
				if !replayed {
					first++
				}
			})
		}
		all.Wait()
		// A call that timed out on a busy machine may have been the first.
		if first > 1 {
			t.Errorf("%s: %d of 8 requests with one id were the first", change.what, first)
		}
		change.alter()
	}
	if got := e.audit(t, c.Id); len(got) != 3 {
		t.Errorf("the audit has %d rows of 3 changes: %v", len(got), got)
	}
	if got := must(t, e.ListNotes, &databasev1.ListNotesRequest{UserId: user}).Notes; len(got) != 1 {
		t.Errorf("ListNotes = %v, want one", got)
	}
	wantFault(t, e.AddNote, &databasev1.AddNoteRequest{UserId: user, Text: why, RequestId: rename.RequestId}, reused)
}

// TestOneNameForTwo lets two characters race for one name, and two for the last slot.
func TestOneNameForTwo(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, base *testenv.Env) {
		e := start(t, base)
		name := newName()
		var ids []int64
		for range 6 {
			ids = append(ids, e.create(t, e.user(t), newName()).Id)
		}
		var all sync.WaitGroup
		results := make([]fault, len(ids))
		for i, id := range ids {
			all.Go(func() {
				_, err := patiently(t, e.RenameCharacter, &databasev1.RenameCharacterRequest{CharacterId: id, NewName: name, Reason: why, RequestId: newUUID()})
				results[i] = faultOf(err)
			})
		}
		all.Wait()
		done := 0
		for _, got := range results {
			switch got {
			case fault{}:
				done++
			case taken:
			default:
				t.Errorf("RenameCharacter = %v, want success or NAME_TAKEN", got)
			}
		}
		if done != 1 {
			t.Errorf("%d of %d characters have the name", done, len(ids))
		}
	})
}
