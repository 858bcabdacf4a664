package grpcserver_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

// requests returns a valid request for each rpc. A new rpc needs an entry here.
func requests(t testing.TB, e *testenv.Env) map[string]func(testing.TB) proto.Message {
	t.Helper()
	user := e.AddUser(t, "Player1")
	_, token := e.AddSession(t, user, time.Hour)
	var id int64
	err := e.Owner.QueryRow(t.Context(), `INSERT INTO game.character (user_id, slot, name, level, job, money)
		VALUES (game.user_id($1), 0, 'Valid-Name', 1, 0, 0) RETURNING id`, user).Scan(&id)
	if err != nil {
		t.Fatal(err)
	}
	constant := func(m proto.Message) func(testing.TB) proto.Message {
		return func(testing.TB) proto.Message { return proto.Clone(m) }
	}
	const why = "a reason"
	return map[string]func(testing.TB) proto.Message{
		"FindPlayers":       constant(&databasev1.FindPlayersRequest{Query: "Player1"}),
		"GetPlayer":         constant(&databasev1.GetPlayerRequest{UserId: user}),
		"UndeleteCharacter": constant(&databasev1.UndeleteCharacterRequest{CharacterId: id + 1, Reason: why}),
		"RenameCharacter":   constant(&databasev1.RenameCharacterRequest{CharacterId: id, NewName: "Valid-Name", Reason: why}),
		"TransferCharacter": constant(&databasev1.TransferCharacterRequest{CharacterId: id + 1, FromUserId: user, ToUserId: "a", Reason: why}),
		"AddNote":           constant(&databasev1.AddNoteRequest{UserId: user, Text: why}),
		"ListNotes":         constant(&databasev1.ListNotesRequest{UserId: user}),
		"ListAudit":         constant(&databasev1.ListAuditRequest{Limit: 1}),
		"GetUser":           constant(&databasev1.GetUserRequest{UserId: user}),
		"GetUserByUsername": constant(&databasev1.GetUserByUsernameRequest{Username: "Player1"}),
		"GetUserByEmail":    constant(&databasev1.GetUserByEmailRequest{Email: "player1@example.com"}),
		"GetUserBySession":  constant(&databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: token}}),
		"GetSession":        constant(&databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: token}}),
		"RefreshSession":    constant(&databasev1.RefreshSessionRequest{Session: &databasev1.RefreshSessionRequest_Token{Token: token}}),
		"GetCharacter":      constant(&databasev1.GetCharacterRequest{UserId: user, CharacterId: id}),
		"GetCharacterList":  constant(&databasev1.GetCharacterListRequest{UserId: user}),
		"CreateCharacter":   constant(&databasev1.CreateCharacterRequest{UserId: user, Name: "Valid-Name"}),
		"DeleteCharacter":   constant(&databasev1.DeleteCharacterRequest{UserId: user, CharacterId: id + 1}),
		"RestoreCharacter":  constant(&databasev1.RestoreCharacterRequest{UserId: user, CharacterId: id}),
		"SaveCharacter": func(t testing.TB) proto.Message { // needs the current version
			r := &databasev1.SaveCharacterRequest{UserId: user, CharacterId: id, Level: proto.Int32(2)}
			if err := e.Owner.QueryRow(t.Context(), "SELECT version FROM game.character WHERE id = $1", id).Scan(&r.ExpectedVersion); err != nil {
				t.Fatal(err)
			}
			return r
		},
	}
}

// wantNoneIn checks that a text, for example a log line, contains none of the parts. Case does not matter.
func wantNoneIn(t testing.TB, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if strings.Contains(strings.ToLower(text), strings.ToLower(part)) {
			t.Errorf("%s %s, which leaks %q", what, text, part)
		}
	}
}
