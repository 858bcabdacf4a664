package cache_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestOutageIsLoggedOnce checks that a program and a function log once that Redis does not answer, from their first request on,
// and once that it answers again. The log has no address and no password.
func TestOutageIsLoggedOnce(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		for _, test := range []struct {
			fault      string
			begin, end func()
			cause      string
		}{
			{"refused", e.RDProxy.Refuse, e.RDProxy.Accept, "cause="},
			{"silent", e.RDProxy.Hold, func() { e.RDProxy.Reset(); e.RDProxy.Release() }, "cause=timeout"},
		} {
			for concurrency := range 2 {
				wantOutage(t, e, fmt.Sprintf("%s, concurrency %d", test.fault, concurrency), concurrency, test.cause, test.begin, test.end)
			}
		}
	})
}

func wantOutage(t *testing.T, e *testenv.Env, what string, concurrency int, cause string, begin, end func()) {
	t.Helper()
	log := &report{}
	p := e.Open(t, testenv.RealRedisBudgets, func(o *app.Options) {
		o.Concurrency, o.LogTo, o.LogFormat = concurrency, log, "text"
		o.RedisURL = strings.Replace(o.RedisURL, "redis://", "redis://:s3cret@", 1)
	})
	start := time.Now()
	var later time.Duration
	p.Cache.SetNow(func() time.Time { return start.Add(later) })
	client := databasev1.NewUserServiceProtobufClient(testenv.Serve(t, services.New(p).Twirp), http.DefaultClient)
	id := e.AddUser(t, strings.NewReplacer(", ", "", " ", "").Replace(what))
	read := func() {
		t.Helper()
		if got, err := client.GetUser(t.Context(), &databasev1.GetUserRequest{UserId: id}); err != nil || got.User.Id != id {
			t.Errorf("%s: GetUser = %v, %v, want the user", what, got, err)
		}
	}
	want := func(when string, down, again int) {
		t.Helper()
		text := log.String()
		d, a := strings.Count(text, `level=WARN msg="Redis at REDIS_URL does not answer: `), strings.Count(text, `level=INFO msg="Redis at REDIS_URL answers again"`)
		if d != down || a != again || strings.Count(text, "\n") != d+a {
			t.Errorf("%s, %s: the log is %q; want %d lines that Redis does not answer, %d that it answers again, and no other", what, when, text, down, again)
		}
	}
	begin()
	want("before the first request", 0, 0)
	for range 10 {
		read()
	}
	want("after 10 requests", 1, 0)
	for range 5 {
		later += 250 * time.Millisecond // one request tries
		read()
	}
	want("after 5 tries", 1, 0)
	end()
	// A busy machine may not answer within 50 ms at once. And after a failed dial go-redis itself dials only once a second if the
	// pool is full of failures, which in a function one failure is.
	patience, cancel := context.WithTimeout(t.Context(), testenv.Patience)
	defer cancel()
	for patience.Err() == nil && !strings.Contains(log.String(), "answers again") {
		later += 250 * time.Millisecond
		read()
	}
	want("when it answers", 1, 1)
	if text := log.String(); !strings.Contains(text, cause) || strings.Contains(text, "127.0.0.1") || strings.Contains(text, "s3cret") {
		t.Errorf("%s: the log is %q; want %q in it, no address and no password", what, text, cause)
	}
}
