package app

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"

	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/errtext"
)

// DescribeRedis says why Redis has not answered. It guesses whether the URL and the port differ in TLS: then a Redis closes the
// connection or is silent.
func DescribeRedis(err error, redisURL string) string {
	text := errtext.ForLog(err)
	secure := strings.HasPrefix(redisURL, "rediss:") || strings.HasPrefix(redisURL, "valkeys:")
	switch {
	case errors.Is(err, cache.ErrGarbage):
		return "what it sends is no reply of Redis (if the port speaks TLS, write rediss://)"
	case !secure && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)):
		return text + " (if the port speaks TLS, write rediss://)"
	case secure && errors.Is(err, context.DeadlineExceeded):
		return text + " (if the port speaks no TLS, write redis://)"
	}
	return text
}
