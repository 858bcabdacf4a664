package rpcserver_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/testenv"
)

// lists is a CharacterDbService whose FULL lists wait until free is closed.
type lists struct {
	databasev1.CharacterDbService
	inside chan struct{}
	free   chan struct{}
	queue  bool // they wait for the database
}

func (l lists) GetCharacterList(ctx context.Context, r *databasev1.GetCharacterListRequest) (*databasev1.GetCharacterListResponse, error) {
	if r.View == databasev1.CharacterView_CHARACTER_VIEW_FULL {
		slot := request.From(ctx).Slot
		if l.queue {
			slot.Queue()
			defer slot.Resume(true)
		}
		l.inside <- struct{}{}
		<-l.free
	}
	return &databasev1.GetCharacterListResponse{}, nil
}

// serveLists returns a server with the full number of slots, and a client of its lists.
func serveLists(t *testing.T, of databasev1.CharacterDbService) (*rpcserver.Server, databasev1.CharacterDbService) {
	t.Helper()
	edge := rpcserver.New(slog.New(slog.DiscardHandler))
	edge.SetBudget(patience)
	edge.FixSlots()
	s := httptest.NewServer(edge.Handler(databasev1.NewCharacterDbServiceServer(of, edge.Options())))
	t.Cleanup(s.Close)
	return edge, databasev1.NewCharacterDbServiceProtobufClient(s.URL, http.DefaultClient)
}

// TestFullLists reproduces A6 of the security review: FULL lists leave the other slots to other requests, also to those of the same
// caller.
func TestFullLists(t *testing.T) {
	t.Parallel()
	l := lists{inside: make(chan struct{}, 100), free: make(chan struct{})}
	edge, client := serveLists(t, l)
	full := &databasev1.GetCharacterListRequest{UserId: "x", View: databasev1.CharacterView_CHARACTER_VIEW_FULL}
	const atOnce = rpcserver.MaxRequests / 4 / 8
	var all sync.WaitGroup
	defer all.Wait()
	for range atOnce {
		all.Go(func() {
			if _, err := client.GetCharacterList(context.Background(), full); err != nil {
				t.Errorf("a FULL list = %v", err)
			}
		})
	}
	defer close(l.free)
	for range atOnce {
		<-l.inside
	}
	another := make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := client.GetCharacterList(ctx, full)
		another <- err
	}()
	await(t, edge, func() bool { return edge.Limits().Waiting == 1 })
	for range rpcserver.MaxRequests {
		if _, err := client.GetCharacterList(t.Context(), &databasev1.GetCharacterListRequest{UserId: "x"}); err != nil {
			t.Fatalf("a BASIC list beside FULL ones = %v", err)
		}
	}
	cancel()
	if err := <-another; err == nil {
		t.Error("there are more FULL lists at once than allowed")
	}
	select {
	case <-l.inside:
		t.Error("a waiting FULL list got the slot of another request")
	default:
	}
}

// TestFullListsThatWaitForTheDatabase checks that they take no slots meanwhile: a database that hangs is no overload.
func TestFullListsThatWaitForTheDatabase(t *testing.T) {
	t.Parallel()
	l := lists{inside: make(chan struct{}, 100), free: make(chan struct{}), queue: true}
	edge, client := serveLists(t, l)
	var all sync.WaitGroup
	for range 3 * rpcserver.MaxRequests / 4 / 8 {
		all.Go(func() {
			if _, err := client.GetCharacterList(context.Background(), &databasev1.GetCharacterListRequest{UserId: "x", View: databasev1.CharacterView_CHARACTER_VIEW_FULL}); err != nil {
				t.Errorf("a FULL list = %v", err)
			}
			l.inside <- struct{}{}
		})
	}
	for range 3 * rpcserver.MaxRequests / 4 / 8 {
		<-l.inside // a list is inside, or it was refused
	}
	close(l.free)
	all.Wait()
	if n := edge.InFlight(); n != 0 {
		t.Errorf("%d requests hold a slot at the end", n)
	}
}

// busyLists is a CharacterDbService whose lists count how many of them work at once after the database has answered.
type busyLists struct {
	databasev1.CharacterDbService
	now, most *atomic.Int64
}

func (l busyLists) GetCharacterList(ctx context.Context, r *databasev1.GetCharacterListRequest) (*databasev1.GetCharacterListResponse, error) {
	slot := request.From(ctx).Slot
	for range len(r.UserId) { // as many statements as the user's name has letters
		heavy := slot.Queue()
		slot.Pause()
		slot.Resume(true)
		if !heavy {
			return nil, rpcserver.Error(twirp.Internal, "INTERNAL", "not heavy")
		}
		here := l.now.Add(1)
		for most := l.most.Load(); here > most && !l.most.CompareAndSwap(most, here); most = l.most.Load() {
			continue
		}
		for range 20 {
			runtime.Gosched() // others may begin
		}
		l.now.Add(-1)
	}
	return &databasev1.GetCharacterListResponse{}, nil
}

// TestFullListsAreMadeInTurn checks that few lists work at once after the database has answered, and that none keeps its turn.
func TestFullListsAreMadeInTurn(t *testing.T) {
	t.Parallel()
	l := busyLists{now: new(atomic.Int64), most: new(atomic.Int64)}
	edge, client := serveLists(t, l)
	list := func(user string) {
		if _, err := client.GetCharacterList(t.Context(), &databasev1.GetCharacterListRequest{UserId: user, View: databasev1.CharacterView_CHARACTER_VIEW_FULL}); err != nil {
			t.Errorf("a FULL list = %v", err)
		}
	}
	list("a")
	await(t, edge, func() bool { return edge.InFlight() == 0 })
	if n := edge.Turns(); n != 0 {
		t.Fatalf("%d lists have a turn, and none is left", n)
	}
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() { list("ab") })
	}
	all.Wait()
	if most, want := l.most.Load(), int64(max(runtime.GOMAXPROCS(0)/2, 1)); most > want {
		t.Errorf("%d lists worked at once, want at most %d", most, want)
	}
}

// refusedLists is a CharacterDbService whose database refuses the lists of the user "refused". Other lists keep their turn until free is
// closed.
type refusedLists struct {
	databasev1.CharacterDbService
	inside, free chan struct{}
	refused      chan error // gets nil if the time of the refused list has not ended
}

func (l refusedLists) GetCharacterList(ctx context.Context, r *databasev1.GetCharacterListRequest) (*databasev1.GetCharacterListResponse, error) {
	slot := request.From(ctx).Slot
	slot.Queue()
	if r.UserId == "refused" {
		slot.Resume(false)
		l.refused <- ctx.Err()
		return nil, rpcserver.Error(twirp.ResourceExhausted, "OVERLOADED", "refused")
	}
	slot.Resume(true)
	l.inside <- struct{}{}
	<-l.free
	return &databasev1.GetCharacterListResponse{}, nil
}

// TestRefusedListsWaitForNoTurn checks that a list without a result ends while others have all turns.
func TestRefusedListsWaitForNoTurn(t *testing.T) {
	t.Parallel()
	l := refusedLists{inside: make(chan struct{}), free: make(chan struct{}), refused: make(chan error, 1)}
	edge, client := serveLists(t, l)
	edge.SetBudget(testenv.RequestBudget)
	list := func(user string) error {
		_, err := client.GetCharacterList(context.Background(), &databasev1.GetCharacterListRequest{UserId: user, View: databasev1.CharacterView_CHARACTER_VIEW_FULL})
		return err
	}
	var all sync.WaitGroup
	defer all.Wait()
	for range max(runtime.GOMAXPROCS(0)/2, 1) {
		all.Go(func() { _ = list("x") })
		<-l.inside
	}
	defer close(l.free)
	answer := list("refused")
	select {
	case err := <-l.refused:
		if err != nil {
			t.Errorf("a list without a result waited for the turn of another one: %v", err)
		}
	default:
		t.Errorf("the refused list was not tried: %v", answer)
	}
}
