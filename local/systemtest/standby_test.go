package systemtest_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/testenv"
)

// lostMoney is a character's money after a commit on the primary that the standby never received.
const lostMoney, lostName = 666, "Lost"

// promotion is a primary that dies with commits that its standby never received, while Redis has them cached.
type promotion struct {
	*pgPlayer
	primary, standby *testenv.Cluster
	cluster          string // of the primary's change log
	after            *testenv.Database
}

// TestPromotion promotes the standby of a dead primary.
func TestPromotion(t *testing.T) {
	t.Parallel()
	primary, standby, replication := testenv.NewStandby(t)
	inner := primary.Env(t, redisKind())
	e := &env{inner, serve(t, inner.Program)}
	p := &promotion{pgPlayer: newPGPlayer(t, e), primary: primary, standby: standby, after: standby.Database(t)}
	p.awaitReplay(t)
	replication.Refuse()
	p.loseCommits(t)
	changes, err := p.Program.DB.Changes(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	p.cluster = changes.Cluster
	if err := primary.Kill(); err != nil {
		t.Fatal(err)
	}
	// The database's address leads to the standby before its promotion.
	p.PGProxy.SetTarget(standby.Addr())
	p.PGProxy.Reset()
	p.wantRefused(t)
	p.promote(t)
	cached := p.copyRedis(t)
	p.wantNewEpoch(t, "within MaxStaleness", 300*time.Millisecond)
	p.pasteRedis(t, cached)
	p.wantNewEpoch(t, "beyond MaxStaleness", 2*time.Second)
	p.wantWrites(t)
}

func (p *promotion) awaitReplay(t *testing.T) {
	t.Helper()
	var lsn string
	if err := p.Owner.QueryRow(t.Context(), `SELECT pg_current_wal_lsn()::text`).Scan(&lsn); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the standby to replay", func() (done bool) {
		err := p.after.Owner.QueryRow(t.Context(), `SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn`, lsn).Scan(&done)
		return err == nil && done
	})
}

// loseCommits makes commits on the primary that are never streamed, through the service and by the web application.
func (p *promotion) loseCommits(t *testing.T) {
	t.Helper()
	_, err := patiently(t, p.characters.SaveCharacter, &databasev1.SaveCharacterRequest{
		UserId: p.id, CharacterId: p.saved.Id, ExpectedVersion: 1, SaveId: cutUUID(666), Money: proto.Int64(lostMoney)})
	if err != nil {
		t.Fatal(err)
	}
	p.WebExec(t, `UPDATE {user} SET [name] = $1 WHERE id = $2`, lostName, p.id)
	p.WebExec(t, `UPDATE {session} SET [expiresAt] = now() WHERE id = $1`, p.session)
	eventually(t, "a sync to see the web application's change", func() bool { return p.lost(t) == 3 })
	p.wantHits(t, "on the primary", 0)
}

// lost counts the answers that contain a commit of the lost timeline, out of three that may.
func (p *promotion) lost(t *testing.T) (n int) {
	t.Helper()
	c, err := patiently(t, p.characters.GetCharacter, &databasev1.GetCharacterRequest{CharacterId: p.saved.Id})
	if err != nil {
		t.Fatal(err)
	}
	l, err := patiently(t, p.characters.GetCharacterList, &databasev1.GetCharacterListRequest{UserId: p.id})
	if err != nil {
		t.Fatal(err)
	}
	u, err := patiently(t, p.users.GetUser, &databasev1.GetUserRequest{UserId: p.id})
	if err != nil {
		t.Fatal(err)
	}
	if c.Character.Money == lostMoney {
		n++
	}
	if l.Characters[0].Money == lostMoney {
		n++
	}
	if u.User.Name == lostName {
		n++
	}
	return n
}

// wantRefused checks that the service refuses every call on the standby, which lacks acknowledged commits, for example a
// revoked session.
func (p *promotion) wantRefused(t *testing.T) {
	t.Helper()
	if _, err := p.Program.DB.Changes(t.Context(), ""); !errors.Is(err, postgres.ErrUnavailable) {
		t.Errorf("a sync on a standby = %v, want %v", err, postgres.ErrUnavailable)
	}
	p.wantHits(t, "with a standby in the primary's place", 0)
	setWatermarkAge(t, p.env, 2*time.Second)
	for range 5 { // the first call syncs, and the others find its lock
		wantEach(t, "on a standby", p.all(), unavailable)
	}
	// A failed sync leaves its lock to expire, which takes long with stretched budgets.
	if err := p.Redis.Client.Del(t.Context(), p.SyncLock(t)).Err(); err != nil {
		t.Fatal(err)
	}
}

// promote promotes the standby and observes the parts of the change log's cluster name from before the end of recovery.
func (p *promotion) promote(t *testing.T) {
	t.Helper()
	watch, err := pgx.Connect(t.Context(), p.standby.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close(context.Background())
	var all sync.WaitGroup
	all.Go(func() { p.after.OwnerExec(t, `SELECT pg_promote(wait => false)`) })
	defer all.Wait()
	for recovering, polls := true, 1; recovering; polls++ {
		var checkpoint, recovery int
		if err := watch.QueryRow(t.Context(), `SELECT pg_is_in_recovery(), k.timeline_id, r.min_recovery_end_timeline
			FROM pg_control_checkpoint() AS k, pg_control_recovery() AS r`).Scan(&recovering, &checkpoint, &recovery); err != nil {
			t.Fatal(err)
		}
		if recovering {
			continue
		}
		t.Logf("poll %d, the first after recovery: the checkpoint's timeline is %d, the recovery's %d", polls, checkpoint, recovery)
		if max(checkpoint, recovery) != 2 {
			t.Error("neither is the new timeline")
		}
	}
	var changes postgres.Changes
	eventually(t, "the change log", func() bool {
		changes, err = p.Program.DB.Changes(t.Context(), "")
		return err == nil
	})
	// The system's identifier, the timeline, the server's start and the database.
	if was, is := strings.Split(p.cluster, "/"), strings.Split(changes.Cluster, "/"); was[0] != is[0] || was[1] != "1" || is[1] != "2" || was[2] == is[2] {
		t.Errorf("the change log's cluster was %s before the promotion and is %s", was, is)
	}
	t.Logf("%s became %s", p.cluster, changes.Cluster)
}

// wantNewEpoch reads under a watermark of the lost timeline until a sync sees the new timeline. Until then a
// watermark younger than MaxStaleness is valid, and an older one is not.
func (p *promotion) wantNewEpoch(t *testing.T, when string, age time.Duration) {
	t.Helper()
	before := p.Program.Cache.Stats()
	eventually(t, "a sync", func() bool {
		setWatermarkAge(t, p.env, age)
		if lost := p.lost(t); lost > 0 && age > time.Second {
			t.Errorf("%s, %d of 3 reads returned a lost commit", when, lost)
		}
		return p.Program.Cache.Stats().Syncs > before.Syncs
	})
	if lost := p.lost(t); lost > 0 {
		t.Errorf("%s, %d of 3 reads returned a lost commit after a sync", when, lost)
	}
	p.wantHits(t, "on the new primary", 0)
	if lost, n := p.lost(t), p.Program.Cache.Stats().NewEpochs-before.NewEpochs; lost > 0 || n != 1 {
		t.Errorf("%s, %d of 3 hits contain a lost commit, after %d new epochs, want 0 hits and 1 epoch", when, lost, n)
	}
}

// wantWrites checks that the new primary assigns the version of the lost save again.
func (p *promotion) wantWrites(t *testing.T) {
	t.Helper()
	wantEach(t, "on the new primary", p.all(), none)
	got, err := patiently(t, p.characters.GetCharacter, &databasev1.GetCharacterRequest{CharacterId: p.saved.Id})
	if err != nil || got.Character.Version != 2 || got.Character.Money != 7 {
		t.Errorf("GetCharacter after the save = %v, %v, want version 2 with 7", got, err)
	}
}

// copyRedis returns all values in Redis, except the names that lead to a user.
func (p *promotion) copyRedis(t *testing.T) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	for _, key := range p.Redis.Client.Keys(t.Context(), "*").Val() {
		if fields := p.Redis.Client.HGetAll(t.Context(), key).Val(); len(fields) > 0 {
			all[key] = fields
		}
	}
	return all
}

func (p *promotion) pasteRedis(t *testing.T, all map[string]map[string]string) {
	t.Helper()
	if err := p.Redis.Client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for key, fields := range all {
		if err := p.Redis.Client.HSet(t.Context(), key, fields).Err(); err != nil {
			t.Fatal(err)
		}
	}
}
