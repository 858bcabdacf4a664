package rpcserver

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/postgres"
)

// Error makes an error for the caller; reason is stable and goes into the error's meta.
func Error(code twirp.ErrorCode, reason, msg string) twirp.Error {
	return twirp.NewError(code, msg).WithMeta("reason", reason)
}

// InvalidArgument says which field of the request is at fault, and why.
func InvalidArgument(field, msg string) twirp.Error {
	return twirp.InvalidArgumentError(field, msg).WithMeta("reason", "ARGUMENT")
}

var (
	errDatabase = Error(twirp.Unavailable, "DATABASE_UNAVAILABLE", "the database does not answer; try again")
	errBusy     = Error(twirp.ResourceExhausted, "OVERLOADED", "too many requests at once; try again after a pause")
	errRetry    = Error(twirp.Aborted, "RETRY", "a concurrent change won; try again")
	errDeadline = Error(twirp.DeadlineExceeded, "DEADLINE_EXCEEDED", "not done within the time of a request")
	errCanceled = Error(twirp.Canceled, "CANCELED", "the caller gave up")
)

// public is the error that the caller sees for err. Only a twirp.Error that a service declared is told as it is; any
// other text may hold SQL, addresses or data.
func (c *call) public(ctx context.Context, err error) twirp.Error {
	if e, ok := err.(twirp.Error); ok { //nolint:errorlint // one that is wrapped was not meant for the caller
		return e
	}
	switch {
	case errors.Is(err, postgres.ErrUnavailable):
		return errDatabase
	case errors.Is(err, postgres.ErrOverloaded):
		return errBusy
	case errors.Is(err, postgres.ErrRetry):
		return errRetry
	case errors.Is(ctx.Err(), context.Canceled):
		return errCanceled
	case errors.Is(err, context.DeadlineExceeded), ctx.Err() != nil:
		return errDeadline
	}
	return twirp.InternalError("internal error").WithMeta("reason", "INTERNAL").WithMeta("request_id", c.id())
}

// CheckText refuses a required string that is empty, longer than limit bytes, or holds a NUL, which PostgreSQL's text
// cannot. (Invalid UTF-8 does not get through protobuf's decoder.)
func CheckText(field, value string, limit int) error {
	switch {
	case value == "":
		return InvalidArgument(field, "is required")
	case len(value) > limit:
		return InvalidArgument(field, "is longer than "+strconv.Itoa(limit)+" bytes")
	case strings.IndexByte(value, 0) >= 0:
		return InvalidArgument(field, "has a NUL in it")
	}
	return nil
}
