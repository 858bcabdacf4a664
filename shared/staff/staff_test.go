package staff_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/characters"
	"github.com/osirose-new/database-service/shared/staff"
	"github.com/osirose-new/database-service/shared/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	undelete    = databasev1.Recovery_RECOVERY_UNDELETE
	restore     = databasev1.Recovery_RECOVERY_RESTORE
	nameTaken   = databasev1.Recovery_RECOVERY_NAME_TAKEN
	noFreeSlot  = databasev1.Recovery_RECOVERY_NO_FREE_SLOT
	userRemoved = databasev1.Recovery_RECOVERY_USER_REMOVED

	why = "ticket 4711"
)

// env has clients of the two services on one program.
type env struct {
	*testenv.Env
	databasev1.StaffService
	characters databasev1.CharacterDbService
	url        string
}

const slots = 3

func start(t *testing.T, e *testenv.Env) *env {
	t.Helper()
	return startAs(t, e, e.Open(t, testenv.AlsoStaff))
}

// startAs serves by a program, whose login decides what it may do.
func startAs(t *testing.T, e *testenv.Env, p *app.Program) *env {
	t.Helper()
	url := testenv.Serve(t, func(o twirp.ServerOption) []databasev1.TwirpServer {
		return []databasev1.TwirpServer{
			databasev1.NewStaffServiceServer(staff.NewService(staff.NewRepository(p.DB, p.Cache), staff.Config{Slots: slots, NamesReserved: []string{"guild"}}), o),
			databasev1.NewCharacterDbServiceServer(characters.NewService(characters.NewRepository(p.DB, p.Cache), characters.Config{Slots: slots}), o),
		}
	})
	return &env{
		Env: e, StaffService: databasev1.NewStaffServiceProtobufClient(url, http.DefaultClient),
		characters: databasev1.NewCharacterDbServiceProtobufClient(url, http.DefaultClient), url: url,
	}
}

func one(t *testing.T) *env {
	t.Helper()
	return start(t, testenv.New(t, testenv.Variants[0], testenv.RedisKinds()[0]))
}

// each runs f on every variant of the schema.
func each(t *testing.T, f func(t *testing.T, e *env)) {
	t.Helper()
	for _, v := range testenv.Variants {
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			f(t, start(t, testenv.New(t, v, "miniredis")))
		})
	}
}

var serial atomic.Int64

func newName() string { return fmt.Sprintf("Hero%d", serial.Add(1)) }

func newUUID() string {
	n := serial.Add(1)
	return fmt.Sprintf("%08x-abcd-4000-8000-%012x", n, n)
}

func (e *env) user(t *testing.T) string { t.Helper(); return e.AddUser(t, newName()) }

// create makes a character with money.
func (e *env) create(t *testing.T, user, name string) *databasev1.Character {
	t.Helper()
	got := must(t, e.characters.CreateCharacter, &databasev1.CreateCharacterRequest{UserId: user, Name: name, Money: 77, Level: 9, RequestId: newUUID()})
	return got.Character
}

// deleted makes a character and deletes it at once.
func (e *env) deleted(t *testing.T, user, name string) *databasev1.Character {
	t.Helper()
	c := e.create(t, user, name)
	must(t, e.characters.DeleteCharacter, &databasev1.DeleteCharacterRequest{UserId: user, CharacterId: c.Id, Mode: databasev1.DeleteMode_DELETE_MODE_IMMEDIATE})
	return c
}

// expired makes a character whose deadline has passed, and that no statement has finished.
func (e *env) expired(t *testing.T, user, name string) *databasev1.Character {
	t.Helper()
	c := e.create(t, user, name)
	e.OwnerExec(t, `UPDATE game.character SET delete_at = now() - interval '1 hour' WHERE id = $1`, c.Id)
	return c
}

// player returns a player's characters by id.
func (e *env) player(t *testing.T, user string) map[int64]*databasev1.PlayerCharacter {
	t.Helper()
	all := map[int64]*databasev1.PlayerCharacter{}
	for _, c := range must(t, e.GetPlayer, &databasev1.GetPlayerRequest{UserId: user}).Characters {
		all[c.Id] = c
	}
	return all
}

// audit returns the audit of a character, the newest row first.
func (e *env) audit(t *testing.T, id int64) []*databasev1.AuditEntry {
	t.Helper()
	return must(t, e.ListAudit, &databasev1.ListAuditRequest{Of: &databasev1.ListAuditRequest_CharacterId{CharacterId: id}}).Entries
}

// must makes a call that is safe to repeat. It repeats it if the call timed out, which only shows that the machine is busy.
func must[Q, A any](t *testing.T, call func(context.Context, Q) (A, error), request Q) A {
	t.Helper()
	answer, err := patiently(t, call, request)
	if err != nil {
		t.Fatalf("%T %v = %v, want success", request, request, err)
	}
	return answer
}

func patiently[Q, A any](t *testing.T, call func(context.Context, Q) (A, error), request Q) (A, error) {
	t.Helper()
	for end := time.Now().Add(testenv.Patience); ; {
		answer, err := call(t.Context(), request)
		if f := faultOf(err); f.reason != "DATABASE_UNAVAILABLE" && f.code != twirp.DeadlineExceeded || time.Now().After(end) {
			return answer, err
		}
	}
}

// fault is the part of an error that callers can depend on.
type fault struct {
	code             twirp.ErrorCode
	reason, argument string
}

func faultOf(err error) fault {
	if err == nil {
		return fault{}
	}
	var e twirp.Error
	if !errors.As(err, &e) {
		return fault{code: "not a twirp error: " + twirp.ErrorCode(err.Error())}
	}
	return fault{e.Code(), e.Meta("reason"), e.Meta("argument")}
}

// wantFault makes a call that must fail.
func wantFault[Q, A any](t *testing.T, call func(context.Context, Q) (A, error), request Q, want fault) {
	t.Helper()
	_, err := patiently(t, call, request)
	if got := faultOf(err); got != want {
		t.Errorf("%T %v = %v, want %v", request, request, err, want)
	}
}

func argument(name string) fault { return fault{twirp.InvalidArgument, "ARGUMENT", name} }

var (
	notFound     = fault{code: twirp.NotFound, reason: "CHARACTER_NOT_FOUND"}
	userNotFound = fault{code: twirp.NotFound, reason: "USER_NOT_FOUND"}
	taken        = fault{code: twirp.AlreadyExists, reason: "NAME_TAKEN"}
	full         = fault{code: twirp.FailedPrecondition, reason: "SLOTS_FULL"}
	slotTaken    = fault{code: twirp.FailedPrecondition, reason: "SLOT_TAKEN"}
	reused       = fault{twirp.InvalidArgument, "REQUEST_ID_REUSED", "request_id"}
)
