package callers

import (
	"math/bits"
	"strings"

	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

// Rights is a set of rights. A right is an rpc in its weakest form, or a power of an rpc beyond that.
type Rights uint64

// The rights. Their names are in [Names].
const (
	GetUser Rights = 1 << iota
	GetUserPersonal
	GetUserByUsername
	GetUserByUsernamePersonal
	GetUserByEmail
	GetUserByEmailPersonal
	GetUserBySession
	GetUserBySessionByID
	GetUserBySessionPersonal
	GetSession
	GetSessionByID
	GetSessionPersonal
	RefreshSession
	RefreshSessionByID
	RefreshSessionPersonal
	GetCharacter
	GetCharacterAnyOwner
	GetCharacterFull
	GetCharacterList
	GetCharacterListFull
	CreateCharacter
	DeleteCharacter
	DeleteCharacterImmediate
	RestoreCharacter
	SaveCharacter
	SaveCharacterAnyOwner
	FindPlayers
	FindPlayersByEmail
	GetPlayer
	GetPlayerPersonal
	UndeleteCharacter
	RenameCharacter
	TransferCharacter
	AddNote
	ListNotes
	ListAudit
	Metrics
	Reflection
	// All has every right.
	All Rights = 1<<iota - 1
)

// names has the name of each right, in the order of the constants.
var names = [...]string{
	"GetUser", "GetUser.personal",
	"GetUserByUsername", "GetUserByUsername.personal",
	"GetUserByEmail", "GetUserByEmail.personal",
	"GetUserBySession", "GetUserBySession.session_id", "GetUserBySession.personal",
	"GetSession", "GetSession.session_id", "GetSession.personal",
	"RefreshSession", "RefreshSession.session_id", "RefreshSession.personal",
	"GetCharacter", "GetCharacter.any_owner", "GetCharacter.full",
	"GetCharacterList", "GetCharacterList.full",
	"CreateCharacter",
	"DeleteCharacter", "DeleteCharacter.immediate",
	"RestoreCharacter",
	"SaveCharacter", "SaveCharacter.any_owner",
	"FindPlayers", "FindPlayers.email",
	"GetPlayer", "GetPlayer.personal",
	"UndeleteCharacter", "RenameCharacter", "TransferCharacter",
	"AddNote", "ListNotes", "ListAudit",
	"metrics", "reflection",
}

// Names returns the names of all rights.
func Names() []string { return names[:] }

// Has reports whether r includes all of need.
func (r Rights) Has(need Rights) bool { return r&need == need }

// Missing returns the name of a right in need that r lacks. There must be one.
func (r Rights) Missing(need Rights) string { return names[bits.TrailingZeros64(uint64(need&^r))] }

// roles are the built-in roles. A service and its players' money are safest if each caller has the smallest one that works.
var roles = map[string]Rights{
	"login": GetUserBySession | GetSession | RefreshSession,
	"character": GetUserBySession | GetSession | RefreshSession | GetCharacter | GetCharacterFull | GetCharacterList | GetCharacterListFull |
		CreateCharacter | DeleteCharacter | RestoreCharacter,
	"world": GetUserBySession | GetSession | GetSessionByID | RefreshSession | RefreshSessionByID | GetUser | GetCharacter | GetCharacterFull |
		GetCharacterList | SaveCharacter,
	"web": GetUser | GetUserPersonal | GetCharacter | GetCharacterList | DeleteCharacter | RestoreCharacter,
	"support": GetSession | GetSessionByID | GetSessionPersonal | GetUser | GetUserPersonal | GetUserByUsername | GetUserByUsernamePersonal |
		GetUserByEmail | GetUserByEmailPersonal | GetCharacter | GetCharacterAnyOwner | GetCharacterFull | GetCharacterList | GetCharacterListFull |
		DeleteCharacter | DeleteCharacterImmediate | RestoreCharacter |
		FindPlayers | FindPlayersByEmail | GetPlayer | GetPlayerPersonal | AddNote | ListNotes | ListAudit,
	"repair": GetCharacter | GetCharacterAnyOwner | GetCharacterFull | GetCharacterList | GetCharacterListFull | SaveCharacter | SaveCharacterAnyOwner |
		FindPlayers | GetPlayer | UndeleteCharacter | RenameCharacter | TransferCharacter | AddNote | ListNotes | ListAudit,
	"monitor": Metrics | Reflection,
}

// ofRPC has the right to each rpc in its weakest form. An rpc that is not in it needs all rights.
var ofRPC = map[string]Rights{
	"UserService/GetUser":                 GetUser,
	"UserService/GetUserByUsername":       GetUserByUsername,
	"UserService/GetUserByEmail":          GetUserByEmail,
	"UserService/GetUserBySession":        GetUserBySession,
	"SessionService/GetSession":           GetSession,
	"SessionService/RefreshSession":       RefreshSession,
	"CharacterDbService/GetCharacter":     GetCharacter,
	"CharacterDbService/GetCharacterList": GetCharacterList,
	"CharacterDbService/CreateCharacter":  CreateCharacter,
	"CharacterDbService/DeleteCharacter":  DeleteCharacter,
	"CharacterDbService/RestoreCharacter": RestoreCharacter,
	"CharacterDbService/SaveCharacter":    SaveCharacter,
	"StaffService/FindPlayers":            FindPlayers,
	"StaffService/GetPlayer":              GetPlayer,
	"StaffService/UndeleteCharacter":      UndeleteCharacter,
	"StaffService/RenameCharacter":        RenameCharacter,
	"StaffService/TransferCharacter":      TransferCharacter,
	"StaffService/AddNote":                AddNote,
	"StaffService/ListNotes":              ListNotes,
	"StaffService/ListAudit":              ListAudit,
}

// NeededFor returns the right to an rpc, for example UserService/GetUser, before its request was read. known is false if there is
// no such rpc.
func NeededFor(rpc string) (need Rights, known bool) {
	need, known = ofRPC[rpc]
	return need, known
}

// Needed returns the rights that a request needs beyond its rpc's own. A message that is no request of the contract needs all.
func Needed(request any) Rights {
	switch r := request.(type) {
	case *databasev1.GetUserBySessionRequest:
		return either(r.Session, GetUserBySessionByID)
	case *databasev1.GetSessionRequest:
		return either(r.Session, GetSessionByID)
	case *databasev1.RefreshSessionRequest:
		return either(r.Session, RefreshSessionByID)
	case *databasev1.GetCharacterRequest:
		return anyOwner(r.UserId, GetCharacterAnyOwner) | viewOf(r.View, GetCharacterFull, GetCharacterFull)
	case *databasev1.GetCharacterListRequest:
		return viewOf(r.View, 0, GetCharacterListFull)
	case *databasev1.DeleteCharacterRequest:
		return modeOf(r.Mode)
	case *databasev1.SaveCharacterRequest:
		return anyOwner(r.UserId, SaveCharacterAnyOwner)
	case *databasev1.FindPlayersRequest:
		return byEmail(r)
	case *databasev1.GetPlayerRequest:
		if r.Reason != "" {
			return GetPlayerPersonal
		}
		return 0
	case *databasev1.GetUserRequest, *databasev1.GetUserByUsernameRequest, *databasev1.GetUserByEmailRequest,
		*databasev1.CreateCharacterRequest, *databasev1.RestoreCharacterRequest,
		*databasev1.UndeleteCharacterRequest, *databasev1.RenameCharacterRequest, *databasev1.TransferCharacterRequest,
		*databasev1.AddNoteRequest, *databasev1.ListNotesRequest, *databasev1.ListAuditRequest:
		return 0
	}
	return All
}

// either returns byID if session, the oneof of a request, is a session_id.
func either(session any, byID Rights) Rights {
	switch session.(type) {
	case *databasev1.GetUserBySessionRequest_SessionId, *databasev1.GetSessionRequest_SessionId, *databasev1.RefreshSessionRequest_SessionId:
		return byID
	}
	return 0
}

// byEmail returns what a search needs if it looks at e-mail addresses. A field that the contract does not have needs it; the service
// refuses it.
func byEmail(r *databasev1.FindPlayersRequest) Rights {
	switch r.By {
	case databasev1.PlayerField_PLAYER_FIELD_UNSPECIFIED:
		if !strings.Contains(r.Query, "@") {
			return 0
		}
	case databasev1.PlayerField_PLAYER_FIELD_USER_ID, databasev1.PlayerField_PLAYER_FIELD_USERNAME,
		databasev1.PlayerField_PLAYER_FIELD_CHARACTER_NAME, databasev1.PlayerField_PLAYER_FIELD_SESSION_ID:
		return 0
	}
	return FindPlayersByEmail
}

func anyOwner(userID string, need Rights) Rights {
	if userID == "" {
		return need
	}
	return 0
}

// viewOf returns what a view needs. A view that the contract does not have needs the most; the service refuses it.
func viewOf(v databasev1.CharacterView, unspecified, full Rights) Rights {
	switch v {
	case databasev1.CharacterView_CHARACTER_VIEW_UNSPECIFIED:
		return unspecified
	case databasev1.CharacterView_CHARACTER_VIEW_BASIC:
		return 0
	}
	return full
}

func modeOf(m databasev1.DeleteMode) Rights {
	switch m {
	case databasev1.DeleteMode_DELETE_MODE_UNSPECIFIED, databasev1.DeleteMode_DELETE_MODE_SCHEDULED:
		return 0
	}
	return DeleteCharacterImmediate
}

// Redact empties the personal fields of an answer that r does not allow: e-mail address, ban reason, IP address and user agent. It
// changes a copy of the user, because other requests may have the same.
func (r Rights) Redact(answer any) {
	switch a := answer.(type) {
	case *databasev1.GetUserResponse:
		a.User = r.redactUser(GetUserPersonal, a.User)
	case *databasev1.GetUserByUsernameResponse:
		a.User = r.redactUser(GetUserByUsernamePersonal, a.User)
	case *databasev1.GetUserByEmailResponse:
		a.User = r.redactUser(GetUserByEmailPersonal, a.User)
	case *databasev1.GetUserBySessionResponse:
		a.User = r.redactUser(GetUserBySessionPersonal, a.User)
		r.redactSession(GetUserBySessionPersonal, a.Session)
	case *databasev1.GetSessionResponse:
		r.redactSession(GetSessionPersonal, a.Session)
	case *databasev1.RefreshSessionResponse:
		r.redactSession(RefreshSessionPersonal, a.Session)
	}
}

func (r Rights) redactUser(personal Rights, u *databasev1.User) *databasev1.User {
	if u == nil || r.Has(personal) {
		return u
	}
	u = proto.CloneOf(u)
	u.Email, u.BanReason = "", ""
	return u
}

func (r Rights) redactSession(personal Rights, s *databasev1.Session) {
	if s != nil && !r.Has(personal) {
		s.IpAddress, s.UserAgent = "", ""
	}
}
