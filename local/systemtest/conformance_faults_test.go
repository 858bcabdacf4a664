package systemtest_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
)

// faulty has a valid request for every rpc, to send it during a fault.
type faulty struct {
	*conform
	calls  map[string]func(*clients) error // by rpc
	others map[request.Protocol]*clients   // for the comparison of the protocols
}

// newFaulty starts a separate store, because a fault affects every call on it.
func newFaulty(t *testing.T, s conformanceStore, seen *results) *faulty {
	t.Helper()
	e := testenv.New(t, testenv.Variants[0], s.redis, testenv.AlsoStaff)
	f := &faulty{conform: &conform{TB: t, Env: e, seen: seen, spoil: func(p *app.Program) { s.spoil(e, p) }}}
	f.clients = f.open(t, e.Program)
	f.others = seen.others(t, f.url)
	f.run(t, "", f.prepare)
	return f
}

// prepare creates what the requests name.
func (f *faulty) prepare(c *conform) {
	u := c.player()
	_, token := c.AddSession(c, u.Id, 10*time.Minute)
	hero, marked := c.hero(u.Id), c.hero(u.Id)
	ok(c, c.characters.DeleteCharacter, &databasev1.DeleteCharacterRequest{UserId: u.Id, CharacterId: marked.Id})
	ctx := c.Context()
	f.calls = map[string]func(*clients) error{
		"GetUser":           func(c *clients) error { return errorOf(c.users.GetUser(ctx, getUserRequest(u.Id))) },
		"GetUserByUsername": func(c *clients) error { return errorOf(c.users.GetUserByUsername(ctx, byUsername(u.Username))) },
		"GetUserByEmail":    func(c *clients) error { return errorOf(c.users.GetUserByEmail(ctx, byEmail(u.Email))) },
		"GetCharacter":      func(c *clients) error { return errorOf(c.characters.GetCharacter(ctx, getCharacter(hero.Id))) },
		"GetCharacterList":  func(c *clients) error { return errorOf(c.characters.GetCharacterList(ctx, listOf(u.Id))) },
		"CreateCharacter": func(c *clients) error {
			return errorOf(c.characters.CreateCharacter(ctx, heroRequest(u.Id, newName())))
		},
		"SaveCharacter": func(c *clients) error {
			return errorOf(c.characters.SaveCharacter(ctx, &databasev1.SaveCharacterRequest{CharacterId: hero.Id, ExpectedVersion: hero.Version, Level: proto.Int32(2)}))
		},
		"DeleteCharacter": func(c *clients) error {
			return errorOf(c.characters.DeleteCharacter(ctx, &databasev1.DeleteCharacterRequest{UserId: u.Id, CharacterId: hero.Id}))
		},
		"RestoreCharacter": func(c *clients) error {
			return errorOf(c.characters.RestoreCharacter(ctx, &databasev1.RestoreCharacterRequest{UserId: u.Id, CharacterId: marked.Id}))
		},
	}
	lost := c.lost(u.Id)
	for rpc, call := range map[string]func(*clients) error{
		"FindPlayers": func(c *clients) error {
			return errorOf(c.staff.FindPlayers(ctx, &databasev1.FindPlayersRequest{Query: u.Username}))
		},
		"GetPlayer": func(c *clients) error {
			return errorOf(c.staff.GetPlayer(ctx, &databasev1.GetPlayerRequest{UserId: u.Id}))
		},
		"UndeleteCharacter": func(c *clients) error {
			return errorOf(c.staff.UndeleteCharacter(ctx, &databasev1.UndeleteCharacterRequest{CharacterId: lost.Id, Reason: why}))
		},
		"RenameCharacter": func(c *clients) error {
			return errorOf(c.staff.RenameCharacter(ctx, &databasev1.RenameCharacterRequest{CharacterId: hero.Id, NewName: newName(), Reason: why}))
		},
		"TransferCharacter": func(c *clients) error {
			return errorOf(c.staff.TransferCharacter(ctx, &databasev1.TransferCharacterRequest{CharacterId: hero.Id, FromUserId: u.Id, ToUserId: "a", Reason: why}))
		},
		"AddNote": func(c *clients) error {
			return errorOf(c.staff.AddNote(ctx, &databasev1.AddNoteRequest{UserId: u.Id, Text: "a note"}))
		},
		"ListNotes": func(c *clients) error {
			return errorOf(c.staff.ListNotes(ctx, &databasev1.ListNotesRequest{UserId: u.Id}))
		},
		"ListAudit": func(c *clients) error { return errorOf(c.staff.ListAudit(ctx, &databasev1.ListAuditRequest{})) },
	} {
		f.calls[rpc] = call
	}
	for rpc, call := range sessionRPCs() {
		f.calls[rpc] = func(c *clients) error { return errorOf(call(c, ctx, byToken(token))) }
	}
}

func errorOf[A any](_ A, err error) error { return err }

// all makes every call with an empty Redis, all at once, and checks that each fails with want.
func (f *faulty) all(c *clients, want fault) {
	f.Helper()
	if err := f.Redis.Client.FlushAll(f.Context()).Err(); err != nil {
		f.Fatal(err)
	}
	var calls sync.WaitGroup
	for rpc, call := range f.calls {
		calls.Go(func() {
			err := repeatIfBusy(func() error { return call(c) }, func(err error) bool { return faultOf(err) == want })
			wantFault(f, rpc, err, want)
			if err != nil && strings.ContainsAny(err.Error(), "/\"{") {
				f.Errorf("%s shows internals to the caller: %v", rpc, err)
			}
		})
	}
	calls.Wait()
}

// under runs play with t.
func (f *faulty) under(t *testing.T, play func(*faulty)) {
	here, c := *f, *f.conform
	c.TB = t
	here.conform = &c
	play(&here)
}

// faultScenario gives every rpc one fault. Later scenarios run on the same store.
type faultScenario struct {
	name string
	play func(*faulty)
}

func faultScenarios() []faultScenario {
	return []faultScenario{
		{"RETRY", func(f *faulty) {
			p := f.Open(f, func(c *app.Options) { c.DatabaseURL += "&lock_timeout=1" })
			tx, err := f.Owner.Begin(f.Context())
			if err != nil {
				f.Fatal(err)
			}
			defer func() { _ = tx.Rollback(context.Background()) }()
			if _, err := tx.Exec(f.Context(), f.Expand(`LOCK TABLE game.character, game.audit, game.note, {user}, {session} IN ACCESS EXCLUSIVE MODE`)); err != nil {
				f.Fatal(err)
			}
			c := f.open(f, p)
			eventually(f, "a connection of the program", func() bool {
				return faultOf(f.calls["GetUserBySession"](c)).code == twirp.Aborted
			})
			f.all(c, fault{twirp.Aborted, "RETRY"})
		}},
		{"OVERLOADED", func(f *faulty) {
			f.all(f.overloaded(), overloaded)
		}},
		{"deadline_exceeded", func(f *faulty) {
			f.all(f.hurried(50*time.Millisecond), fault{twirp.DeadlineExceeded, "DEADLINE_EXCEEDED"}) // too little to begin with
		}},
		{"canceled", func(f *faulty) {
			f.all(f.lost(), fault{twirp.Canceled, "CANCELED"})
		}},
		{"malformed", func(f *faulty) {
			for rpc := range f.calls {
				for _, bodies := range malformedBodies(rpc) {
					f.raw(rpc, rpc, bodies, twirp.Malformed)
				}
			}
		}},
		{"bad_route", func(f *faulty) {
			for rpc := range f.calls {
				f.raw(rpc, rpc+"s", map[request.Protocol]string{request.JSON: "{}"}, twirp.BadRoute)
				f.rawHTTP(rpc, http.MethodGet, "application/json")
				f.rawHTTP(rpc, http.MethodPost, "text/plain")
			}
		}},
		{"INTERNAL", func(f *faulty) {
			f.PGProxy.OnSend(func(statement []byte) { // so that it is no SQL
				for i := bytes.Index(statement, []byte("game.")); i >= 0; i = bytes.Index(statement, []byte("game.")) {
					copy(statement[i:], "game!")
				}
			})
			// Another program, because this one has prepared its statements.
			url := serveProtocols(f, newEdge(io.Discard), services.New(f.Open(f)), asItIs)
			f.all(f.seen.clients(f, url), fault{twirp.Internal, "INTERNAL"})
			f.PGProxy.OnSend(nil)
		}},
		{"DATABASE_MISCONFIGURED", func(f *faulty) {
			f.OwnerExec(f, `ALTER SCHEMA game RENAME TO elsewhere`)
			f.all(f.clients, fault{twirp.Unavailable, "DATABASE_MISCONFIGURED"})
			f.OwnerExec(f, `ALTER SCHEMA elsewhere RENAME TO game`)
		}},
		{"DATABASE_UNAVAILABLE", func(f *faulty) {
			f.PGProxy.Refuse()
			f.all(f.clients, unavailable)
			f.PGProxy.Accept()
		}},
	}
}
