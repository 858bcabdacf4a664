package systemtest_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

// setWatermarkAge sets the age of the watermark, so that no test has to wait.
func setWatermarkAge(t testing.TB, e *env, age time.Duration) {
	t.Helper()
	now, err := e.Redis.Client.Time(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	e.SetWatermarkTime(t, now.Add(-age))
}

type rpcCall func(context.Context) error

// pgPlayer is a user for whom every rpc can be called repeatedly.
type pgPlayer struct {
	*env
	id, name, session, token string
	saved, marked, restored  *databasev1.Character
	deleted                  *databasev1.Character
}

func newPGPlayer(t testing.TB, e *env) *pgPlayer {
	t.Helper()
	p := &pgPlayer{env: e, name: newName()}
	p.id = e.AddUser(t, p.name)
	p.session, p.token = e.AddSession(t, p.id, 10*time.Minute)
	for _, c := range []**databasev1.Character{&p.saved, &p.marked, &p.restored, &p.deleted} {
		made, err := patiently(t, e.characters.CreateCharacter, &databasev1.CreateCharacterRequest{UserId: p.id, Name: newName()})
		if err != nil {
			t.Fatal(err)
		}
		*c = made.Character
	}
	e.OwnerExec(t, `UPDATE game.character SET delete_at = now() + interval '1 day' WHERE id = $1`, p.restored.Id)
	return p
}

// cached returns the reads that Redis may answer.
func (p *pgPlayer) cached() map[string]rpcCall {
	return map[string]rpcCall{
		"GetUser": func(ctx context.Context) error {
			_, err := p.users.GetUser(ctx, &databasev1.GetUserRequest{UserId: p.id})
			return err
		},
		"GetUserByUsername": func(ctx context.Context) error {
			_, err := p.users.GetUserByUsername(ctx, &databasev1.GetUserByUsernameRequest{Username: p.name})
			return err
		},
		"GetUserByEmail": func(ctx context.Context) error {
			_, err := p.users.GetUserByEmail(ctx, &databasev1.GetUserByEmailRequest{Email: p.name + "@example.com"})
			return err
		},
		"GetCharacter": func(ctx context.Context) error {
			_, err := p.characters.GetCharacter(ctx, &databasev1.GetCharacterRequest{CharacterId: p.saved.Id})
			return err
		},
		"GetCharacterList": func(ctx context.Context) error {
			_, err := p.characters.GetCharacterList(ctx, &databasev1.GetCharacterListRequest{UserId: p.id})
			return err
		},
	}
}

// live returns the reads that always go to the database.
func (p *pgPlayer) live() map[string]rpcCall {
	return map[string]rpcCall{
		"GetCharacterList, FULL": func(ctx context.Context) error {
			_, err := p.characters.GetCharacterList(ctx, &databasev1.GetCharacterListRequest{UserId: p.id, View: databasev1.CharacterView_CHARACTER_VIEW_FULL})
			return err
		},
		"GetUserBySession": func(ctx context.Context) error {
			_, err := p.users.GetUserBySession(ctx, &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: p.token}})
			return err
		},
		"GetSession": func(ctx context.Context) error {
			_, err := p.sessions.GetSession(ctx, &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: p.token}})
			return err
		},
	}
}

func (p *pgPlayer) writes() map[string]rpcCall {
	remove := func(c *databasev1.Character, mode databasev1.DeleteMode) rpcCall {
		return func(ctx context.Context) error {
			_, err := p.characters.DeleteCharacter(ctx, &databasev1.DeleteCharacterRequest{UserId: p.id, CharacterId: c.Id, Mode: mode})
			return err
		}
	}
	return map[string]rpcCall{
		"CreateCharacter": func(ctx context.Context) error {
			_, err := p.characters.CreateCharacter(ctx, &databasev1.CreateCharacterRequest{UserId: p.id, Name: "Of" + p.name, RequestId: cutUUID(1)})
			return err
		},
		"SaveCharacter": func(ctx context.Context) error {
			_, err := p.characters.SaveCharacter(ctx, &databasev1.SaveCharacterRequest{
				UserId: p.id, CharacterId: p.saved.Id, ExpectedVersion: 1, SaveId: cutUUID(1), Money: proto.Int64(7)})
			return err
		},
		"DeleteCharacter, SCHEDULED": remove(p.marked, databasev1.DeleteMode_DELETE_MODE_SCHEDULED),
		"DeleteCharacter, IMMEDIATE": remove(p.deleted, databasev1.DeleteMode_DELETE_MODE_IMMEDIATE),
		"RestoreCharacter": func(ctx context.Context) error {
			_, err := p.characters.RestoreCharacter(ctx, &databasev1.RestoreCharacterRequest{UserId: p.id, CharacterId: p.restored.Id})
			return err
		},
		"RefreshSession": func(ctx context.Context) error {
			_, err := p.sessions.RefreshSession(ctx, &databasev1.RefreshSessionRequest{Session: &databasev1.RefreshSessionRequest_Token{Token: p.token}})
			return err
		},
	}
}

// all returns all rpcs. Before the first read of this player nothing is cached.
func (p *pgPlayer) all() map[string]rpcCall {
	all := p.writes()
	maps.Copy(all, p.cached())
	maps.Copy(all, p.live())
	return all
}

// wantEach makes all calls at the same time and checks that each has the fault want. It repeats a call if the machine was too
// slow.
func wantEach(t *testing.T, when string, calls map[string]rpcCall, want fault) {
	t.Helper()
	var wg sync.WaitGroup
	for name, call := range calls {
		wg.Go(func() {
			err := call(t.Context())
			for got := faultOf(err); got != want && (got.code == twirp.DeadlineExceeded || got == unavailable); got = faultOf(err) {
				if t.Context().Err() != nil {
					break
				}
				time.Sleep(10 * time.Millisecond)
				err = call(t.Context())
			}
			wantFault(t, name+" "+when, err, want)
			if e, ok := err.(twirp.Error); ok && want == unavailable && (e.Msg() != "the database does not answer; try again" || len(e.MetaMap()) != 1) {
				t.Errorf("%s %s = %q with meta %v, want only that the database does not answer", name, when, e.Msg(), e.MetaMap())
			}
		})
	}
	wg.Wait()
}

// wantHits waits until Redis answers each cached read under a watermark of that age.
func (p *pgPlayer) wantHits(t *testing.T, when string, age time.Duration) {
	t.Helper()
	for name, call := range p.cached() {
		eventually(t, name+" "+when+" to hit", func() bool {
			setWatermarkAge(t, p.env, age)
			before := p.Program.Cache.Stats().Hits
			return call(t.Context()) == nil && p.Program.Cache.Stats().Hits == before+1
		})
	}
}

// goroutines counts the goroutines with the label.
func goroutines(t *testing.T, label string) int {
	t.Helper()
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		t.Fatal(err)
	}
	sum, n := 0, 0
	for line := range strings.Lines(profile.String()) {
		if count, _, found := strings.Cut(line, " @"); found {
			n, _ = strconv.Atoi(count)
		}
		if strings.Contains(line, strconv.Quote(label)) {
			sum += n
		}
	}
	return sum
}

// labeled gives this goroutine and those that it starts a label, because other tests run in this process, too.
func labeled(t *testing.T) string {
	label := fmt.Sprintf("%s %d", t.Name(), serial.Add(1))
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("test", label)))
	return label
}

// superExec runs a statement on the shared server, outside the databases of tests.
func superExec(t *testing.T, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), testenv.Postgres(t).URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// redisKind returns the kind of Redis for tests of PostgreSQL's faults.
func redisKind() string { return testenv.RedisKinds()[0] }
