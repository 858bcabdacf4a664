package characters_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/characters"
	"github.com/osirose-new/database-service/shared/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	basic = databasev1.CharacterView_CHARACTER_VIEW_BASIC
	full  = databasev1.CharacterView_CHARACTER_VIEW_FULL

	active  = databasev1.CharacterState_CHARACTER_STATE_ACTIVE
	pending = databasev1.CharacterState_CHARACTER_STATE_PENDING_DELETION
	deleted = databasev1.CharacterState_CHARACTER_STATE_DELETED

	scheduled = databasev1.DeleteMode_DELETE_MODE_SCHEDULED
	immediate = databasev1.DeleteMode_DELETE_MODE_IMMEDIATE
)

// env is a testenv.Env with a client of the service on its program.
type env struct {
	*testenv.Env
	databasev1.CharacterDbService
	url    string
	purger func() *app.Program // its login may do nothing else
}

func serve(t testing.TB, p *app.Program, c characters.Config) (databasev1.CharacterDbService, string) {
	t.Helper()
	url := testenv.Serve(t, func(o twirp.ServerOption) []databasev1.TwirpServer {
		s := characters.NewService(characters.NewRepository(p.DB, p.Cache), c)
		return []databasev1.TwirpServer{databasev1.NewCharacterDbServiceServer(s, o)}
	})
	return databasev1.NewCharacterDbServiceProtobufClient(url, http.DefaultClient), url
}

// start serves e's program and waits until it has a connection to the database. On a busy machine the first connection
// may take longer than a request may.
func start(t testing.TB, e *testenv.Env, c characters.Config) *env {
	t.Helper()
	client, url := serve(t, e.Program, c)
	eventually(t, "a connection to the database", func() bool {
		_, err := client.GetCharacter(t.Context(), &databasev1.GetCharacterRequest{CharacterId: 1})
		return faultOf(err) == notFound
	})
	return &env{e, client, url, sync.OnceValue(func() *app.Program { return e.Open(t, testenv.OnlyPurge) })}
}

// eachRedis runs f on every kind of Redis.
func eachRedis(t *testing.T, f func(t *testing.T, e *env)) {
	t.Helper()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) { f(t, start(t, e, characters.Config{})) })
}

// one starts an env for tests that depend neither on the schema nor on the kind of Redis. New gets the changes.
func one(t testing.TB, c characters.Config, changes ...func(*app.Options)) *env {
	t.Helper()
	return start(t, testenv.New(t, testenv.Variants[0], testenv.RedisKinds()[0], changes...), c)
}

var serial atomic.Int64

func newName() string { return fmt.Sprintf("Hero%d", serial.Add(1)) }

func newUUID() string {
	n := serial.Add(1)
	return fmt.Sprintf("%08x-abcd-4000-8000-%012x", n, n)
}

func (e *env) user(t testing.TB) string { t.Helper(); return e.AddUser(t, newName()) }

// mustCreate creates a character from the start template.
func (e *env) mustCreate(t testing.TB, user string) *databasev1.Character {
	t.Helper()
	return e.mustCreateAs(t, &databasev1.CreateCharacterRequest{UserId: user, Name: newName()})
}

func (e *env) mustCreateAs(t testing.TB, r *databasev1.CreateCharacterRequest) *databasev1.Character {
	t.Helper()
	if r.RequestId == "" {
		r = proto.CloneOf(r)
		r.RequestId = newUUID()
	}
	got, err := patiently(t, e.CreateCharacter, r)
	if err != nil {
		t.Fatalf("CreateCharacter(%v) = %v, want a character", r, err)
	}
	return got.Character
}

func (e *env) mustGet(t testing.TB, c *databasev1.Character) *databasev1.Character {
	t.Helper()
	r := &databasev1.GetCharacterRequest{UserId: c.UserId, CharacterId: c.Id}
	got, err := patiently(t, e.GetCharacter, r)
	if err != nil {
		t.Fatalf("GetCharacter(%v) = %v, want a character", r, err)
	}
	return got.Character
}

func (e *env) mustList(t testing.TB, r *databasev1.GetCharacterListRequest) []*databasev1.Character {
	t.Helper()
	got, err := patiently(t, e.GetCharacterList, r)
	if err != nil {
		t.Fatalf("GetCharacterList(%v) = %v, want a list", r, err)
	}
	return got.Characters
}

func (e *env) mustDelete(t testing.TB, c *databasev1.Character, mode databasev1.DeleteMode) *databasev1.DeleteCharacterResponse {
	t.Helper()
	r := &databasev1.DeleteCharacterRequest{UserId: c.UserId, CharacterId: c.Id, Mode: mode}
	got, err := patiently(t, e.DeleteCharacter, r)
	if err != nil {
		t.Fatalf("DeleteCharacter(%v) = %v, want success", r, err)
	}
	return got
}

func (e *env) mustSave(t testing.TB, r *databasev1.SaveCharacterRequest) *databasev1.SaveCharacterResponse {
	t.Helper()
	r = proto.CloneOf(r)
	if r.SaveId == "" {
		r.SaveId = newUUID()
	}
	got, err := patiently(t, e.SaveCharacter, r)
	if err != nil {
		t.Fatalf("SaveCharacter(%v) = %v, want success", r, err)
	}
	return got
}

// patiently makes a call that is safe to retry. It retries if the call timed out, which only shows that the machine is
// busy.
func patiently[Q, A any](t testing.TB, call func(context.Context, Q) (A, error), request Q) (A, error) {
	t.Helper()
	for try := 1; ; try++ {
		answer, err := call(t.Context(), request)
		if !busy(faultOf(err)) || try == 30 {
			return answer, err
		}
		t.Logf("a request timed out: %v", err)
	}
}

func busy(f fault) bool { return f == unavailable || f.code == twirp.DeadlineExceeded }

// setDeadline sets the deadline of a marked or unmarked character directly in the database.
func (e *env) setDeadline(t testing.TB, c *databasev1.Character, fromNow time.Duration) {
	t.Helper()
	e.OwnerExec(t, `UPDATE game.character SET delete_at = now() + $2::interval WHERE id = $1`, c.Id, fromNow)
}

// untilHit repeats call until one was answered from Redis.
func (e *env) untilHit(t testing.TB, call func()) {
	t.Helper()
	eventually(t, "an answer from the cache", func() bool {
		before := e.Program.Cache.Stats().Hits
		call()
		return e.Program.Cache.Stats().Hits > before
	})
}

// eventually waits for a condition that must come true.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}

// fault is the part of an error that callers can depend on.
type fault struct {
	code             twirp.ErrorCode
	reason, argument string
}

var (
	notFound    = fault{twirp.NotFound, "CHARACTER_NOT_FOUND", ""}
	unavailable = fault{twirp.Unavailable, "DATABASE_UNAVAILABLE", ""}
)

func badArgument(field string) fault { return fault{twirp.InvalidArgument, "ARGUMENT", field} }

// faultOf returns the zero fault for nil.
func faultOf(err error) fault {
	if err == nil {
		return fault{}
	}
	e, ok := errors.AsType[twirp.Error](err)
	if !ok {
		return fault{code: "no twirp.Error"}
	}
	return fault{e.Code(), e.Meta("reason"), e.Meta("argument")}
}

func wantFault(t testing.TB, call string, err error, want fault) {
	t.Helper()
	if got := faultOf(err); got != want {
		t.Errorf("%s = %v (%+v), want %+v", call, err, got, want)
	}
}

// wantSame compares messages, or slices of them.
func wantSame(t testing.TB, call string, got, want any, options ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, append(options, protocmp.Transform())...); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", call, diff)
	}
}

// raw is an undecoded HTTP answer.
type raw struct {
	Status      int
	ContentType string
	Body        string
}

func (e *env) raw(t testing.TB, method string, request proto.Message) raw {
	t.Helper()
	b, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.Post(e.url+databasev1.CharacterDbServicePathPrefix+method, "application/protobuf", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return raw{r.StatusCode, r.Header.Get("Content-Type"), string(body)}
}
