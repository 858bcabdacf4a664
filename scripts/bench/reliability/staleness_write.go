package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
)

const renameSQL = `UPDATE "user" SET name = $2, "updatedAt" = now() WHERE id = $1`

// writeUsers writes as the web application does: directly to the database.
func (l *load) writeUsers(ctx context.Context, mine []*entity) {
	calls := context.WithoutCancel(ctx)
	for testbed.Pause(ctx, rand.N(writePause)) {
		e := mine[rand.IntN(len(mine))]
		e.version++ // never used again, even if this write fails
		e.try(e.version)
		var err error
		if rand.IntN(4) == 0 {
			err = l.renameSlowly(calls, e)
		} else {
			_, err = l.w.DB.Exec(calls, renameSQL, e.user, strconv.Itoa(e.version))
		}
		if err != nil {
			continue // for example because PostgreSQL restarts
		}
		e.acknowledge(webApplication, e.version)
		t := l.phase.Load()
		t.mu.Lock()
		t.updates++
		t.mu.Unlock()
	}
}

// renameSlowly gets its transaction id long before it commits, so transactions do not commit in the order of their ids.
func (l *load) renameSlowly(ctx context.Context, e *entity) error {
	return pgx.BeginFunc(ctx, l.w.DB, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_current_xact_id()"); err != nil {
			return err
		}
		testbed.Pause(ctx, rand.N(100*time.Millisecond))
		if _, err := tx.Exec(ctx, renameSQL, e.user, strconv.Itoa(e.version)); err != nil {
			return err
		}
		testbed.Pause(ctx, rand.N(20*time.Millisecond))
		return nil
	})
}

// writeCharacters saves through a random process, and reads the character at once through each process.
func (l *load) writeCharacters(ctx context.Context, mine []*entity) {
	calls := context.WithoutCancel(ctx)
	for testbed.Pause(ctx, rand.N(writePause)) {
		e, by := mine[rand.IntN(len(mine))], rand.IntN(len(l.processes))
		if !l.save(calls, e, by) {
			l.recover(ctx, e)
			continue
		}
		for via := range l.processes {
			l.readCharacter(calls, via, e)
		}
	}
}

func (l *load) save(ctx context.Context, e *entity, by int) bool {
	e.try(e.version + 1)
	began, money := time.Since(l.start), int64(e.version)
	r, err := l.processes[by].characters.SaveCharacter(ctx,
		&databasev1.SaveCharacterRequest{CharacterId: e.character, ExpectedVersion: int64(e.version), Money: &money})
	if err != nil {
		te, ok := errors.AsType[twirp.Error](err)
		if lost := ok && te.Meta("reason") == "VERSION_MISMATCH"; !lost || !e.uncertain {
			l.failed(ctx, began, err)
		}
		return false
	}
	e.acknowledge(by, int(r.Version))
	e.version, e.uncertain = int(r.Version), false
	t := l.phase.Load()
	t.mu.Lock()
	t.saves++
	t.mu.Unlock()
	return true
}

// recover reads the version of an entity after a write whose result is unknown.
func (l *load) recover(ctx context.Context, e *entity) {
	e.uncertain = true
	for ctx.Err() == nil {
		row := l.w.DB.QueryRow(ctx, "SELECT version FROM game.character WHERE id = $1", e.character)
		if row.Scan(&e.version) == nil || !testbed.Pause(ctx, 20*time.Millisecond) {
			return
		}
	}
}
