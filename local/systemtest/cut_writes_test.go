package systemtest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/faultproxy"
)

// The steps between two cuts cut each message at another byte. full_e2e_test.go cuts a save and a restore after every byte.

func TestCutSave(t *testing.T) {
	t.Parallel()
	cutSave(t, 23, 13)
}

func cutSave(t *testing.T, sent, received int) {
	t.Helper()
	r := newCutRig(t)
	c := r.make(t)
	before := c.Version
	eachDirection(t, r, cutWrite{
		sent: sent, received: received,
		arrange: func(t *testing.T, n int) func(context.Context) error {
			before = r.truth(t)[c.Id].n
			request := &databasev1.SaveCharacterRequest{UserId: r.user, CharacterId: c.Id, ExpectedVersion: before, SaveId: cutUUID(n), Money: proto.Int64(int64(n))}
			return func(ctx context.Context) error {
				_, err := r.mine.characters.SaveCharacter(ctx, request)
				return err
			}
		},
		prepare: r.preparing(t, "VERSION_MISMATCH", func(ctx context.Context) error {
			_, err := r.mine.characters.SaveCharacter(ctx, &databasev1.SaveCharacterRequest{CharacterId: r.decoy.Id, ExpectedVersion: 1 << 40, Money: proto.Int64(1)})
			return err
		}),
		times: func(t *testing.T) int { return int(r.truth(t)[c.Id].n - before) },
	})
}

// TestCutSaveOnce saves without a save_id. A caller that gets no answer has to read whether the save was done.
func TestCutSaveOnce(t *testing.T) {
	t.Parallel()
	r := newCutRig(t)
	c := r.make(t)
	before := c.Version
	saved := func(t *testing.T) int { return int(r.truth(t)[c.Id].n - before) }
	eachDirection(t, r, cutWrite{
		sent: 31, received: 13,
		arrange: func(t *testing.T, n int) func(context.Context) error {
			before = r.truth(t)[c.Id].n
			return func(ctx context.Context) error {
				if saved(t) > 0 {
					return nil
				}
				_, err := r.mine.characters.SaveCharacter(ctx, &databasev1.SaveCharacterRequest{UserId: r.user, CharacterId: c.Id, ExpectedVersion: before, Money: proto.Int64(1)})
				return err
			}
		},
		prepare: r.preparing(t, "VERSION_MISMATCH", func(ctx context.Context) error {
			_, err := r.mine.characters.SaveCharacter(ctx, &databasev1.SaveCharacterRequest{CharacterId: r.decoy.Id, ExpectedVersion: 1 << 40, Money: proto.Int64(1)})
			return err
		}),
		times: saved,
	})
}

func TestCutCreate(t *testing.T) {
	t.Parallel()
	r := newCutRig(t)
	eachDirection(t, r, cutWrite{
		sent: 47, received: 83,
		arrange: func(t *testing.T, n int) func(context.Context) error {
			r.changed(t, `DELETE FROM game.character WHERE user_id = $1`, r.user)
			request := &databasev1.CreateCharacterRequest{UserId: r.user, Name: newName(), RequestId: cutUUID(n)}
			return func(ctx context.Context) error {
				_, err := r.mine.characters.CreateCharacter(ctx, request)
				return err
			}
		},
		prepare: r.preparing(t, "NAME_TAKEN", func(ctx context.Context) error {
			_, err := r.mine.characters.CreateCharacter(ctx, &databasev1.CreateCharacterRequest{UserId: r.decoy.UserId, Name: r.decoy.Name})
			return err
		}),
		times: func(t *testing.T) int { return len(r.ids(t)) },
	})
}

func TestCutDelete(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]databasev1.DeleteMode{
		"immediate": databasev1.DeleteMode_DELETE_MODE_IMMEDIATE,
		"scheduled": databasev1.DeleteMode_DELETE_MODE_SCHEDULED,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newCutRig(t)
			c := r.make(t)
			eachDirection(t, r, cutWrite{
				sent: 29, received: 83,
				arrange: func(t *testing.T, n int) func(context.Context) error {
					r.reset(t, c, `NULL`)
					return func(ctx context.Context) error {
						_, err := r.mine.characters.DeleteCharacter(ctx, &databasev1.DeleteCharacterRequest{UserId: r.user, CharacterId: c.Id, Mode: mode})
						return err
					}
				},
				prepare: r.preparing(t, "NAME_MISMATCH", func(ctx context.Context) error {
					_, err := r.mine.characters.DeleteCharacter(ctx, &databasev1.DeleteCharacterRequest{UserId: r.decoy.UserId, CharacterId: r.decoy.Id, Mode: mode, ExpectedName: "another"})
					return err
				}),
				times: func(t *testing.T) int { return r.changes(t, c) },
			})
		})
	}
}

func TestCutRestore(t *testing.T) {
	t.Parallel()
	cutRestore(t, 23, 53)
}

func cutRestore(t *testing.T, sent, received int) {
	t.Helper()
	r := newCutRig(t)
	c := r.make(t)
	eachDirection(t, r, cutWrite{
		sent: sent, received: received,
		arrange: func(t *testing.T, n int) func(context.Context) error {
			r.reset(t, c, `now() + interval '1 day'`)
			return func(ctx context.Context) error {
				_, err := r.mine.characters.RestoreCharacter(ctx, &databasev1.RestoreCharacterRequest{UserId: r.user, CharacterId: c.Id})
				return err
			}
		},
		prepare: r.preparing(t, "", func(ctx context.Context) error {
			_, err := r.mine.characters.RestoreCharacter(ctx, &databasev1.RestoreCharacterRequest{UserId: r.decoy.UserId, CharacterId: r.decoy.Id})
			return err
		}),
		times: func(t *testing.T) int { return r.changes(t, c) },
	})
}

func TestCutRefresh(t *testing.T) {
	t.Parallel()
	r := newCutRig(t)
	var id string
	refresh := func(ctx context.Context, id string) error {
		_, err := r.mine.sessions.RefreshSession(ctx, &databasev1.RefreshSessionRequest{Session: &databasev1.RefreshSessionRequest_SessionId{SessionId: id}})
		return err
	}
	eachDirection(t, r, cutWrite{
		sent: 37, received: 47,
		arrange: func(t *testing.T, n int) func(context.Context) error {
			id, _ = r.AddSession(t, r.user, 10*time.Minute)
			return func(ctx context.Context) error { return refresh(ctx, id) }
		},
		prepare: r.preparing(t, "", func(ctx context.Context) error {
			decoy, _ := r.AddSession(t, r.user, 10*time.Minute)
			return refresh(ctx, decoy)
		}),
		times: func(t *testing.T) int {
			// A second refresh would not move the expiry further, so this counts at most one.
			var moved bool
			if err := r.Owner.QueryRow(t.Context(), r.Expand(`SELECT [expiresAt] > now() + interval '50 minutes' FROM {session} WHERE id = $1`), id).Scan(&moved); err != nil {
				t.Fatal(err)
			}
			if moved {
				return 1
			}
			return 0
		},
	})
}

func eachDirection(t *testing.T, r *cutRig, w cutWrite) {
	t.Helper()
	t.Run("sent", func(t *testing.T) { w.run(t, r, faultproxy.Sent) })
	t.Run("received", func(t *testing.T) { w.run(t, r, faultproxy.Received) })
}

// preparing returns a function that checks that a call is answered with reason, "" for success.
func (r *cutRig) preparing(t *testing.T, reason string, call func(context.Context) error) func(context.Context) error {
	return func(context.Context) error {
		if err := patientlyDo(t, call); faultOf(err).reason != reason {
			return fmt.Errorf("%v, want %q", err, reason)
		}
		return nil
	}
}

func (r *cutRig) make(t *testing.T) *databasev1.Character {
	t.Helper()
	made, err := patiently(t, r.others.characters.CreateCharacter, &databasev1.CreateCharacterRequest{UserId: r.user, Name: newName()})
	if err != nil {
		t.Fatal(err)
	}
	r.known = append(r.known, made.Character.Id)
	return made.Character
}

// reset restores a character at version 1 with the SQL expression deleteAt as its deletion time.
func (r *cutRig) reset(t *testing.T, c *databasev1.Character, deleteAt string) {
	t.Helper()
	r.changed(t, `UPDATE game.character SET deleted_at = NULL, version = 1, delete_at = `+deleteAt+` WHERE id = $1`, c.Id)
}

// changes returns how many times the character was changed since reset.
func (r *cutRig) changes(t *testing.T, c *databasev1.Character) (n int) {
	t.Helper()
	if err := r.Owner.QueryRow(t.Context(), `SELECT version - 1 FROM game.character WHERE id = $1`, c.Id).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func cutUUID(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }
