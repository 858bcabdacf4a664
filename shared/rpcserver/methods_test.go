package rpcserver_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

// method is an rpc with valid requests.
type method struct {
	path  string
	valid func(t testing.TB) proto.Message // a new message
}

// methods returns all rpcs of the three services. A new rpc needs a request here.
func methods(t testing.TB, e *testenv.Env, url string) map[string]method {
	t.Helper()
	user := e.AddUser(t, "Player1")
	_, token := e.AddSession(t, user, time.Hour)
	var id int64
	err := e.Owner.QueryRow(t.Context(), `INSERT INTO game.character (user_id, slot, name, level, job, money)
		VALUES (game.user_id($1), 0, 'Valid-Name', 1, 0, 0) RETURNING id`, user).Scan(&id)
	if err != nil {
		t.Fatal(err)
	}
	requests := map[string]func(t testing.TB) proto.Message{
		"GetUser":           func(testing.TB) proto.Message { return &databasev1.GetUserRequest{UserId: user} },
		"GetUserByUsername": func(testing.TB) proto.Message { return &databasev1.GetUserByUsernameRequest{Username: "Player1"} },
		"GetUserByEmail":    func(testing.TB) proto.Message { return &databasev1.GetUserByEmailRequest{Email: "player1@example.com"} },
		"GetUserBySession": func(testing.TB) proto.Message {
			return &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: token}}
		},
		"GetSession": func(testing.TB) proto.Message {
			return &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: token}}
		},
		"RefreshSession": func(testing.TB) proto.Message {
			return &databasev1.RefreshSessionRequest{Session: &databasev1.RefreshSessionRequest_Token{Token: token}}
		},
		"GetCharacter":     func(testing.TB) proto.Message { return &databasev1.GetCharacterRequest{UserId: user, CharacterId: id} },
		"GetCharacterList": func(testing.TB) proto.Message { return &databasev1.GetCharacterListRequest{UserId: user} },
		"CreateCharacter": func(testing.TB) proto.Message {
			return &databasev1.CreateCharacterRequest{UserId: user, Name: "Valid-Name"}
		},
		"DeleteCharacter": func(testing.TB) proto.Message {
			return &databasev1.DeleteCharacterRequest{UserId: user, CharacterId: id + 1}
		},
		"RestoreCharacter": func(testing.TB) proto.Message {
			return &databasev1.RestoreCharacterRequest{UserId: user, CharacterId: id}
		},
		"SaveCharacter": func(t testing.TB) proto.Message { // has the current version, so it reaches the statement
			r := &databasev1.SaveCharacterRequest{UserId: user, CharacterId: id, Level: proto.Int32(2)}
			if err := e.Owner.QueryRow(t.Context(), "SELECT version FROM game.character WHERE id = $1", id).Scan(&r.ExpectedVersion); err != nil {
				t.Fatal(err)
			}
			return r
		},
	}
	all := map[string]method{}
	for _, f := range []protoreflect.FileDescriptor{
		databasev1.File_osirose_database_v1_user_proto, databasev1.File_osirose_database_v1_session_proto, databasev1.File_osirose_database_v1_character_proto,
	} {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				name := string(s.Methods().Get(j).Name())
				valid := requests[name]
				if valid == nil {
					t.Fatalf("no valid request for %s: add one to methods", name)
				}
				all[name] = method{url + "/twirp/" + string(s.FullName()) + "/" + name, valid}
			}
		}
	}
	return all
}

// encode returns the message in both content types.
func encode(t testing.TB, m proto.Message) map[string]string {
	t.Helper()
	p, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	j, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{asProtobuf: string(p), asJSON: string(j)}
}
