package systemtest_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/faultproxy"
	"github.com/osirose-new/database-service/shared/testenv"
)

// cutRig is a program whose only connection to PostgreSQL is cut, and a second program on the same Redis without cuts.
type cutRig struct {
	*env
	program *app.Program
	mine    *clients // through the connection that is cut
	others  *clients
	user    string
	known   []int64               // the user's characters, including deleted ones
	decoy   *databasev1.Character // for calls that prepare statements and change nothing
}

func newCutRig(t *testing.T) *cutRig {
	t.Helper()
	e := start(t, testenv.RedisKinds()[0])
	r := &cutRig{env: e, user: e.AddUser(t, newName())}
	r.program = e.Open(t, func(c *app.Options) { c.DatabaseURL += "&pool_max_conns=1" })
	r.mine = serve(t, r.program)
	r.others = serve(t, e.Open(t, func(c *app.Options) {
		c.DatabaseURL = strings.Replace(c.DatabaseURL, e.PGProxy.Addr(), testenv.Postgres(t).Addr(), 1)
	}))
	made, err := patiently(t, r.others.characters.CreateCharacter, &databasev1.CreateCharacterRequest{UserId: e.AddUser(t, newName()), Name: newName()})
	if err != nil {
		t.Fatal(err)
	}
	r.decoy = made.Character
	return r
}

// cutWrite is a write whose connection is cut.
type cutWrite struct {
	// sent and received are the bytes between two cuts.
	sent, received int
	// arrange prepares the database so that the write changes something, and returns the write. The write may be repeated as a
	// caller repeats it. number differs each time.
	arrange func(t *testing.T, number int) func(context.Context) error
	// prepare makes the program prepare the write's statements, and changes nothing.
	prepare func(context.Context) error
	// times returns from the database how many times the write has taken effect since arrange.
	times func(t *testing.T) int
}

// run cuts the connection after 0, 1, 2... steps of bytes in a direction, until the write ends before the cut.
func (w cutWrite) run(t *testing.T, r *cutRig, d faultproxy.Direction) {
	step := w.received
	if d == faultproxy.Sent {
		step = w.sent
	}
	cuts, ok, committed := 0, 0, 0
	for n := 0; ; n += step {
		if t.Context().Err() != nil {
			t.Fatalf("no end after %d bytes", n)
		}
		result := w.once(t, r, d, n)
		if t.Failed() {
			t.Fatalf("the connection was cut after %d bytes", n)
		}
		if !result.cut {
			t.Logf("%d bytes, cut after every %d: %d cuts, of which %d calls succeeded and %d writes were committed", result.bytes, step, cuts, ok, committed)
			if d == faultproxy.Received && committed == 0 || cuts == 0 {
				t.Error("no cut came after the commit")
			}
			return
		}
		cuts++
		ok += result.ok
		committed += result.committed
	}
}

type cutResult struct {
	cut           bool
	bytes         int
	ok, committed int
}

func (w cutWrite) once(t *testing.T, r *cutRig, d faultproxy.Direction, n int) cutResult {
	t.Helper()
	write := w.arrange(t, n)
	r.cacheAll(t)
	if err := w.prepare(t.Context()); err != nil {
		t.Fatalf("prepare: %v", err)
	}
	r.freshen(t)

	cut := r.PGProxy.CutAfter(d, n)
	err := write(t.Context())
	happened, passed := cut.Happened()
	r.PGProxy.CutAfter(d, 1<<30)
	result := cutResult{cut: happened, bytes: passed, committed: w.times(t)}
	switch got := faultOf(err); {
	case got == none:
		result.ok = 1
		if result.committed != 1 {
			t.Errorf("the write succeeded and took effect %d times", result.committed)
		}
	case got != unavailable && got.code != twirp.DeadlineExceeded:
		t.Errorf("the write over a cut connection = %v, want success or unavailable", err)
	}
	r.wantTruth(t)
	if err := patientlyDo(t, write); err != nil {
		t.Errorf("the repeated write = %v, want success", err)
	}
	if times := w.times(t); times != 1 {
		t.Errorf("the write and its repetition took effect %d times", times)
	}
	return result
}

// patientlyDo is patiently for a call without a request argument.
func patientlyDo(t *testing.T, call func(context.Context) error) error {
	t.Helper()
	_, err := patiently(t, func(ctx context.Context, _ struct{}) (struct{}, error) { return struct{}{}, call(ctx) }, struct{}{})
	return err
}

// freshen makes the watermark fresh without a sync, so that reads return what a write did not delete from Redis.
func (r *cutRig) freshen(t *testing.T) {
	t.Helper()
	setWatermarkAge(t, r.env, 0)
}

// changed changes rows without the program, and deletes the user's values from Redis.
func (r *cutRig) changed(t *testing.T, sql string, args ...any) {
	t.Helper()
	r.known = r.ids(t)
	r.OwnerExec(t, sql, args...)
	keys := []string{"characters:" + r.user}
	for _, id := range r.known {
		keys = append(keys, fmt.Sprint("character:", id))
	}
	if err := r.Redis.Client.Del(t.Context(), keys...).Err(); err != nil {
		t.Fatal(err)
	}
}

// cacheAll reads until every value of the user is in Redis.
func (r *cutRig) cacheAll(t *testing.T) {
	t.Helper()
	eventually(t, "hits", func() bool {
		r.freshen(t)
		before := r.program.Cache.Stats().Hits
		seen, all := r.readAll(t, r.mine)
		return r.program.Cache.Stats().Hits-before == uint64(1+len(seen)) && all == nil
	})
}

// ids returns the ids of the user's rows in the database.
func (r *cutRig) ids(t *testing.T) []int64 {
	t.Helper()
	rows, err := r.Owner.Query(t.Context(), `SELECT id FROM game.character WHERE user_id = $1 ORDER BY id`, r.user)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

// version is a character's version, and whether its deletion is scheduled.
type version struct {
	n      int64
	marked bool
}

// truth returns the user's visible characters in the database.
func (r *cutRig) truth(t *testing.T) map[int64]version {
	t.Helper()
	rows, err := r.Owner.Query(t.Context(), `SELECT id, version, delete_at IS NOT NULL FROM game.character WHERE user_id = $1 AND deleted_at IS NULL`, r.user)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	truth := map[int64]version{}
	for rows.Next() {
		var id int64
		var v version
		if err := rows.Scan(&id, &v.n, &v.marked); err != nil {
			t.Fatal(err)
		}
		truth[id] = v
	}
	return truth
}

// readAll reads the user's characters in the list and one by one. It returns an error if the two differ.
func (r *cutRig) readAll(t *testing.T, c *clients) (map[int64]version, error) {
	t.Helper()
	list, err := patiently(t, c.characters.GetCharacterList, &databasev1.GetCharacterListRequest{UserId: r.user})
	if err != nil {
		return nil, err
	}
	seen := map[int64]version{}
	for _, c := range list.Characters {
		seen[c.Id] = version{c.Version, c.DeleteAt != nil}
	}
	for _, id := range r.known {
		got, err := patiently(t, c.characters.GetCharacter, &databasev1.GetCharacterRequest{CharacterId: id})
		_, listed := seen[id]
		switch {
		case faultOf(err).code == twirp.NotFound && !listed:
		case err != nil || !listed:
			return seen, fmt.Errorf("character %d is in the list: %t; alone it is %v, %w", id, listed, got, err)
		case seen[id] != version{got.Character.Version, got.Character.DeleteAt != nil}:
			return seen, fmt.Errorf("character %d is %v in the list, and alone %v", id, seen[id], got.Character)
		}
	}
	return seen, nil
}

// wantTruth checks that both programs read what the database has, with values from Redis if it still has some.
func (r *cutRig) wantTruth(t *testing.T) {
	t.Helper()
	want := r.truth(t)
	for id := range want {
		if !slices.Contains(r.known, id) {
			r.known = append(r.known, id)
		}
	}
	r.freshen(t)
	for name, c := range map[string]*clients{"this program": r.mine, "another program": r.others} {
		if got, err := r.readAll(t, c); err != nil || !maps.Equal(got, want) {
			t.Errorf("after the write %s reads %v (%v), want %v", name, got, err, want)
		}
	}
}
