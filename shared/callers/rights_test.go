package callers_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestTableOfRights compares the roles with the table in README.md.
func TestTableOfRights(t *testing.T) {
	t.Parallel()
	rights, of := testenv.TableOfRights(t, "README.md")
	if !slices.Equal(rights, callers.Names()) {
		t.Errorf("rights in README.md %q, want %q", rights, callers.Names())
	}
	if len(of) != 7 {
		t.Errorf("README.md has %d roles, want 7", len(of))
	}
	for role, want := range of {
		has, known := callers.RightsOf(role)
		if !known {
			t.Errorf("there is no role %s", role)
		}
		for i, right := range callers.Names() {
			if got := has.Has(1 << i); got != slices.Contains(want, right) {
				t.Errorf("%s has %s: %t; README.md says %t", role, right, got, !got)
			}
		}
	}
}

// TestEveryRPCHasARight makes a new rpc fail until it has a right and a row.
func TestEveryRPCHasARight(t *testing.T) {
	t.Parallel()
	rpcs := 0
	protoregistry.GlobalFiles.RangeFilesByPackage("osirose.database.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				rpcs++
				m := s.Methods().Get(j)
				rpc := string(s.Name()) + "/" + string(m.Name())
				need, known := callers.NeededFor(rpc)
				if !known || need == 0 || callers.Rights(0).Missing(need) != string(m.Name()) {
					t.Errorf("%s has no right of its name", rpc)
				}
				message, err := protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName())
				if err != nil {
					t.Fatal(err)
				}
				if callers.Needed(message.New().Interface()) == callers.Needed("no request") {
					t.Errorf("callers.Needed does not know %s", m.Input().Name())
				}
			}
		}
		return true
	})
	if rpcs < 20 {
		t.Errorf("found %d rpcs, want 20 or more", rpcs)
	}
}

// TestEveryEnumValueHasARight makes a new enum value in a request fail until someone has decided what it needs.
func TestEveryEnumValueHasARight(t *testing.T) {
	t.Parallel()
	needs := map[string]callers.Rights{
		"GetCharacterRequest.CHARACTER_VIEW_UNSPECIFIED":     callers.GetCharacterFull,
		"GetCharacterRequest.CHARACTER_VIEW_BASIC":           0,
		"GetCharacterRequest.CHARACTER_VIEW_FULL":            callers.GetCharacterFull,
		"GetCharacterListRequest.CHARACTER_VIEW_UNSPECIFIED": 0,
		"GetCharacterListRequest.CHARACTER_VIEW_BASIC":       0,
		"GetCharacterListRequest.CHARACTER_VIEW_FULL":        callers.GetCharacterListFull,
		"DeleteCharacterRequest.DELETE_MODE_UNSPECIFIED":     0,
		"DeleteCharacterRequest.DELETE_MODE_SCHEDULED":       0,
		"DeleteCharacterRequest.DELETE_MODE_IMMEDIATE":       callers.DeleteCharacterImmediate,
		"FindPlayersRequest.PLAYER_FIELD_UNSPECIFIED":        0, // without an @ in the query
		"FindPlayersRequest.PLAYER_FIELD_USER_ID":            0,
		"FindPlayersRequest.PLAYER_FIELD_USERNAME":           0,
		"FindPlayersRequest.PLAYER_FIELD_EMAIL":              callers.FindPlayersByEmail,
		"FindPlayersRequest.PLAYER_FIELD_CHARACTER_NAME":     0,
		"FindPlayersRequest.PLAYER_FIELD_SESSION_ID":         0,
		"FindPlayersRequest.PLAYER_MATCH_UNSPECIFIED":        0,
		"FindPlayersRequest.PLAYER_MATCH_EXACT":              0,
		"FindPlayersRequest.PLAYER_MATCH_PREFIX":             0,
	}
	found := 0
	protoregistry.GlobalTypes.RangeMessages(func(m protoreflect.MessageType) bool {
		d := m.Descriptor()
		if d.ParentFile().Package() != "osirose.database.v1" || !strings.HasSuffix(string(d.Name()), "Request") {
			return true
		}
		for i := range d.Fields().Len() {
			field := d.Fields().Get(i)
			for j := 0; field.Enum() != nil && j < field.Enum().Values().Len(); j++ {
				value := field.Enum().Values().Get(j)
				request := m.New()
				request.Set(field, protoreflect.ValueOfEnum(value.Number()))
				if owner := d.Fields().ByName("user_id"); owner != nil {
					request.Set(owner, protoreflect.ValueOfString("u"))
				}
				name := string(d.Name()) + "." + string(value.Name())
				want, decided := needs[name]
				if got := callers.Needed(request.Interface()); !decided || got != want {
					t.Errorf("%s needs %b, want %b (decided: %t)", name, got, want, decided)
				}
				found++
			}
		}
		return true
	})
	if found != len(needs) {
		t.Errorf("found %d enum values, want %d", found, len(needs))
	}
}

// TestPowers checks what requests need beyond their rpc.
func TestPowers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		request proto.Message
		want    callers.Rights
	}{
		{&databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_SessionId{}}, callers.GetUserBySessionByID},
		{&databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_SessionId{}}, callers.GetSessionByID},
		{&databasev1.RefreshSessionRequest{Session: &databasev1.RefreshSessionRequest_SessionId{}}, callers.RefreshSessionByID},
		{&databasev1.RefreshSessionRequest{Session: &databasev1.RefreshSessionRequest_Token{}}, 0},
		{&databasev1.GetCharacterRequest{View: databasev1.CharacterView_CHARACTER_VIEW_BASIC}, callers.GetCharacterAnyOwner},
		{&databasev1.GetCharacterRequest{}, callers.GetCharacterAnyOwner | callers.GetCharacterFull},
		{&databasev1.GetCharacterRequest{UserId: "u", View: 99}, callers.GetCharacterFull},
		{&databasev1.GetCharacterListRequest{UserId: "u", View: 99}, callers.GetCharacterListFull},
		{&databasev1.DeleteCharacterRequest{UserId: "u", Mode: 99}, callers.DeleteCharacterImmediate},
		{&databasev1.SaveCharacterRequest{}, callers.SaveCharacterAnyOwner},
		{&databasev1.SaveCharacterRequest{UserId: "u"}, 0},
	} {
		if got := callers.Needed(test.request); got != test.want {
			t.Errorf("%T %v needs %b, want %b", test.request, test.request, got, test.want)
		}
	}
}

// Many requests may have the same user, so an answer without personal fields has a copy.
func TestRedactChangesACopy(t *testing.T) {
	t.Parallel()
	u := &databasev1.User{Id: "u1", Email: "a@example.com", BanReason: "spam"}
	for _, answer := range []interface{ GetUser() *databasev1.User }{
		&databasev1.GetUserResponse{User: u}, &databasev1.GetUserByUsernameResponse{User: u}, &databasev1.GetUserByEmailResponse{User: u},
		&databasev1.GetUserBySessionResponse{User: u},
	} {
		callers.Rights(0).Redact(answer)
		if got := answer.GetUser(); got.Email+got.BanReason != "" || got.Id != "u1" {
			t.Errorf("%T has %v, want only the id", answer, got)
		}
	}
	if u.Email == "" || u.BanReason == "" {
		t.Errorf("the user of other requests has become %v", u)
	}
}
