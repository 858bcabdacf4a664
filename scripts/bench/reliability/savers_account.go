package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

// account is a character as its writer knows it. Each save adds 1 to its money and its play time.
type account struct {
	mu             sync.Mutex // for callers that share an account
	character      int64
	version, money int64
	pending        *databasev1.SaveCharacterRequest // a save whose result is not known yet
	added          int                              // acknowledged saves
}

func (w *world) newAccounts(ctx context.Context, c databasev1.CharacterDbService, characters []int64) ([]*account, error) {
	var all []*account
	for _, id := range characters {
		a := &account{character: id}
		if err := a.read(ctx, c); err != nil {
			return nil, fmt.Errorf("read character %d: %w", id, err)
		}
		all = append(all, a)
	}
	return all, nil
}

func (a *account) read(ctx context.Context, c databasev1.CharacterDbService) error {
	r, err := c.GetCharacter(ctx, &databasev1.GetCharacterRequest{CharacterId: a.character})
	if err == nil {
		a.version, a.money = r.Character.Version, r.Character.Money
	}
	return err
}

// add makes the next save, or retries the last one if its result is not known.
func (a *account) add(ctx context.Context, c databasev1.CharacterDbService) error {
	if a.pending == nil {
		money := a.money + 1
		a.pending = &databasev1.SaveCharacterRequest{
			CharacterId: a.character, ExpectedVersion: a.version, SaveId: newUUID(), Money: &money, AddPlaySeconds: 1,
		}
	}
	r, err := c.SaveCharacter(ctx, a.pending)
	if err == nil {
		a.version, a.money, a.pending = r.Version, *a.pending.Money, nil
		a.added++
	}
	return err
}

func isMismatch(err error) bool {
	e, ok := errors.AsType[twirp.Error](err)
	return ok && e.Meta("reason") == "VERSION_MISMATCH"
}

func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// totals returns the sums of these characters in the database.
func (w *world) totals(ctx context.Context, characters []int64) (money, seconds int64, err error) {
	row := w.DB.QueryRow(ctx, "SELECT sum(money)::bigint, sum(play_seconds)::bigint FROM game.character WHERE id = ANY ($1)", characters)
	err = row.Scan(&money, &seconds)
	return money, seconds, err
}
