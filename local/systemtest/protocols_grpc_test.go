package systemtest_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/twitchtv/twirp"
	"github.com/twitchtv/twirp/ctxsetters"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

func dialGRPC(t testing.TB, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // no call runs
	return conn
}

// grpcClient implements the interfaces of Twirp's generated clients by gRPC.
type grpcClient struct {
	conn        *grpc.ClientConn
	interceptor twirp.Interceptor // nil: none
}

const contractPackage = "osirose.database.v1"

// invoke makes a call, for example of "UserService/GetUser".
func invoke[A any, PA interface {
	*A
	proto.Message
}](ctx context.Context, c grpcClient, rpc string, request proto.Message) (PA, error) {
	call := func(ctx context.Context, request any) (any, error) {
		answer := PA(new(A))
		if err := c.conn.Invoke(ctx, "/"+contractPackage+"."+rpc, request, answer); err != nil {
			return nil, twirpOf(err)
		}
		return answer, nil
	}
	if c.interceptor != nil {
		call = c.interceptor(call)
	}
	_, method, _ := strings.Cut(rpc, "/")
	answer, err := call(ctxsetters.WithMethodName(ctx, method), request)
	if err != nil {
		return nil, err
	}
	return answer.(PA), nil
}

var innerCapital = regexp.MustCompile(`([a-z])([A-Z])`)

// twirpOf converts a gRPC status to a Twirp error. Reason and meta come from google.rpc.ErrorInfo.
func twirpOf(err error) twirp.Error {
	s := status.Convert(err)
	e := twirp.NewError(twirp.ErrorCode(strings.ToLower(innerCapital.ReplaceAllString(s.Code().String(), "${1}_$2"))), s.Message())
	for _, detail := range s.Details() {
		info, ok := detail.(*errdetails.ErrorInfo)
		if !ok {
			continue
		}
		e = e.WithMeta("reason", info.Reason)
		for name, value := range info.Metadata {
			e = e.WithMeta(name, value)
		}
		if info.Domain != contractPackage {
			e = e.WithMeta("domain", info.Domain)
		}
	}
	return e
}

// bytesCodec sends bytes unchanged, for requests that no client sends.
type bytesCodec struct{}

// Name implements encoding.CodecV2.
func (bytesCodec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

// Unmarshal implements encoding.CodecV2.
func (bytesCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

func (c grpcClient) GetUser(ctx context.Context, r *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
	return invoke[databasev1.GetUserResponse](ctx, c, "UserService/GetUser", r)
}

func (c grpcClient) GetUserByUsername(ctx context.Context, r *databasev1.GetUserByUsernameRequest) (*databasev1.GetUserByUsernameResponse, error) {
	return invoke[databasev1.GetUserByUsernameResponse](ctx, c, "UserService/GetUserByUsername", r)
}

func (c grpcClient) GetUserByEmail(ctx context.Context, r *databasev1.GetUserByEmailRequest) (*databasev1.GetUserByEmailResponse, error) {
	return invoke[databasev1.GetUserByEmailResponse](ctx, c, "UserService/GetUserByEmail", r)
}

func (c grpcClient) GetUserBySession(ctx context.Context, r *databasev1.GetUserBySessionRequest) (*databasev1.GetUserBySessionResponse, error) {
	return invoke[databasev1.GetUserBySessionResponse](ctx, c, "UserService/GetUserBySession", r)
}

func (c grpcClient) GetSession(ctx context.Context, r *databasev1.GetSessionRequest) (*databasev1.GetSessionResponse, error) {
	return invoke[databasev1.GetSessionResponse](ctx, c, "SessionService/GetSession", r)
}

func (c grpcClient) RefreshSession(ctx context.Context, r *databasev1.RefreshSessionRequest) (*databasev1.RefreshSessionResponse, error) {
	return invoke[databasev1.RefreshSessionResponse](ctx, c, "SessionService/RefreshSession", r)
}

func (c grpcClient) GetCharacter(ctx context.Context, r *databasev1.GetCharacterRequest) (*databasev1.GetCharacterResponse, error) {
	return invoke[databasev1.GetCharacterResponse](ctx, c, "CharacterDbService/GetCharacter", r)
}

func (c grpcClient) GetCharacterList(ctx context.Context, r *databasev1.GetCharacterListRequest) (*databasev1.GetCharacterListResponse, error) {
	return invoke[databasev1.GetCharacterListResponse](ctx, c, "CharacterDbService/GetCharacterList", r)
}

func (c grpcClient) CreateCharacter(ctx context.Context, r *databasev1.CreateCharacterRequest) (*databasev1.CreateCharacterResponse, error) {
	return invoke[databasev1.CreateCharacterResponse](ctx, c, "CharacterDbService/CreateCharacter", r)
}

func (c grpcClient) DeleteCharacter(ctx context.Context, r *databasev1.DeleteCharacterRequest) (*databasev1.DeleteCharacterResponse, error) {
	return invoke[databasev1.DeleteCharacterResponse](ctx, c, "CharacterDbService/DeleteCharacter", r)
}

func (c grpcClient) RestoreCharacter(ctx context.Context, r *databasev1.RestoreCharacterRequest) (*databasev1.RestoreCharacterResponse, error) {
	return invoke[databasev1.RestoreCharacterResponse](ctx, c, "CharacterDbService/RestoreCharacter", r)
}

func (c grpcClient) SaveCharacter(ctx context.Context, r *databasev1.SaveCharacterRequest) (*databasev1.SaveCharacterResponse, error) {
	return invoke[databasev1.SaveCharacterResponse](ctx, c, "CharacterDbService/SaveCharacter", r)
}

func (c grpcClient) FindPlayers(ctx context.Context, r *databasev1.FindPlayersRequest) (*databasev1.FindPlayersResponse, error) {
	return invoke[databasev1.FindPlayersResponse](ctx, c, "StaffService/FindPlayers", r)
}

func (c grpcClient) GetPlayer(ctx context.Context, r *databasev1.GetPlayerRequest) (*databasev1.GetPlayerResponse, error) {
	return invoke[databasev1.GetPlayerResponse](ctx, c, "StaffService/GetPlayer", r)
}

func (c grpcClient) UndeleteCharacter(ctx context.Context, r *databasev1.UndeleteCharacterRequest) (*databasev1.UndeleteCharacterResponse, error) {
	return invoke[databasev1.UndeleteCharacterResponse](ctx, c, "StaffService/UndeleteCharacter", r)
}

func (c grpcClient) RenameCharacter(ctx context.Context, r *databasev1.RenameCharacterRequest) (*databasev1.RenameCharacterResponse, error) {
	return invoke[databasev1.RenameCharacterResponse](ctx, c, "StaffService/RenameCharacter", r)
}

func (c grpcClient) TransferCharacter(ctx context.Context, r *databasev1.TransferCharacterRequest) (*databasev1.TransferCharacterResponse, error) {
	return invoke[databasev1.TransferCharacterResponse](ctx, c, "StaffService/TransferCharacter", r)
}

func (c grpcClient) AddNote(ctx context.Context, r *databasev1.AddNoteRequest) (*databasev1.AddNoteResponse, error) {
	return invoke[databasev1.AddNoteResponse](ctx, c, "StaffService/AddNote", r)
}

func (c grpcClient) ListNotes(ctx context.Context, r *databasev1.ListNotesRequest) (*databasev1.ListNotesResponse, error) {
	return invoke[databasev1.ListNotesResponse](ctx, c, "StaffService/ListNotes", r)
}

func (c grpcClient) ListAudit(ctx context.Context, r *databasev1.ListAuditRequest) (*databasev1.ListAuditResponse, error) {
	return invoke[databasev1.ListAuditResponse](ctx, c, "StaffService/ListAudit", r)
}
