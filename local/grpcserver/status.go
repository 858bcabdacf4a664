package grpcserver

import (
	"time"

	"github.com/twitchtv/twirp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/osirose-new/database-service/shared/rpcserver"
)

const (
	// Domain is the domain of the reasons in a google.rpc.ErrorInfo.
	Domain = "osirose.database.v1"
	// ReasonTrailer has the reason of an error in plain text, for clients that do not decode google.rpc.ErrorInfo.
	ReasonTrailer = "error-reason"
)

var (
	errMessage  = rpcserver.Error(twirp.Malformed, "MESSAGE", "the protobuf request could not be decoded") // Twirp's text
	errRoute    = rpcserver.Error(twirp.BadRoute, "ROUTE", "no such service or method")
	errDeadline = rpcserver.Error(twirp.DeadlineExceeded, "DEADLINE_EXCEEDED", "not done within the time of a request")
	errCanceled = rpcserver.Error(twirp.Canceled, "CANCELED", "the caller gave up")
	errUnsent   = rpcserver.Error(twirp.ResourceExhausted, "OVERLOADED", "this connection has not taken its earlier answers; read them first")
	errStreams  = rpcserver.Error(twirp.ResourceExhausted, "OVERLOADED", "too many health watches and reflection streams")
	errTooLarge = rpcserver.Error(twirp.ResourceExhausted, "BODY_TOO_LARGE", "the message is far too large")
)

// notReceived returns the error, for the log, of a request that grpc-go has answered itself.
func notReceived(err error) twirp.Error {
	switch status.Code(err) {
	case codes.DeadlineExceeded:
		return errDeadline
	case codes.Canceled:
		return errCanceled
	case codes.ResourceExhausted:
		return errTooLarge
	}
	return errMessage
}

// codeOf maps Twirp's codes to gRPC's. All but two have the same name.
// https://twitchtv.github.io/twirp/docs/spec_v7.html#error-codes
var codeOf = map[twirp.ErrorCode]codes.Code{
	twirp.Canceled:           codes.Canceled,
	twirp.Unknown:            codes.Unknown,
	twirp.InvalidArgument:    codes.InvalidArgument,
	twirp.Malformed:          codes.InvalidArgument,
	twirp.DeadlineExceeded:   codes.DeadlineExceeded,
	twirp.NotFound:           codes.NotFound,
	twirp.BadRoute:           codes.Unimplemented,
	twirp.AlreadyExists:      codes.AlreadyExists,
	twirp.PermissionDenied:   codes.PermissionDenied,
	twirp.Unauthenticated:    codes.Unauthenticated,
	twirp.ResourceExhausted:  codes.ResourceExhausted,
	twirp.FailedPrecondition: codes.FailedPrecondition,
	twirp.Aborted:            codes.Aborted,
	twirp.OutOfRange:         codes.OutOfRange,
	twirp.Unimplemented:      codes.Unimplemented,
	twirp.Internal:           codes.Internal,
	twirp.Unavailable:        codes.Unavailable,
	twirp.DataLoss:           codes.DataLoss,
}

// pause is how long a caller should wait after OVERLOADED. It equals Retry-After by Twirp.
const pause = time.Second

// statusOf returns an error as a gRPC status. Its reason and meta are in a google.rpc.ErrorInfo.
func statusOf(err twirp.Error) error {
	code, ok := codeOf[err.Code()]
	if !ok {
		code = codes.Unknown
	}
	s := status.New(code, err.Msg())
	var details []protoadapt.MessageV1
	if reason := err.Meta("reason"); reason != "" {
		info := &errdetails.ErrorInfo{Reason: reason, Domain: Domain, Metadata: map[string]string{}}
		for name, value := range err.MetaMap() {
			if name != "reason" {
				info.Metadata[name] = value
			}
		}
		details = append(details, info)
	}
	if code == codes.ResourceExhausted {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(pause)})
	}
	if detailed, err := s.WithDetails(details...); err == nil { // fails only if the code is OK
		s = detailed
	}
	return s.Err()
}
