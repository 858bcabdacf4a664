package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
)

// How a session ends.
const (
	byDelete = iota
	byExpiry
	byBan
	waysToEnd
)

// visitor is a user with one session, which the web application will end.
type visitor struct {
	*visits
	how         int
	user, token string
	// leaving is set before the statement that ends the session is sent, gone after its commit, and broken if it failed.
	leaving, gone, broken atomic.Bool
}

func (v *visitor) enter(ctx context.Context) error {
	_, err := v.w.DB.Exec(ctx, `WITH u AS (
  INSERT INTO "user" (id, name, email, "emailVerified", "updatedAt") VALUES ($1, $1, $1 || '@example.com', true, now())
)
INSERT INTO session (id, token, "userId", "updatedAt", "expiresAt") VALUES ($1, $2, $1, now(), now() + interval '10 min')`, v.user, v.token)
	return err
}

// leave ends the session, after some changes of its expiry that give refreshes something to write.
func (v *visitor) leave(ctx context.Context) error {
	err := v.shorten(ctx)
	v.leaving.Store(true)
	if err == nil {
		_, err = v.w.DB.Exec(ctx, []string{
			byDelete: `DELETE FROM session WHERE "userId" = $1`,
			byExpiry: `UPDATE session SET "expiresAt" = now() WHERE "userId" = $1`,
			byBan:    `UPDATE "user" SET banned = true, "banExpires" = now() + interval '1 h' WHERE id = $1`,
		}[v.how], v.user)
	}
	v.gone.Store(err == nil)
	v.broken.Store(err != nil)
	return err
}

func (v *visitor) shorten(ctx context.Context) error {
	for range rand.IntN(4) {
		testbed.Pause(ctx, rand.N(3*time.Millisecond))
		if _, err := v.w.DB.Exec(ctx, `UPDATE session SET "expiresAt" = now() + interval '10 min' WHERE "userId" = $1`, v.user); err != nil {
			return err
		}
	}
	testbed.Pause(ctx, rand.N(3*time.Millisecond))
	return nil
}

// question is one call about a session. let reports whether the service accepted the session.
type question struct {
	name string
	ask  func(ctx context.Context, p *process) (let bool, err error)
}

func (v *visitor) questions() []question {
	q := []question{{"GetUserBySession", v.getUser}, {"RefreshSession", v.refresh}}
	if v.how != byBan { // GetSession does not report bans
		q = append(q, question{"GetSession", v.getSession})
	}
	return q
}

// keepAsking asks until some calls after the session has ended.
func (v *visitor) keepAsking(ctx context.Context, p *process, q question) {
	for left := callsAfter; left > 0 && !v.broken.Load(); {
		gone := v.gone.Load()
		let, err := q.ask(ctx, p)
		if refused(err) {
			let, err = false, nil
		}
		if err == nil && !let && !v.leaving.Load() {
			err = errors.New("a live session was refused")
		}
		v.calls.Add(1)
		switch {
		case err != nil:
			first(&v.firstFailed, fmt.Sprintf("%s failed: %v", q.name, err))
			v.failed.Add(1)
			testbed.Pause(ctx, 5*time.Millisecond)
		case gone && let:
			first(&v.firstLet, fmt.Sprintf("%s accepted a session that was %s", q.name, []string{"deleted", "expired", "of a banned user"}[v.how]))
			v.let.Add(1)
		}
		if gone {
			v.after.Add(1)
			left--
		}
	}
}

func first(p *atomic.Pointer[string], text string) { p.CompareAndSwap(nil, &text) }

// refused reports whether an error is a refusal of the session, not a failure.
func refused(err error) bool {
	e, ok := errors.AsType[twirp.Error](err)
	return ok && (strings.HasPrefix(e.Meta("reason"), "SESSION_") && e.Code() == twirp.NotFound || e.Meta("reason") == "USER_BANNED")
}

func (v *visitor) getSession(ctx context.Context, p *process) (bool, error) {
	_, err := p.sessions.GetSession(ctx, &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: v.token}})
	return err == nil, err
}

func (v *visitor) getUser(ctx context.Context, p *process) (bool, error) {
	r, err := p.users.GetUserBySession(ctx, &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: v.token}})
	return !r.GetUser().GetBanned(), err
}

func (v *visitor) refresh(ctx context.Context, p *process) (bool, error) {
	r, err := p.sessions.RefreshSession(ctx, &databasev1.RefreshSessionRequest{Session: &databasev1.RefreshSessionRequest_Token{Token: v.token}})
	if r.GetExtended() {
		v.refreshed.Add(1)
	}
	return err == nil, err
}
