package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

const (
	queryCalls   = 1000
	maxSyncs     = 4 // a second
	queryWorkers = 4 // few, so that no call to Redis exceeds its 50 ms on a busy CPU
)

// costs is a kind of call and its expected cost.
type costs struct {
	name                  string
	statements, deletions int
	once                  int // statements in the life of the process: how tokens are stored
	call                  call
}

func runQueries(ctx context.Context, w *world, _ options) (section, error) {
	pg, err := newWire(w.Postgres.Addr(), parsePostgres)
	if err != nil {
		return section{}, err
	}
	defer pg.Close()
	rd, err := newWire(w.Redis.Addr, parseRedis)
	if err != nil {
		return section{}, err
	}
	defer rd.Close()
	p, err := startServer(w, addresses{postgres: pg.Addr().String(), redis: rd.Addr().String()}, queryWorkers)
	if err != nil {
		return section{}, err
	}
	defer p.stop()
	if err := w.Redis.Client.FlushAll(ctx).Err(); err != nil {
		return section{}, err
	}
	return countAll(ctx, append(newCosts(w, p), newWriteCosts(w, p.characters(stack))...), pg, rd)
}

func countAll(ctx context.Context, list []costs, pg, rd *wire) (section, error) {
	s := section{title: "Statements and deletions per call", head: []string{"call", "calls", "statements", "want", "deletions", "want", "", "lookups in Redis",
		"leases and fills", "syncs: statements + scripts", "seconds"}}
	// The first reads find no watermark. The rows are about the later ones.
	for range 2 {
		if err := list[0].call(ctx, queryCalls); err != nil {
			return s, err
		}
	}
	all := true
	var d syncs
	for _, c := range list {
		ok, err := countCall(ctx, &s, pg, rd, c, &d)
		if err != nil {
			return s, fmt.Errorf("%s: %w", c.name, err)
		}
		all = all && ok
	}
	s.note("Counted on the wire between the server and PostgreSQL or Redis. BEGIN and COMMIT would count as statements.")
	s.note("Syncs of the watermark, counted separately: %d in %.1f s of cached reads, %.1f a second (goal: at most %d: %s).", d.n, d.time.Seconds(),
		float64(d.n)/d.time.Seconds(), maxSyncs, held(d.rare()))
	if !all || !d.rare() {
		return s, errMissed
	}
	return s, nil
}

func newCosts(w *world, p *process) []costs {
	users, sessions, characters := p.users(stack), p.sessions(stack), p.characters(stack)
	getUser := func(ctx context.Context, i int) error {
		_, err := users.GetUser(ctx, &databasev1.GetUserRequest{UserId: w.users[i]})
		return err
	}
	getCharacter := func(ctx context.Context, i int) error {
		_, err := characters.GetCharacter(ctx, &databasev1.GetCharacterRequest{CharacterId: w.characters[i]})
		return err
	}
	getList := func(ctx context.Context, i int) error {
		_, err := characters.GetCharacterList(ctx, &databasev1.GetCharacterListRequest{UserId: w.users[i]})
		return err
	}
	return []costs{
		{name: "GetUser, not cached", statements: 1, call: getUser},
		{name: "GetUser, cached", call: getUser},
		{name: "GetCharacter, not cached", statements: 1, call: getCharacter},
		{name: "GetCharacter, cached", call: getCharacter},
		{name: "GetCharacterList, not cached", statements: 1, call: getList},
		{name: "GetCharacterList, cached", call: getList},
		{name: "GetSession", statements: 1, once: 1, call: func(ctx context.Context, i int) error {
			_, err := sessions.GetSession(ctx, &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: w.tokens[i]}})
			return err
		}},
		{name: "GetUserBySession", statements: 1, once: 1, call: func(ctx context.Context, i int) error {
			_, err := users.GetUserBySession(ctx, &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: w.tokens[i]}})
			return err
		}},
	}
}

func newWriteCosts(w *world, characters databasev1.CharacterDbService) []costs {
	return []costs{
		{name: "CreateCharacter", statements: 1, deletions: 1, call: func(ctx context.Context, i int) error {
			_, err := characters.CreateCharacter(ctx, &databasev1.CreateCharacterRequest{UserId: w.users[withRoster+i], Name: fmt.Sprintf("Cost-%d", i)})
			return err
		}},
		{name: "SaveCharacter", statements: 1, deletions: 1, call: func(ctx context.Context, i int) error {
			_, err := characters.SaveCharacter(ctx, &databasev1.SaveCharacterRequest{UserId: w.users[i], CharacterId: w.characters[i], ExpectedVersion: 1, Money: new(int64(7))})
			return err
		}},
		{name: "DeleteCharacter", statements: 1, deletions: 1, call: func(ctx context.Context, i int) error {
			_, err := characters.DeleteCharacter(ctx, &databasev1.DeleteCharacterRequest{UserId: w.users[i], CharacterId: w.characters[i]})
			return err
		}},
		{name: "RestoreCharacter", statements: 1, deletions: 1, call: func(ctx context.Context, i int) error {
			_, err := characters.RestoreCharacter(ctx, &databasev1.RestoreCharacterRequest{UserId: w.users[i], CharacterId: w.characters[i]})
			return err
		}},
	}
}

// countCall makes the calls, each with a different argument, and adds their row.
func countCall(ctx context.Context, s *section, pg, rd *wire, c costs, d *syncs) (bool, error) {
	pause := time.Now()
	_, err1 := pg.take()
	_, err2 := rd.take()
	start := time.Now()
	if err := errors.Join(err1, err2, spread(ctx, queryWorkers, queryCalls, c.call)); err != nil {
		return false, err
	}
	took := time.Since(start)
	q, err1 := pg.take()
	r, err2 := rd.take()
	if r["HMGET"] > 0 { // the watermark ages in the pauses too
		d.n, d.time = d.n+q[syncStatements], d.time+time.Since(pause)
	}
	wanted := c.statements*queryCalls + c.once
	counted := q[statements] == wanted && r[deletions] == c.deletions*queryCalls
	s.row(c.name, queryCalls, q[statements], wanted, r[deletions], c.deletions*queryCalls, held(counted), r["HMGET"], r[scripts],
		fmt.Sprintf("%d + %d", q[syncStatements], r[syncScripts]), fmt.Sprintf("%.1f", took.Seconds()))
	return counted, errors.Join(err1, err2)
}

// syncs are the syncs of the watermark, which many reads share.
type syncs struct {
	n    int
	time time.Duration
}

func (d syncs) rare() bool { return float64(d.n) <= maxSyncs*d.time.Seconds()+1 }
