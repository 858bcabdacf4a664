package rpcserver_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// longLists is a CharacterDbService whose FULL lists are larger than what one caller may leave waiting.
type longLists struct{ databasev1.CharacterDbService }

func (longLists) GetCharacterList(_ context.Context, r *databasev1.GetCharacterListRequest) (*databasev1.GetCharacterListResponse, error) {
	if r.View != databasev1.CharacterView_CHARACTER_VIEW_FULL {
		return &databasev1.GetCharacterListResponse{}, nil
	}
	return &databasev1.GetCharacterListResponse{Characters: []*databasev1.Character{{Name: strings.Repeat("x", rpcserver.MaxUnsent+1)}}}, nil
}

// TestUnsentAnswersOfOneCaller checks that a caller who does not take its answers gets no further FULL lists, on any connection. Others
// get theirs, and it gets everything else.
func TestUnsentAnswersOfOneCaller(t *testing.T) {
	t.Parallel()
	edge := rpcserver.New(slog.New(slog.DiscardHandler))
	edge.SetBudget(patience)
	edge.Sending(func(http.ResponseWriter, int) func() { return func() {} })
	s := httptest.NewUnstartedServer(edge.Handler(databasev1.NewCharacterDbServiceServer(longLists{}, edge.Options())))
	s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return callers.WithConnection(ctx, callers.NewConnection(c, nil))
	}
	s.Start()
	t.Cleanup(s.Close)
	get := func(from string, view databasev1.CharacterView) error {
		client := databasev1.NewCharacterDbServiceProtobufClient(s.URL, clientFrom(t, from))
		_, err := client.GetCharacterList(t.Context(), &databasev1.GetCharacterListRequest{UserId: "x", View: view})
		return err
	}
	const full, basic = databasev1.CharacterView_CHARACTER_VIEW_FULL, databasev1.CharacterView_CHARACTER_VIEW_BASIC

	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"user_id":"x","view":"CHARACTER_VIEW_FULL"}`
	if _, err := io.WriteString(conn, "POST /twirp/osirose.database.v1.CharacterDbService/GetCharacterList HTTP/1.1\r\nHost: x\r\n"+
		"Content-Type: application/json\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body); err != nil {
		t.Fatal(err)
	}
	await(t, edge, func() bool { return edge.UnsentOf(first) > rpcserver.MaxUnsent }) // the client does not read

	if e := twirpOf(get(first, full)); e.Code() != twirp.ResourceExhausted || e.Meta("reason") != "OVERLOADED" {
		t.Errorf("a further FULL list = %v, want it refused", e)
	}
	for what, err := range map[string]error{"a BASIC list": get(first, basic), "a FULL list of another caller": get(second, full)} {
		if err != nil {
			t.Errorf("%s = %v", what, err)
		}
	}
	conn.Close()
	await(t, edge, func() bool { return edge.UnsentOf(first) == 0 })
	if err := get(first, full); err != nil {
		t.Errorf("a FULL list afterwards = %v", err)
	}
}

func twirpOf(err error) twirp.Error {
	if e, ok := errors.AsType[twirp.Error](err); ok {
		return e
	}
	return twirp.NewError(twirp.NoError, "")
}
