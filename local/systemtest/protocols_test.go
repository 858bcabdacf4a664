package systemtest_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/twitchtv/twirp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/osirose-new/database-service/local/connmux"
	"github.com/osirose-new/database-service/local/grpcserver"
	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
)

// protocols are the ways to call a service.
var protocols = []request.Protocol{request.Protobuf, request.JSON, request.GRPC}

func asItIs(h http.Handler) http.Handler { return h }

// serveProtocols serves the services on one port, as the program does. around wraps Twirp's handler.
func serveProtocols(t testing.TB, edge *rpcserver.Server, s services.Services, around func(http.Handler) http.Handler) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	both := connmux.Split(l, nil)
	twirps := &httptest.Server{Listener: both.HTTP(), Config: &http.Server{
		Handler: around(testenv.WatchErrors(t, s.Handler(edge, grpcserver.Urgent...))),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return callers.WithConnection(ctx, callers.NewConnection(c, func() *tls.ConnectionState { return nil }))
		},
	}}
	twirps.Start()
	protocol := grpcserver.New(edge, func() bool { return true }, grpcserver.All(s.Users, s.Characters, s.Sessions, s.Staff)...)
	served := make(chan error, 1)
	go func() { served <- protocol.Serve(both.GRPC()) }()
	t.Cleanup(func() {
		_ = both.Close()               // no new connections
		protocol.Shutdown(t.Context()) // an ended context: do not wait
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Errorf("gRPC's protocol: %v", err)
		}
		twirps.Close()
	})
	return twirps.URL
}

// clients are clients of a program's services by one protocol.
type clients struct {
	users      databasev1.UserService
	sessions   databasev1.SessionService
	characters databasev1.CharacterDbService
	staff      databasev1.StaffService
	protocol   request.Protocol
	url        string
	transport  *http.Transport  // Twirp's
	conn       *grpc.ClientConn // gRPC's
}

// dial returns clients of the services at url. The first interceptor is the outermost.
func dial(t testing.TB, url string, protocol request.Protocol, interceptors ...twirp.Interceptor) *clients {
	t.Helper()
	c := &clients{protocol: protocol, url: url}
	if protocol == request.GRPC {
		c.conn = dialGRPC(t, strings.TrimPrefix(url, "http://"))
		g := grpcClient{c.conn, twirp.ChainInterceptors(interceptors...)}
		c.users, c.sessions, c.characters, c.staff = g, g, g, g
		return c
	}
	c.transport = http.DefaultTransport.(*http.Transport).Clone()
	c.transport.MaxIdleConnsPerHost = 256
	t.Cleanup(c.transport.CloseIdleConnections)
	client, watch := &http.Client{Transport: c.transport}, twirp.WithClientInterceptors(interceptors...)
	if protocol == request.JSON {
		client.Transport = documented{t, c.transport}
		c.users = databasev1.NewUserServiceJSONClient(url, client, watch)
		c.sessions = databasev1.NewSessionServiceJSONClient(url, client, watch)
		c.characters = databasev1.NewCharacterDbServiceJSONClient(url, client, watch)
		c.staff = databasev1.NewStaffServiceJSONClient(url, client, watch)
		return c
	}
	c.users = databasev1.NewUserServiceProtobufClient(url, client, watch)
	c.sessions = databasev1.NewSessionServiceProtobufClient(url, client, watch)
	c.characters = databasev1.NewCharacterDbServiceProtobufClient(url, client, watch)
	c.staff = databasev1.NewStaffServiceProtobufClient(url, client, watch)
	return c
}

// call calls the rpc of a request.
func (c *clients) call(ctx context.Context, request any) reply {
	switch r := request.(type) {
	case *databasev1.GetUserRequest:
		return replied(c.users.GetUser(ctx, r))
	case *databasev1.GetUserByUsernameRequest:
		return replied(c.users.GetUserByUsername(ctx, r))
	case *databasev1.GetUserByEmailRequest:
		return replied(c.users.GetUserByEmail(ctx, r))
	case *databasev1.GetUserBySessionRequest:
		return replied(c.users.GetUserBySession(ctx, r))
	case *databasev1.GetSessionRequest:
		return replied(c.sessions.GetSession(ctx, r))
	case *databasev1.RefreshSessionRequest:
		return replied(c.sessions.RefreshSession(ctx, r))
	case *databasev1.GetCharacterRequest:
		return replied(c.characters.GetCharacter(ctx, r))
	case *databasev1.GetCharacterListRequest:
		return replied(c.characters.GetCharacterList(ctx, r))
	case *databasev1.CreateCharacterRequest:
		return replied(c.characters.CreateCharacter(ctx, r))
	case *databasev1.DeleteCharacterRequest:
		return replied(c.characters.DeleteCharacter(ctx, r))
	case *databasev1.RestoreCharacterRequest:
		return replied(c.characters.RestoreCharacter(ctx, r))
	case *databasev1.SaveCharacterRequest:
		return replied(c.characters.SaveCharacter(ctx, r))
	case *databasev1.FindPlayersRequest:
		return replied(c.staff.FindPlayers(ctx, r))
	case *databasev1.GetPlayerRequest:
		return replied(c.staff.GetPlayer(ctx, r))
	case *databasev1.UndeleteCharacterRequest:
		return replied(c.staff.UndeleteCharacter(ctx, r))
	case *databasev1.RenameCharacterRequest:
		return replied(c.staff.RenameCharacter(ctx, r))
	case *databasev1.TransferCharacterRequest:
		return replied(c.staff.TransferCharacter(ctx, r))
	case *databasev1.AddNoteRequest:
		return replied(c.staff.AddNote(ctx, r))
	case *databasev1.ListNotesRequest:
		return replied(c.staff.ListNotes(ctx, r))
	case *databasev1.ListAuditRequest:
		return replied(c.staff.ListAudit(ctx, r))
	}
	return reply{err: fmt.Errorf("no rpc takes %T", request)}
}

// reply is the answer or the error of a call.
type reply struct {
	answer proto.Message // nil with an error
	err    error
}

func replied[A proto.Message](answer A, err error) reply {
	if err != nil {
		return reply{err: err}
	}
	return reply{answer: answer}
}
