package grpcserver_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"

	"github.com/osirose-new/database-service/local/grpcserver"
	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

const (
	large = 100_000 // bytes of an answer, more than HTTP/2's window
	hour  = time.Hour
	huge  = int64(1 << 40)
)

// largeAnswer is a GetUser whose answer is large.
func largeAnswer(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
	return &databasev1.GetUserResponse{User: &databasev1.User{Id: strings.Repeat("x", large)}}, nil
}

// taking serves largeAnswer.
func taking(t *testing.T, within time.Duration, all, each int64) *protocol {
	t.Helper()
	return serveServer(t, grpcserver.NewTaking(edgeTo(io.Discard), within, all, each, grpcserver.Users(fake{getUser: largeAnswer})))
}

// closedWindow returns a connection whose client lets the server send no byte of an answer.
func closedWindow(t *testing.T, d *protocol) *raw {
	t.Helper()
	r := dialRaw(t, d)
	if err := r.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}); err != nil {
		t.Fatal(err)
	}
	return r
}

// ask sends a request for a large answer.
func (r *raw) ask(t *testing.T, id uint32) {
	t.Helper()
	r.open(t, id, getUser)
	if err := r.WriteData(id, true, []byte(framed(0, ""))); err != nil {
		t.Fatal(err)
	}
}

// wantEnd reads until the server closes the connection.
func (r *raw) wantEnd(t *testing.T) {
	t.Helper()
	for {
		_, err := r.ReadFrame()
		if e, ok := err.(interface{ Timeout() bool }); ok && e.Timeout() {
			t.Fatalf("the connection is open after %s, want it closed", patience)
		}
		if err != nil {
			return
		}
	}
}

// wantUnsent waits until that many answers wait for their clients.
func wantUnsent(t *testing.T, d *protocol, answers int64) {
	t.Helper()
	for end := time.Now().Add(patience); d.Unsent()/large != answers; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d bytes of answers wait, want %d answers", d.Unsent(), answers)
		}
	}
}

// A client that takes nothing of an answer is sent away. Otherwise three connections would pin all memory (finding A2).
func TestAnswerNotTaken(t *testing.T) {
	t.Parallel()
	d := taking(t, 100*time.Millisecond, huge, huge)
	r := closedWindow(t, d)
	r.ask(t, 1)
	r.wantEnd(t)
	wantUnsent(t, d, 0)
	if n := d.Stalled(); n != 1 {
		t.Errorf("Stalled = %d, want 1", n)
	}
}

// A client may open its window late. The answer arrives, and counts no longer.
func TestAnswerTakenLate(t *testing.T) {
	t.Parallel()
	d := taking(t, hour, huge, huge)
	r := closedWindow(t, d)
	r.ask(t, 1)
	wantUnsent(t, d, 1)
	if err := r.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteWindowUpdate(0, 1<<20); err != nil {
		t.Fatal(err)
	}
	r.await(t, func(f http2.Frame) bool {
		h, ok := f.(*http2.HeadersFrame)
		return ok && h.StreamEnded()
	})
	wantUnsent(t, d, 0)
}

// What a client leaves behind counts no longer.
func TestAnswerAbandoned(t *testing.T) {
	t.Parallel()
	d := taking(t, hour, huge, huge)
	gone, resets := closedWindow(t, d), closedWindow(t, d)
	gone.ask(t, 1)
	resets.ask(t, 1)
	wantUnsent(t, d, 2)
	if err := resets.WriteRSTStream(1, http2.ErrCodeCancel); err != nil {
		t.Fatal(err)
	}
	wantUnsent(t, d, 1)
	if err := gone.conn.Close(); err != nil {
		t.Fatal(err)
	}
	wantUnsent(t, d, 0)
	if n := d.Stalled(); n != 0 {
		t.Errorf("Stalled = %d, want 0: the server closed no connection", n)
	}
}

// The answers that wait are bounded for each connection: a further request is refused.
func TestAnswersOfOneConnection(t *testing.T) {
	t.Parallel()
	d := taking(t, hour, huge, 2*large+large/2)
	r := closedWindow(t, d)
	for i := range uint32(3) {
		r.ask(t, 2*i+1)
		wantUnsent(t, d, int64(i)+1)
	}
	r.ask(t, 7)
	r.await(t, func(f http2.Frame) bool {
		h, ok := f.(*http2.HeadersFrame)
		return ok && h.StreamID == 7 && h.StreamEnded() // an error without an answer
	})
	wantUnsent(t, d, 3)
	wantAnswer(t, "GetUser on another connection", get(t.Context(), d.conn, ""), codes.OK, "")
}

// A request that waited for a slot meets answers that were made meanwhile. No answer is made that could not be sent.
func TestUnsentAnswersOfEarlierRequests(t *testing.T) {
	t.Parallel()
	c := blocking{inside: new(sync.WaitGroup), free: make(chan struct{})}
	edge, reached, first := fixed(edgeTo(io.Discard)), make(chan struct{}, 1), make(chan struct{})
	holds := fake{c, func(ctx context.Context, r *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		if r.UserId != "" {
			return c.GetUser(ctx, r)
		}
		select {
		case reached <- struct{}{}:
			<-first
			return largeAnswer(ctx, r)
		default:
			t.Error("a request of a full connection was served")
			return nil, errors.New("served") // so that its stream ends
		}
	}}
	d := serveServer(t, grpcserver.NewTaking(edge, hour, huge, large/2, grpcserver.Users(holds)))
	r, slots := closedWindow(t, d), rpcserver.MaxRequests*7/8
	var done sync.WaitGroup
	var conns []*grpc.ClientConn
	for range slots/grpcserver.MaxStreams + 1 {
		conns = append(conns, d.dial(t))
	}
	c.fill(t, &done, conns, slots-1, "GetUser", &databasev1.GetUserRequest{UserId: "x"})
	r.ask(t, 1)
	for len(reached) == 0 {
		runtime.Gosched()
	}
	r.ask(t, 3)
	for edge.Limits().Waiting == 0 {
		runtime.Gosched()
	}
	close(first)
	r.await(t, func(f http2.Frame) bool {
		h, ok := f.(*http2.HeadersFrame)
		return ok && h.StreamID == 3 && h.StreamEnded() // an error without an answer
	})
	close(c.free)
	done.Wait()
	wantUnsent(t, d, 1)
}

// A caller that leaves too many answers gets no FULL lists on another connection either. Package rpcserver refuses them.
func TestUnsentAnswersOfOneCaller(t *testing.T) {
	t.Parallel()
	const many = 17 << 20 // bytes, more than rpcserver permits one caller
	users := fake{getUser: func(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		return &databasev1.GetUserResponse{User: &databasev1.User{Id: strings.Repeat("x", many)}}, nil
	}}
	d := serveServer(t, grpcserver.NewTaking(edgeTo(io.Discard), hour, huge, huge, grpcserver.Users(users), grpcserver.Characters(noCharacters{})))
	fullList := func() answer {
		return answerOf(d.conn.Invoke(t.Context(), pkg+"CharacterDbService/GetCharacterList",
			&databasev1.GetCharacterListRequest{UserId: "x", View: databasev1.CharacterView_CHARACTER_VIEW_FULL}, &databasev1.GetCharacterListResponse{}))
	}
	wantAnswer(t, "a FULL list", fullList(), codes.OK, "")
	r := closedWindow(t, d)
	r.ask(t, 1)
	wantUnsent(t, d, many/large)
	wantAnswer(t, "a FULL list on another connection", fullList(), codes.ResourceExhausted, "OVERLOADED")
	r.conn.Close()
	wantUnsent(t, d, 0)
	wantAnswer(t, "a FULL list afterwards", fullList(), codes.OK, "")
}

// noCharacters is a CharacterDbService of users without characters.
type noCharacters struct{ databasev1.CharacterDbService }

func (noCharacters) GetCharacterList(context.Context, *databasev1.GetCharacterListRequest) (*databasev1.GetCharacterListResponse, error) {
	return &databasev1.GetCharacterListResponse{}, nil
}

// The answers that wait are bounded for all connections: the one that lets its answer wait longest is closed, and the others are
// served.
func TestAnswersOfAllConnections(t *testing.T) {
	t.Parallel()
	d := taking(t, hour, 2*large+large/2, huge)
	first, second := closedWindow(t, d), closedWindow(t, d)
	first.ask(t, 1)
	wantUnsent(t, d, 1)
	second.ask(t, 1)
	wantUnsent(t, d, 2)
	wantAnswer(t, "GetUser on another connection", get(t.Context(), d.conn, ""), codes.OK, "")
	first.wantEnd(t)
	wantUnsent(t, d, 1)
	if n := d.Stalled(); n != 1 {
		t.Errorf("Stalled = %d, want 1", n)
	}
}

// Compressed answers would not be counted, so no answer is compressed.
func TestAnswerToCompressedRequest(t *testing.T) {
	t.Parallel()
	d := taking(t, hour, huge, huge)
	r := closedWindow(t, d)
	r.open(t, 1, getUser, "grpc-encoding", "gzip", "grpc-accept-encoding", "gzip")
	if err := r.WriteData(1, true, []byte(framed(0, ""))); err != nil {
		t.Fatal(err)
	}
	wantUnsent(t, d, 1)
	wantAnswer(t, "GetUser by gzip", get(t.Context(), d.conn, "", grpc.UseCompressor(gzip.Name)), codes.OK, "")
	response, _ := post(t, d, getUser, "application/grpc", framed(0, ""), "Grpc-Encoding", gzip.Name, "Grpc-Accept-Encoding", gzip.Name)
	if got := response.Header.Get("Grpc-Encoding"); got != "" && got != "identity" {
		t.Errorf("the answer is compressed by %s", got)
	}
}

// A client that does not read from its socket is sent away, too. Its small answers are not counted.
func TestNotReading(t *testing.T) {
	t.Parallel()
	d := serveServer(t, grpcserver.NewTaking(edgeTo(io.Discard), 100*time.Millisecond, huge, huge, grpcserver.Users(fake{getUser: small})))
	r := dialRaw(t, d)
	if err := r.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteWindowUpdate(0, 1<<30); err != nil {
		t.Fatal(err)
	}
	for id := uint32(1); ; id += 2 { // until the buffers of both sockets are full, and the server gives up
		err := r.tryOpen(id, getUser)
		if err == nil {
			err = r.WriteData(id, true, []byte(framed(0, "")))
		}
		if e, ok := err.(net.Error); ok && e.Timeout() {
			t.Fatalf("the connection is open after %s, want it closed", patience)
		}
		if err != nil {
			return
		}
	}
}

// small is a GetUser whose answer is just too small to be counted.
func small(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
	return &databasev1.GetUserResponse{User: &databasev1.User{Id: strings.Repeat("x", 1000)}}, nil
}
