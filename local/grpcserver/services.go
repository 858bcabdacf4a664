package grpcserver

import (
	"slices"
	"strings"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/request"
)

// Users returns UserService with s as its implementation.
func Users(s databasev1.UserService) Service {
	type service = databasev1.UserService
	return newService(databasev1.File_osirose_database_v1_user_proto.Services().ByName("UserService"), s,
		method(service.GetUser), method(service.GetUserByUsername), method(service.GetUserByEmail), method(service.GetUserBySession))
}

// Sessions returns SessionService with s as its implementation.
func Sessions(s databasev1.SessionService) Service {
	type service = databasev1.SessionService
	return newService(databasev1.File_osirose_database_v1_session_proto.Services().ByName("SessionService"), s,
		method(service.GetSession), method(service.RefreshSession))
}

// Characters returns CharacterDbService with s as its implementation.
func Characters(s databasev1.CharacterDbService) Service {
	type service = databasev1.CharacterDbService
	return newService(databasev1.File_osirose_database_v1_character_proto.Services().ByName("CharacterDbService"), s,
		method(service.GetCharacter), method(service.GetCharacterList), method(service.CreateCharacter),
		method(service.DeleteCharacter), method(service.RestoreCharacter), method(service.SaveCharacter))
}

// Staff returns StaffService with s as its implementation.
func Staff(s databasev1.StaffService) Service {
	type service = databasev1.StaffService
	return newService(databasev1.File_osirose_database_v1_staff_proto.Services().ByName("StaffService"), s,
		method(service.FindPlayers), method(service.GetPlayer), method(service.UndeleteCharacter), method(service.RenameCharacter),
		method(service.TransferCharacter), method(service.AddNote), method(service.ListNotes), method(service.ListAudit))
}

// All returns all services.
func All(users databasev1.UserService, characters databasev1.CharacterDbService, sessions databasev1.SessionService, staff databasev1.StaffService) []Service {
	return []Service{Users(users), Characters(characters), Sessions(sessions), Staff(staff)}
}

// Urgent lists the calls that admit players. Under overload they are served while others are refused. Each entry is the start
// of a Twirp path.
var Urgent = []string{databasev1.SessionServicePathPrefix, databasev1.UserServicePathPrefix + "GetUserBySession"}

func isUrgent(c request.Class) bool {
	path := "/twirp/osirose.database.v1." + c.RPC()
	return slices.ContainsFunc(Urgent, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
}
