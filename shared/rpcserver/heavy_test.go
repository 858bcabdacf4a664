package rpcserver_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/rpcserver"
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
			defer slot.Resume()
		}
		l.inside <- struct{}{}
		<-l.free
	}
	return &databasev1.GetCharacterListResponse{}, nil
}

// TestFullLists reproduces A6 of the security review: FULL lists leave the other slots to other requests, also to those of the same
// caller.
func TestFullLists(t *testing.T) {
	t.Parallel()
	edge := rpcserver.New(slog.New(slog.DiscardHandler))
	edge.SetBudget(patience)
	edge.FixSlots()
	l := lists{inside: make(chan struct{}, 100), free: make(chan struct{})}
	s := httptest.NewServer(edge.Handler(databasev1.NewCharacterDbServiceServer(l, edge.Options())))
	t.Cleanup(s.Close)
	client := databasev1.NewCharacterDbServiceProtobufClient(s.URL, http.DefaultClient)
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
	edge := rpcserver.New(slog.New(slog.DiscardHandler))
	edge.SetBudget(patience)
	edge.FixSlots()
	l := lists{inside: make(chan struct{}, 100), free: make(chan struct{}), queue: true}
	s := httptest.NewServer(edge.Handler(databasev1.NewCharacterDbServiceServer(l, edge.Options())))
	t.Cleanup(s.Close)
	client := databasev1.NewCharacterDbServiceProtobufClient(s.URL, http.DefaultClient)
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
