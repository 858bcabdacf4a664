package app_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/types/known/structpb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// player makes the calls of one player's login and game, which are all rpcs.
type player struct {
	users      databasev1.UserService
	sessions   databasev1.SessionService
	characters databasev1.CharacterDbService

	id, name, token, session string
	calls                    int
}

// newPlayer returns a new user who plays on the services at url.
func newPlayer(t testing.TB, e *testenv.Env, url, name string) *player {
	t.Helper()
	p := &player{
		users: databasev1.NewUserServiceProtobufClient(url, http.DefaultClient), sessions: databasev1.NewSessionServiceProtobufClient(url, http.DefaultClient),
		characters: databasev1.NewCharacterDbServiceProtobufClient(url, http.DefaultClient), name: name,
	}
	p.id = e.AddUser(t, name)
	p.session, p.token = e.AddSession(t, p.id, 10*time.Minute)
	return p
}

// serveAll serves the three services of p and returns their URL.
func serveAll(t testing.TB, log io.Writer, p *app.Program) string {
	t.Helper()
	return testenv.ServeLog(t, log, testenv.RequestBudget, services.New(p).Twirp)
}

// call retries after a timeout, which only shows that the machine is busy.
func call[Q, A any](ctx context.Context, p *player, rpc func(context.Context, Q) (A, error), q Q) (A, error) {
	for {
		p.calls++
		a, err := rpc(ctx, q)
		if e, ok := errors.AsType[twirp.Error](err); ok && ctx.Err() == nil &&
			(e.Code() == twirp.Unavailable || e.Code() == twirp.DeadlineExceeded || e.Meta("reason") == "RETRY") {
			continue
		}
		if err != nil {
			err = fmt.Errorf("%T: %w", q, err)
		}
		return a, err
	}
}

// login calls all rpcs of users and sessions.
func (p *player) login(ctx context.Context) error {
	_, err1 := call(ctx, p, p.users.GetUser, &databasev1.GetUserRequest{UserId: p.id})
	_, err2 := call(ctx, p, p.users.GetUserByUsername, &databasev1.GetUserByUsernameRequest{Username: p.name})
	_, err3 := call(ctx, p, p.users.GetUserByEmail, &databasev1.GetUserByEmailRequest{Email: p.name + "@example.com"})
	_, err4 := call(ctx, p, p.users.GetUserBySession, &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: p.token}})
	_, err5 := call(ctx, p, p.users.GetUserBySession, &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_SessionId{SessionId: p.session}})
	_, err6 := call(ctx, p, p.sessions.GetSession, &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: p.token}})
	_, err7 := call(ctx, p, p.sessions.GetSession, &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_SessionId{SessionId: p.session}})
	_, err8 := call(ctx, p, p.sessions.RefreshSession, &databasev1.RefreshSessionRequest{Session: &databasev1.RefreshSessionRequest_Token{Token: p.token}})
	_, err9 := call(ctx, p, p.sessions.RefreshSession, &databasev1.RefreshSessionRequest{Session: &databasev1.RefreshSessionRequest_SessionId{SessionId: p.session}})
	return errors.Join(err1, err2, err3, err4, err5, err6, err7, err8, err9)
}

// play creates the round's character, saves it and deletes it.
func (p *player) play(ctx context.Context, round int) error {
	uuid := fmt.Sprintf("00000000-0000-4000-8000-%012d", round)
	name := strings.ToUpper(fmt.Sprintf("%s-%d", p.name, round))
	extra, err := structpb.NewStruct(map[string]any{"round": round})
	if err != nil {
		return err
	}
	create := &databasev1.CreateCharacterRequest{
		UserId: p.id, Name: name, RequestId: uuid, Level: 2, Money: 3, Looks: &databasev1.Looks{Race: 1}, Stats: &databasev1.Stats{Hp: 10},
		Position: &databasev1.Position{MapId: 1, X: 1.5}, Equipment: []*databasev1.Item{{ItemId: 1, Count: 1}},
		Inventory: &databasev1.Inventory{Capacity: 30, Items: []*databasev1.Item{{ItemId: 2, Count: 1}}}, Extra: extra,
	}
	for range 2 { // the second time it is a retry
		if _, err := call(ctx, p, p.characters.CreateCharacter, create); err != nil {
			return err
		}
	}
	list := &databasev1.GetCharacterListRequest{UserId: p.id}
	made, err := call(ctx, p, p.characters.GetCharacterList, list)
	if err != nil || len(made.Characters) != 1 {
		return fmt.Errorf("%s has %d characters, want the one of this round: %w", p.name, len(made.GetCharacters()), err)
	}
	c := made.Characters[0]
	list.View = databasev1.CharacterView_CHARACTER_VIEW_FULL
	_, err1 := call(ctx, p, p.characters.GetCharacterList, list)
	_, err2 := call(ctx, p, p.characters.GetCharacter, &databasev1.GetCharacterRequest{UserId: p.id, CharacterId: c.Id})
	_, err3 := call(ctx, p, p.characters.GetCharacter, &databasev1.GetCharacterRequest{CharacterId: c.Id, View: databasev1.CharacterView_CHARACTER_VIEW_BASIC})
	money := int64(99)
	save := &databasev1.SaveCharacterRequest{
		UserId: p.id, CharacterId: c.Id, ExpectedVersion: c.Version, SaveId: uuid, Money: &money, Stats: &databasev1.Stats{Hp: 11},
		Skills: &databasev1.SkillBook{Skills: []*databasev1.Skill{{SkillId: 1, Level: 1}}}, AddPlaySeconds: 60,
	}
	_, err4 := call(ctx, p, p.characters.SaveCharacter, save)
	_, err5 := call(ctx, p, p.characters.SaveCharacter, save)
	remove := &databasev1.DeleteCharacterRequest{UserId: p.id, CharacterId: c.Id}
	_, err6 := call(ctx, p, p.characters.DeleteCharacter, remove)
	_, err7 := call(ctx, p, p.characters.RestoreCharacter, &databasev1.RestoreCharacterRequest{UserId: p.id, CharacterId: c.Id})
	remove.Mode, remove.ExpectedName = databasev1.DeleteMode_DELETE_MODE_IMMEDIATE, name
	_, err8 := call(ctx, p, p.characters.DeleteCharacter, remove)
	_, err9 := call(ctx, p, p.characters.DeleteCharacter, remove)
	return errors.Join(err1, err2, err3, err4, err5, err6, err7, err8, err9)
}

// poolerModes are the modes of pgx that work behind a pooler which gives each transaction another connection.
var poolerModes = []string{"cache_describe", "exec"}

// pins matches statements that pin a client to one connection of RDS Proxy, or whose effect is lost behind PgBouncer.
var pins = regexp.MustCompile(`(?i)^\s*(SET|RESET|PREPARE|EXECUTE|DEALLOCATE|DISCARD|LISTEN|UNLISTEN|DECLARE|CREATE|LOCK)\b|pg_\w*advisory|set_config|pg_notify`)

// TestPooler checks all messages that the rpcs send to PostgreSQL in the modes for poolers.
func TestPooler(t *testing.T) {
	t.Parallel()
	for _, mode := range poolerModes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			e := testenv.New(t, testenv.Variants[0], "miniredis")
			in, out := io.Pipe()
			e.PGProxy.OnSend(func(b []byte) { _, _ = out.Write(b) })
			seen := make(chan []string)
			var startup map[string]string
			go func() {
				backend := pgproto3.NewBackend(in, io.Discard)
				if first, err := backend.ReceiveStartupMessage(); err == nil {
					startup = first.(*pgproto3.StartupMessage).Parameters
				}
				var statements []string
				for {
					m, err := backend.Receive()
					switch m := m.(type) {
					case *pgproto3.Parse:
						if m.Name != "" {
							t.Errorf("a statement is prepared as %s: %s", m.Name, m.Query)
						}
						statements = append(statements, m.Query)
					case *pgproto3.Query:
						statements = append(statements, m.String)
					}
					if err != nil {
						_, _ = io.Copy(io.Discard, in) // a second connection, if the first one was too slow
						seen <- statements
						return
					}
				}
			}()
			p := e.Open(t, func(c *app.Options) {
				c.Concurrency = 1
				c.DatabaseURL += "&pool_max_conns=1&default_query_exec_mode=" + mode
			})
			a := newPlayer(t, e, serveAll(t, io.Discard, p), "pooled")
			if err := errors.Join(a.login(t.Context()), a.play(t.Context(), 1)); err != nil {
				t.Error(err)
			}
			p.Close()
			e.PGProxy.OnSend(nil)
			_ = out.Close()
			statements := <-seen
			if len(statements) < 15 {
				t.Errorf("%d statements were sent, want those of every rpc", len(statements))
			}
			for _, s := range statements {
				if pins.MatchString(s) {
					t.Errorf("a request sends a statement that pins the client: %s", s)
				}
			}
			delete(startup, "user")
			delete(startup, "database")
			// PgBouncer keeps track of client_encoding by itself.
			if diff := cmp.Diff(map[string]string{"application_name": "database-service", "client_encoding": "UTF8"}, startup); diff != "" {
				t.Errorf("parameters of a new connection; PgBouncer accepts only a few (-want +got):\n%s", diff)
			}
		})
	}
}
