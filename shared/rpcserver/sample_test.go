package rpcserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// TestSample counts the lines of each second.
func TestSample(t *testing.T) {
	t.Parallel()
	var s rpcserver.Sample
	now := time.Unix(1e9, 0)
	write := func(code string, n int) (written int) {
		for range n {
			if s.Take(code, now) {
				written++
			}
		}
		return written
	}
	for second, of := range []map[string][2]int{ // requests, lines
		{"canceled": {500, 50}, "not_found": {7, 7}},
		{"canceled": {3, 3}},
		{},
		{"canceled": {50, 50}, "not_found": {50, 50}},
	} {
		for code, n := range of {
			if got := write(code, n[0]); got != n[1] {
				t.Errorf("second %d: %d lines of %d with %s, want %d", second, got, n[0], code, n[1])
			}
		}
		if left := s.LeftOut(now); left != nil {
			t.Errorf("second %d: left out %v before it is over", second, left)
		}
		now = now.Add(time.Second)
		want := map[string]int{}
		if second == 0 {
			want["canceled"] = 450
		}
		if left := s.LeftOut(now); !maps.Equal(left, want) {
			t.Errorf("after second %d: left out %v, want %v", second, left, want)
		}
	}
	all := 0
	for i := range 10 { // every code has its share, all together have a limit
		all += write("code "+strconv.Itoa(i), 100)
	}
	if all != 100 {
		t.Errorf("%d lines of all codes, want 100", all)
	}
}

// A caller that provokes errors cannot fill the disk (finding A8: 3 MB of log a second). Each request is in the log or in a number.
func TestLogOfRefusedRequests(t *testing.T) {
	t.Parallel()
	var out buffer
	edge := rpcserver.New(slog.New(slog.NewJSONHandler(&out, nil)))
	handler := edge.Handler(databasev1.NewUserServiceServer(fake{}, edge.Options()))
	post := func() {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, getUserPath+"X", strings.NewReader("{}"))
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	sent, written, leftOut := 0, 0, 0
	for end := time.Now().Add(30 * time.Second); leftOut == 0 || written+leftOut != sent; {
		if time.Now().After(end) {
			t.Fatalf("%d requests, %d lines, %d left out; want all accounted for, and some left out", sent, written, leftOut)
		}
		for n := 1000; n > 0 && (leftOut == 0 || n == 1000); n-- {
			post()
			sent++
		}
		time.Sleep(100 * time.Millisecond) // the count of a second is logged in the next
		written, leftOut = count(t, out.String())
	}
	if written > sent/2 {
		t.Errorf("%d lines for %d requests", written, sent)
	}
}

// count returns the number of lines of requests, and the sum of those that were left out.
func count(t *testing.T, log string) (written, leftOut int) {
	t.Helper()
	for line := range strings.Lines(log) {
		var l struct {
			Msg, Code string
			Count     int
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Code != "bad_route" {
			t.Fatalf("logged %s, want only lines with the code bad_route", line)
		}
		switch {
		case l.Msg == "request":
			written++
		case l.Count > 0:
			leftOut += l.Count
		}
	}
	return written, leftOut
}

// gone is a caller that has left before the answer was written.
type gone struct{ *httptest.ResponseRecorder }

func (gone) Write([]byte) (int, error) { return 0, errors.New("i/o timeout") }

// A caller that does not take its answer is no error of the service. It was logged as one: ERROR, code unknown.
func TestLogOfAnswerNotTaken(t *testing.T) {
	t.Parallel()
	log := make(lines, 2)
	edge := rpcserver.New(slog.New(slog.NewJSONHandler(log, nil)))
	handler := edge.Handler(databasev1.NewUserServiceServer(fake{getUser: noUser}, edge.Options()))
	for _, contentType := range []string{asJSON, asProtobuf} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, getUserPath, strings.NewReader(""))
		if contentType == asJSON {
			r = httptest.NewRequestWithContext(t.Context(), http.MethodPost, getUserPath, strings.NewReader("{}"))
		}
		r.Header.Set("Content-Type", contentType)
		handler.ServeHTTP(gone{httptest.NewRecorder()}, r)
		got := log.next(t)
		wantLine(t, "GetUser", got, "INFO", "UserService/GetUser", "canceled")
		if got.Cause != "the caller did not take the answer" || got.Reason != "CANCELED" {
			t.Errorf("logged %s, want the reason CANCELED and a cause", got.raw)
		}
	}
}

// noUser returns an empty answer.
func noUser(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
	return &databasev1.GetUserResponse{User: &databasev1.User{Id: "1"}}, nil
}
