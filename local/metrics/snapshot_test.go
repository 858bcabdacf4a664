package metrics_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/local/metrics"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/limiter"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/request"
)

func TestSnapshot(t *testing.T) {
	t.Parallel()
	m := metrics.New("")
	if got := m.Snapshot(); len(got.RPCs) > 0 {
		t.Errorf("before the first request: %+v, want no rpc", got)
	}
	class := func(method string, protocol request.Protocol, code twirp.ErrorCode) request.Class {
		return request.Class{Service: "UserService", Method: method, Protocol: protocol, Code: code}
	}
	m.Class(class("GetUser", request.JSON, "ok"))(time.Millisecond)
	m.Class(class("GetUser", request.Protobuf, "ok"))(1500 * time.Microsecond)
	m.Class(class("GetUser", request.JSON, twirp.NotFound))(0)
	m.Class(class("GetUser", request.JSON, twirp.Internal))(2 * time.Second)
	m.Class(class("GetUserByEmail", request.JSON, twirp.Unavailable))(500 * time.Millisecond)
	m.Class(request.Class{Code: "bad_route"})(0)
	limits, reads, pool := limiter.Stats{Inside: 1}, cache.Stats{Hits: 2}, postgres.Stats{InUse: 3}
	m.Show(limits, reads, pool)
	got := m.Snapshot()
	want := metrics.Snapshot{
		RPCs: []metrics.RPC{
			{Name: "UserService/GetUser", Requests: 4, Errors: 2, Failures: 1, Took: metrics.Durations{0: 1, 2: 1, 3: 1, 12: 1}},
			{Name: "UserService/GetUserByEmail", Requests: 1, Errors: 1, Failures: 1, Took: metrics.Durations{10: 1}},
			{Name: "none", Requests: 1, Errors: 1, Took: metrics.Durations{0: 1}},
		},
		Limits: limits, Cache: reads, Pool: pool,
	}
	byName := map[string]metrics.RPC{}
	for _, r := range got.RPCs {
		byName[r.Name] = r
	}
	for i, r := range want.RPCs {
		if diff := cmp.Diff(r, byName[r.Name]); diff != "" || len(got.RPCs) != len(want.RPCs) {
			t.Errorf("rpc %d of %d (-want +got):\n%s", i, len(got.RPCs), diff)
		}
	}
	if got.Limits != want.Limits || got.Cache != want.Cache || got.Pool != want.Pool {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if took := want.RPCs[0].Took; took.Bound(2) != .001 || !math.IsInf(took.Bound(len(took)-1), 1) {
		t.Errorf("bounds: %v and %v s, want 0.001 and +Inf", took.Bound(2), took.Bound(len(took)-1))
	}
}
