package systemtest_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/jackc/pgx/v5"
	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

// sessionInput is an operation on one session: a statement of the web application, or an rpc.
type sessionInput string

// sessionOutput is what an rpc returned or the web application wrote.
type sessionOutput struct {
	fault    fault
	expires  int64 // microseconds
	banned   bool
	extended bool
	late     bool // an extension that may be seen after a ban: the ban was committed during the call
}

// sessionState is the session at one moment.
type sessionState struct {
	there, over, banned bool
	expires             int64
}

// after returns whether the operation could have that output in this state, and the next state.
func (s sessionState) after(op string, out sessionOutput) (bool, sessionState) {
	switch op {
	case "create", "set expiry":
		if op == "create" || s.there {
			s.there, s.over, s.expires = true, false, out.expires
		}
		return true, s
	case "revoke":
		s.there = false
		return true, s
	case "end":
		s.over = true
		return true, s
	case "ban", "unban":
		s.banned = op == "ban"
		return true, s
	}
	switch {
	case !s.there:
		return out.fault == noSuchSession, s
	case s.over:
		return out.fault == expired, s
	case op == "RefreshSession" && s.banned && !out.late:
		return out.fault == userBanned, s
	case out.fault != none:
		return false, s
	case out.extended:
		// The new expiry is at least five minutes later. All later operations see it.
		longer := out.expires >= s.expires+(5*time.Minute).Microseconds()
		s.expires = out.expires
		return longer, s
	}
	return out.expires == s.expires && (op != "GetUserBySession" || out.banned == s.banned), s
}

var userBanned = fault{twirp.PermissionDenied, "USER_BANNED"}

// markLate marks the extensions during whose calls the user was banned. An extension locks the session, not the user, so the two
// transactions can commit in either order.
func markLate(h *history) {
	for i := range h.ops {
		call := &h.ops[i]
		out := call.Output.(sessionOutput)
		out.late = out.extended && slices.ContainsFunc(h.ops, func(op porcupine.Operation) bool {
			return op.Input.(sessionInput) == "ban" && op.Call < call.Return && call.Call < op.Return
		})
		call.Output = out
	}
}

// sessionModel is the contract of a session: each call sees everything that was committed before it began.
func sessionModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return sessionState{} },
		Step: func(state, input, output any) (bool, any) {
			return state.(sessionState).after(string(input.(sessionInput)), output.(sessionOutput))
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %+v", input, output) },
	}
}

// TestSessionsAreLinearizable checks the histories of clients of two programs that read and refresh sessions, while the web
// application creates, revokes and changes them.
func TestSessionsAreLinearizable(t *testing.T) {
	t.Parallel()
	e := start(t, testenv.RedisKinds()[0])
	programs := []*clients{e.clients, serve(t, e.Open(t))}
	var all sync.WaitGroup
	var histories [6]*history
	for n := range histories {
		all.Go(func() {
			histories[n] = untilKnown(t, func() *history {
				s := newLinearSession(t, e)
				s.play(programs)
				return s.history
			})
		})
	}
	all.Wait()
	for _, h := range histories {
		markLate(h)
		h.linear(t, sessionModel())
	}
	wantSeen(t, histories[:], map[sessionInput]int{"GetSession": 3, "GetUserBySession": 4, "RefreshSession": 5})
}

// wantSeen checks that the histories contain enough different answers.
func wantSeen(t *testing.T, histories []*history, answers map[sessionInput]int) {
	t.Helper()
	seen := map[sessionInput]map[sessionOutput]bool{}
	for _, h := range histories {
		for _, op := range h.ops {
			in, out := op.Input.(sessionInput), op.Output.(sessionOutput)
			if seen[in] == nil {
				seen[in] = map[sessionOutput]bool{}
			}
			out.expires, out.late = 0, false
			seen[in][out] = true
		}
	}
	for rpc, least := range answers {
		if len(seen[rpc]) < least {
			t.Errorf("%s saw only %v, want %d different answers", rpc, seen[rpc], least)
		}
	}
}

// linearSession is one session and its user.
type linearSession struct {
	testing.TB
	*env
	*history
	args pgx.NamedArgs
}

func newLinearSession(t testing.TB, e *env) *linearSession {
	id := conformUUID()
	return &linearSession{t, e, newHistory(), pgx.NamedArgs{"id": id, "token": "token-" + id, "user": e.AddUser(t, newName())}}
}

// play runs the web application and two clients of each program on the session. It makes a change after every few calls, so
// that calls run during each change.
func (s *linearSession) play(programs []*clients) {
	const changes, callsBetween = 40, 4
	asked, over := make(chan struct{}), make(chan struct{})
	var callers sync.WaitGroup
	for n := range 2 * len(programs) {
		callers.Go(func() {
			for {
				s.ask(1+n, programs[n%len(programs)])
				select {
				case asked <- struct{}{}:
				case <-over:
					return
				}
			}
		})
	}
	for range changes {
		s.web()
		for range callsBetween {
			<-asked
		}
	}
	close(over)
	callers.Wait()
}

// sessionChanges returns the statements of the web application.
func sessionChanges() map[string]string {
	return map[string]string{
		"create": `INSERT INTO {session} (id, token, [userId], [createdAt], [updatedAt], [expiresAt])
			VALUES (@id, @token, @user, now(), now(), now() + @soon::interval)
			ON CONFLICT (id) DO UPDATE SET [expiresAt] = excluded.[expiresAt] RETURNING [expiresAt]`,
		"set expiry": `UPDATE {session} SET [expiresAt] = now() + @soon::interval WHERE id = @id RETURNING [expiresAt]`,
		"revoke":     `DELETE FROM {session} WHERE id = @id RETURNING [expiresAt]`,
		"end":        `UPDATE {session} SET [expiresAt] = now() - interval '1 s' WHERE id = @id RETURNING [expiresAt]`,
		"ban":        `UPDATE {user} SET [banned] = true WHERE id = @user RETURNING [createdAt]`,
		"unban":      `UPDATE {user} SET [banned] = false WHERE id = @user RETURNING [createdAt]`,
	}
}

// web runs one transaction of the web application.
func (s *linearSession) web() {
	ops := []string{"create", "create", "create", "set expiry", "set expiry", "revoke", "end", "ban", "unban", "unban"}
	op := ops[rand.IntN(len(ops))]
	args := maps.Clone(s.args)
	args["soon"] = time.Duration(6+rand.IntN(5)) * time.Minute // short enough that a refresh extends the session
	s.do(0, sessionInput(op), func() (any, bool) {
		var written time.Time
		err := pgx.BeginFunc(s.Context(), s.Web, func(tx pgx.Tx) error {
			err := tx.QueryRow(s.Context(), s.Expand(sessionChanges()[op]), args).Scan(&written)
			if errors.Is(err, pgx.ErrNoRows) {
				return nil // there is no session to change
			}
			return err
		})
		if err != nil {
			s.Errorf("%s as the web application: %v", op, err)
		}
		return sessionOutput{expires: written.UnixMicro()}, true
	})
}

// ask makes one call of a client.
func (s *linearSession) ask(client int, c *clients) {
	rpc := []string{"GetSession", "GetUserBySession", "RefreshSession"}[rand.IntN(3)]
	token := s.args["token"].(string)
	s.do(client, sessionInput(rpc), func() (any, bool) {
		var session *databasev1.Session
		var err error
		out := sessionOutput{}
		switch rpc {
		case "GetSession":
			r := &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: token}}
			var a *databasev1.GetSessionResponse
			a, err = c.sessions.GetSession(s.Context(), r)
			session = a.GetSession()
		case "GetUserBySession":
			var a *databasev1.GetUserBySessionResponse
			a, err = c.users.GetUserBySession(s.Context(), playerByToken(token))
			session, out.banned = a.GetSession(), a.GetUser().GetBanned()
		default:
			var a *databasev1.RefreshSessionResponse
			a, err = c.sessions.RefreshSession(s.Context(), refreshRequest(byToken(token), 0))
			session, out.extended = a.GetSession(), a.GetExtended()
		}
		out.fault = faultOf(err)
		if err == nil {
			out.expires = session.ExpiresAt.AsTime().UnixMicro()
		}
		return out, !s.unanswered(err, rpc == "RefreshSession")
	})
}

// TestSessionsCheckerCanFail checks that the checker refuses wrong histories.
func TestSessionsCheckerCanFail(t *testing.T) {
	t.Parallel()
	live := sessionOutput{expires: 10}
	longer := (10 + 5*time.Minute).Microseconds() + 10
	for what, ops := range map[string][]porcupine.Operation{
		"revoked, and accepted":     {did("create", live), did("revoke", sessionOutput{}), did("GetSession", live)},
		"ended, and accepted":       {did("create", live), did("end", sessionOutput{}), did("GetUserBySession", live)},
		"banned, and read as free":  {did("create", live), did("ban", sessionOutput{}), did("GetUserBySession", live)},
		"banned, and extended":      {did("create", live), did("ban", sessionOutput{}), did("RefreshSession", sessionOutput{expires: longer, extended: true})},
		"extended, and read as was": {did("create", live), did("RefreshSession", sessionOutput{expires: longer, extended: true}), did("GetSession", live)},
		"made shorter":              {did("create", sessionOutput{expires: longer}), did("RefreshSession", sessionOutput{expires: 20, extended: true})},
		"created, and refused":      {did("create", live), did("GetSession", sessionOutput{fault: noSuchSession})},
	} {
		sequence := newHistory()
		for i, op := range ops {
			op.Call, op.Return = int64(10*i), int64(10*i+5)
			sequence.ops = append(sequence.ops, op)
		}
		if got := porcupine.CheckOperationsTimeout(sessionModel(), sequence.ops, time.Minute); got != porcupine.Illegal {
			t.Errorf("%s: the checker returned %s", what, got)
		}
		// The same operation concurrent with the change before it is allowed.
		last := len(sequence.ops) - 1
		sequence.ops[last].Call = sequence.ops[last-1].Call
		if what != "made shorter" && porcupine.CheckOperationsTimeout(sessionModel(), sequence.ops, time.Minute) != porcupine.Ok {
			t.Errorf("%s, concurrently: the checker refuses it", what)
		}
	}
}

func did(op string, out sessionOutput) porcupine.Operation {
	return porcupine.Operation{Input: sessionInput(op), Output: out}
}
