package rpcserver_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// logOne returns the log line of one request. It calls the handler directly, because net/http's client would refuse
// some of the headers.
func logOne(t testing.TB, header http.Header, record *request.Record, is string) line {
	t.Helper()
	log := make(lines, 2)
	edge := rpcserver.New(slog.New(slog.NewJSONHandler(log, nil)))
	handler := edge.Handler(databasev1.NewUserServiceServer(fake{getUser: func(ctx context.Context, _ *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		request.From(ctx).Class.Cache = is
		return &databasev1.GetUserResponse{}, nil
	}}, edge.Options()))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, getUserPath, strings.NewReader("{}"))
	r.Header = header
	if record != nil {
		r = r.WithContext(request.With(r.Context(), record))
	}
	handler.ServeHTTP(httptest.NewRecorder(), r)
	if len(log) != 1 {
		t.Fatalf("%d lines for %q, want 1", len(log), header)
	}
	return log.next(t)
}

func TestLogProtocol(t *testing.T) {
	t.Parallel()
	for contentType, want := range map[string]string{
		asProtobuf: "protobuf", asJSON: "json", "application/json; charset=utf-8": "json", "": "", "text/plain": "",
		"application/protobuf+canary": "", "application/grpc": "",
	} {
		if got := logOne(t, http.Header{"Content-Type": {contentType}}, nil, ""); got.Protocol != want {
			t.Errorf("Content-Type %q: logged %s, want protocol %q", contentType, got.raw, want)
		}
	}
}

func TestLogCache(t *testing.T) {
	t.Parallel()
	for is, want := range map[cache.Status]string{
		cache.NotAsked: "", cache.Hit: "hit", cache.Memory: "memory", cache.Miss: "miss", cache.Untrusted: "untrusted", cache.Bypassed: "bypassed", cache.Shared: "shared",
	} {
		got := logOne(t, http.Header{"Content-Type": {asJSON}}, nil, is.String())
		if got.Cache != want || got.RPC != "UserService/GetUser" || got.Code != "ok" {
			t.Errorf("logged %s, want cache %q", got.raw, want)
		}
	}
}

// TestLogCaller sends User-Agents of real programs, and texts that must not be logged.
func TestLogCaller(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"grpc-go/1.85.0": "grpc-go/1.85.0", "tonic/0.14.2": "tonic/0.14.2", "Go-http-client/2.0": "Go-http-client/2.0", "curl/7.88.1": "curl/7.88.1",
		"grpc-node-js/1.12.0": "grpc-node-js/1.12.0", "node": "node", "Boto3/1.35.1 md/Botocore#1.35.1 ua/2.0 os/linux": "Boto3/1.35.1",
		"grpc-c++/1.60.0 grpc-c/37.0.0 (linux; chttp2)": "grpc-c++/1.60.0", "aws-sdk-go-v2/1.30.0": "aws-sdk-go-v2/1.30.0",
		"Mozilla/5.0 (X11; canary@example.com 192.0.2.1)": "Mozilla/5.0", "osirose_game-server/0.3.0-rc1": "osirose_game-server/0.3.0-rc1",
		"undici": "undici", "python-requests/2.32.3": "python-requests/2.32.3", "h2/0.4": "h2/0.4",

		"": "", " ": "", "/": "", "/1.0": "", "node/": "", "-": "", "node/1.": "", "node/.1": "", "node/1..2": "", "1/1": "",
		"10.0.0.1/1": "", "127.0.0.1": "", "::1": "", "[::1]/1": "", "curl/10.0.0.1": "", "ip-10-0-0-1/1": "", "fe80::1": "", "x/2130706433": "",
		"db.internal": "", "canary@example.com": "", "canary@example.com/1.0": "", "curl/canary@example.com": "", "curl/1.0-canary@example.com": "",
		"TokenOfAliceIs32LettersAndDigits": "", "TokenOfAliceHasThirtyTwoLettersX": "", "curl/TokenOfAliceIs32LettersAndDigits": "",
		"curl/7.88.1-TokenOfAliceIs32Letters": "", "q7Zb1kP9": "", "8f507cfc-1b2c-4d5e-8f90-a1b2c3d4e5f6": "", "ef507cfc-1b2c-4d5e-8f90-a1b2c3d4e5f6": "",
		"deadbeef00": "deadbeef00", "deadbeef0001": "", "eyJhbGciOiJIUzI1NiJ9.e30.x": "", "curl%2F1.0": "", "cürl/1.0": "", "curl/1٢": "", "\xff\xfe": "",
		"curl\x00/1.0": "", "curl/1.0\r\nlevel=ERROR": "", "curl\r\n": "", `curl","level":"ERROR`: "", "a\tb": "", "curl/1.0/2.0": "", "curl/1/canary": "",
		strings.Repeat("a", 10<<10): "", "curl/" + strings.Repeat("1", 10<<10): "", "curl/1.0 " + strings.Repeat("canary ", 1<<10): "curl/1.0",
	} {
		got := logOne(t, http.Header{"User-Agent": {agent}, "Content-Type": {asJSON}}, nil, "")
		if got.Caller != want {
			t.Errorf("User-Agent %.60q: logged caller %q, want %q", agent, got.Caller, want)
		}
		if len(got.raw) > 400 || strings.Count(got.raw, "\n") != 1 || got.Level != "INFO" || strings.Contains(got.raw, "canary") {
			t.Errorf("User-Agent %.60q: logged %.1000s", agent, got.raw)
		}
	}
}

// TestLogVerifiedCaller checks the name of a caller that the platform has verified.
func TestLogVerifiedCaller(t *testing.T) {
	t.Parallel()
	for who, want := range map[string]string{"arn:aws:sts::1:assumed-role/game/a@b": "assumed-role/game", "": "curl/7.88.1"} {
		record := &request.Record{ID: "id", Identity: func() string { return who }}
		got := logOne(t, http.Header{"User-Agent": {"curl/7.88.1"}, "Content-Type": {asJSON}}, record, "hit")
		if got.Caller != want || got.Request != "id" {
			t.Errorf("logged %s, want caller %s and request id", got.raw, want)
		}
		class := request.Class{Service: "UserService", Method: "GetUser", Protocol: request.JSON, Code: "ok", Cache: "hit"}
		if record.Class != class || record.Took <= 0 || record.Took > time.Minute {
			t.Errorf("record %+v, want %+v and a duration", *record, class)
		}
	}
}

// TestLogForms checks the line with the two handlers that programs use.
func TestLogForms(t *testing.T) {
	t.Parallel()
	for form, want := range map[string]string{
		"json": `"code":"ok","cache":"hit","ms":[0-9]+(\.[0-9]{1,3})?,"request":"id-1","caller":"node"}` + "\n$",
		"text": `level=INFO msg=request rpc=UserService/GetUser protocol=json code=ok cache=hit ms=[0-9]+(\.[0-9]{1,3})? request=id-1 caller=node` + "\n$",
	} {
		var out buffer
		handlers := map[string]slog.Handler{"json": slog.NewJSONHandler(&out, nil), "text": slog.NewTextHandler(&out, nil)}
		edge := rpcserver.New(slog.New(handlers[form]))
		handler := edge.Handler(databasev1.NewUserServiceServer(fake{getUser: func(ctx context.Context, _ *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
			request.From(ctx).Class.Cache = "hit"
			return &databasev1.GetUserResponse{}, nil
		}}, edge.Options()))
		ctx := request.With(t.Context(), &request.Record{ID: "id-1"})
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, getUserPath, strings.NewReader("{}"))
		r.Header = http.Header{"User-Agent": {"node"}, "Content-Type": {asJSON}}
		handler.ServeHTTP(httptest.NewRecorder(), r)
		if got := out.String(); !regexp.MustCompile(want).MatchString(got) || form == "json" && !json.Valid([]byte(got)) {
			t.Errorf("%s: logged %s, want %s", form, got, want)
		}
	}
}

// BenchmarkLine measures the cost of the fraction in ms, which slog's JSON handler encodes by encoding/json. For
// comparison it also logs whole microseconds.
func BenchmarkLine(b *testing.B) {
	for name, attr := range map[string]func(time.Duration) slog.Attr{
		"us": func(d time.Duration) slog.Attr { return slog.Int64("us", d.Microseconds()) },
		"ms": func(d time.Duration) slog.Attr { return slog.Float64("ms", float64(d.Microseconds())/1000) },
	} {
		b.Run(name, func(b *testing.B) {
			h := slog.NewJSONHandler(io.Discard, nil).WithAttrs([]slog.Attr{
				slog.String("rpc", "UserService/GetUser"), slog.String("protocol", "protobuf"), slog.String("code", "ok"), slog.String("cache", "hit"),
			})
			b.ReportAllocs()
			for took := 51 * time.Microsecond; b.Loop(); took += time.Microsecond {
				r := slog.NewRecord(time.Now(), slog.LevelInfo, "request", 0)
				r.AddAttrs(attr(took), slog.String("request", "8f507cfc-12"), slog.String("caller", "tonic/0.14.2"))
				_ = h.Handle(b.Context(), r) // it does not fail
			}
		})
	}
}
