package rpcserver

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/errtext"
	"github.com/osirose-new/database-service/shared/postgres"
)

// Error returns an error for the caller. Callers branch on reason: it never changes, and stands in the error's meta.
func Error(code twirp.ErrorCode, reason, msg string) twirp.Error {
	return twirp.NewError(code, msg).WithMeta("reason", reason)
}

// InvalidArgument returns the error for a wrong field of the request. msg says what is wrong with the field.
func InvalidArgument(field, msg string) twirp.Error {
	return twirp.InvalidArgumentError(field, msg).WithMeta("reason", "ARGUMENT")
}

var (
	errDatabase = Error(twirp.Unavailable, "DATABASE_UNAVAILABLE", "the database does not answer; try again")
	errSetup    = Error(twirp.Unavailable, "DATABASE_MISCONFIGURED", "the database is not set up for this service; its operator must act")
	errBusy     = Error(twirp.ResourceExhausted, "OVERLOADED", "too many requests at once; try again after a pause")
	errRetry    = Error(twirp.Aborted, "RETRY", "a concurrent change won; try again")
	errDeadline = Error(twirp.DeadlineExceeded, "DEADLINE_EXCEEDED", "not done within the time of a request")
	errCanceled = Error(twirp.Canceled, "CANCELED", "the caller gave up")
)

// twirpReasons are the reasons of the errors that Twirp itself makes, without one.
var twirpReasons = map[twirp.ErrorCode]string{twirp.Malformed: "MESSAGE", twirp.BadRoute: "ROUTE"}

// public returns the error that the caller sees for err. Only a twirp.Error that a service declared passes unchanged: the
// text of any other error may contain SQL, addresses or data.
func (c *call) public(ctx context.Context, err error) twirp.Error {
	if e, ok := err.(twirp.Error); ok { //nolint:errorlint // a wrapped one was not meant for the caller
		return e
	}
	switch {
	case errors.Is(err, postgres.ErrUnavailable):
		return errDatabase
	case errors.Is(err, postgres.ErrMisconfigured):
		return errSetup
	case errors.Is(err, postgres.ErrOverloaded):
		return errBusy
	case errors.Is(err, postgres.ErrRetry):
		return errRetry
	case errors.Is(ctx.Err(), context.Canceled) && time.Now().Before(c.deadline): // later, the connection's read deadline cancels too
		return errCanceled
	case errors.Is(err, context.DeadlineExceeded), ctx.Err() != nil:
		return errDeadline
	}
	return c.internal()
}

// internal returns the error for a bug.
func (c *call) internal() twirp.Error {
	return twirp.InternalError("internal error").WithMeta("reason", "INTERNAL").WithMeta("request_id", c.id())
}

// ofTwirp returns an error that Twirp itself made, and gave no reason, as the caller sees it.
func (c *call) ofTwirp(err twirp.Error) twirp.Error {
	switch reason := twirpReasons[err.Code()]; {
	case reason != "":
		return err.WithMeta("reason", reason)
	case err.Code() == twirp.Internal:
		return c.unencoded(err)
	}
	return err
}

// unencoded returns the error for an answer that could not be encoded.
func (c *call) unencoded(err error) twirp.Error {
	c.cause = errtext.ForLog(err)
	return c.internal()
}

// CheckText refuses a required string that is empty, longer than limit bytes, or contains a NUL, which PostgreSQL's text type
// cannot hold. It need not check for invalid UTF-8: protobuf's decoder does.
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
