package grpcserver

import (
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// NewPinged is New with pingEvery instead of PingEvery.
func NewPinged(edge *rpcserver.Server, pingEvery time.Duration) *Server {
	return newServer(edge, func() bool { return true }, pingEvery)
}

var userContract = databasev1.File_osirose_database_v1_user_proto.Services().ByName("UserService")

// IncompleteUsers lacks a method of the contract.
func IncompleteUsers(s databasev1.UserService) Service {
	return newService(userContract, s, method(databasev1.UserService.GetUser))
}

// ForeignUsers has a method of another service.
func ForeignUsers(s databasev1.UserService) Service {
	type service = databasev1.UserService
	return newService(userContract, s, method(service.GetUser), method(service.GetUserByUsername), method(service.GetUserByEmail),
		method(service.GetUserBySession), rpc[service]{request: databasev1.File_osirose_database_v1_session_proto.Messages().Get(0)})
}

// DoubleUsers has one method twice and lacks another.
func DoubleUsers(s databasev1.UserService) Service {
	type service = databasev1.UserService
	return newService(userContract, s, method(service.GetUser), method(service.GetUser), method(service.GetUserByEmail), method(service.GetUserBySession))
}
