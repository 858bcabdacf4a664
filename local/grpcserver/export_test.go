package grpcserver

import (
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// NewPinged is New with pingEvery instead of PingEvery.
func NewPinged(edge *rpcserver.Server, pingEvery time.Duration) *Server {
	l := defaults
	l.pingEvery = pingEvery
	return newServer(edge, func() bool { return true }, l)
}

// NewAged is New with connections that are used only for age.
func NewAged(edge *rpcserver.Server, age time.Duration, services ...Service) *Server {
	l := defaults
	l.age = age
	return newServer(edge, func() bool { return true }, l, services...)
}

// NewTaking is New with another time to take an answer, and other bounds for the bytes of the answers that were not taken.
func NewTaking(edge *rpcserver.Server, within time.Duration, all, each int64, services ...Service) *Server {
	l := defaults
	l.takeWithin, l.maxUnsent, l.maxUnsentEach = within, all, each
	return newServer(edge, func() bool { return true }, l, services...)
}

// Unsent returns the number of bytes of answers that were not taken.
func (s *Server) Unsent() int64 { return s.outbox.bytes.Load() }

// Streams returns the number of streams without an end.
func (s *Server) Streams() int64 { return s.streams.Load() }

// MaxEndless is the limit of streams without an end.
var MaxEndless = defaults.maxStreams

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
