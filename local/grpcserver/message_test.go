package grpcserver_test

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/osirose-new/database-service/local/grpcserver"
	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// post sends an HTTP/2 request without a gRPC client. It returns the HTTP answer and the gRPC status in it.
func post(t testing.TB, d *protocol, path, contentType, body string, header ...string) (*http.Response, answer) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+d.addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header["Content-Type"] = []string{contentType}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatalf("POST %s: %v", path, err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatalf("POST %s: %v", path, err)
	}
	end := response.Trailer
	if end.Get("Grpc-Status") == "" { // a trailers-only answer
		end = response.Header
	}
	n, err := strconv.Atoi(end.Get("Grpc-Status"))
	if err != nil {
		t.Fatalf("POST %s: %s with Grpc-Status %q", path, response.Status, end.Get("Grpc-Status"))
	}
	details, err := base64.RawStdEncoding.DecodeString(end.Get("Grpc-Status-Details-Bin"))
	s := &spb.Status{}
	if err := errors.Join(err, proto.Unmarshal(details, s)); err != nil {
		t.Fatalf("POST %s: Grpc-Status-Details-Bin: %v", path, err)
	}
	s.Code, s.Message = int32(n), end.Get("Grpc-Message")
	return response, answerOf(status.ErrorProto(s))
}

// framed returns a message with gRPC's length prefix.
func framed(compressed byte, message string) string {
	return string(binary.BigEndian.AppendUint32([]byte{compressed}, uint32(len(message)))) + message
}

// malformed is Twirp's message.
const malformed = "the protobuf request could not be decoded"

// TestMalformed sends bytes that are not protobuf to each rpc.
func TestMalformed(t *testing.T) {
	t.Parallel()
	log := make(lines, 1000)
	d := serve(t, edgeTo(log), always, grpcserver.Users(fake{}), grpcserver.Sessions(nil), grpcserver.Characters(nil), grpcserver.Staff(nil))
	for _, m := range contract(t) {
		for what, body := range map[string]string{
			"half a field": "\x0a\x05x", "text": "hello world", "JSON": "{}", "field 0": "\x00\x00", "an endless number": strings.Repeat("\xff", 20),
			"a group that does not end": "\x0b", "a length of 2 GiB": "\x0a\xff\xff\xff\xff\x07", "wire type 7": "\x0f",
			"a megabyte of noise": strings.Repeat("\xa7", rpcserver.MaxBody), "no UTF-8": textWith(m, "\xff"),
		} {
			_, a := post(t, d, pathOf(m), "application/grpc", framed(0, body))
			call := pathOf(m) + " with " + what
			wantAnswer(t, call, a, codes.InvalidArgument, "MESSAGE")
			if a.Message() != malformed {
				t.Errorf("%s = %v, want %q", call, a, malformed)
			}
			wantLine(t, call, log.next(t), "INFO", strings.TrimPrefix(pathOf(m), pkg), "malformed")
		}
	}
}

// textWith returns a request with s in its first text field.
func textWith(m protoreflect.MethodDescriptor, s string) string {
	for i := range m.Input().Fields().Len() {
		if f := m.Input().Fields().Get(i); f.Kind() == protoreflect.StringKind {
			return string([]byte{byte(f.Number())<<3 | 2, byte(len(s))}) + s
		}
	}
	return "\x00"
}

// requestOf returns a request of n bytes.
func requestOf(n int) *databasev1.GetUserRequest {
	r := &databasev1.GetUserRequest{UserId: strings.Repeat("x", n)}
	r.UserId = r.UserId[:n-(proto.Size(r)-n)]
	return r
}

func TestSize(t *testing.T) {
	t.Parallel()
	d, log := serveFake(t, nothing)
	for _, test := range []struct {
		size    int
		code    codes.Code
		reason  string
		message string
		logged  string
	}{
		{rpcserver.MaxBody, codes.OK, "", "", "ok"},
		{rpcserver.MaxBody + 1, codes.InvalidArgument, "BODY_TOO_LARGE", "the body is larger than 1048576 bytes", "malformed"},
		{grpcserver.MaxMessage, codes.InvalidArgument, "BODY_TOO_LARGE", "the body is larger than 1048576 bytes", "malformed"},
		{grpcserver.MaxMessage + 1, codes.ResourceExhausted, "", "grpc: received message larger than max (4194305 vs. 4194304)", "resource_exhausted"},
	} {
		request := requestOf(test.size)
		if got := proto.Size(request); got != test.size {
			t.Fatalf("a request of %d bytes, want %d", got, test.size)
		}
		a := answerOf(d.conn.Invoke(t.Context(), getUser, request, &databasev1.GetUserResponse{}, grpc.MaxCallSendMsgSize(1<<30)))
		wantAnswer(t, "GetUser with "+strconv.Itoa(test.size)+" bytes", a, test.code, test.reason)
		if a.Message() != test.message {
			t.Errorf("GetUser with %d bytes = %v, want %q", test.size, a, test.message)
		}
		wantLine(t, "GetUser", log.next(t), "INFO", "UserService/GetUser", test.logged)
	}
	// A frame that announces 2 GiB is refused before the server reads it or allocates memory for it.
	_, a := post(t, d, getUser, "application/grpc", "\x00\x7f\xff\xff\xffxyz")
	wantAnswer(t, "GetUser that announces 2 GiB", a, codes.ResourceExhausted, "")
	wantLine(t, "GetUser", log.next(t), "INFO", "UserService/GetUser", "resource_exhausted")
}

// zipped returns n zero bytes in gzip.
func zipped(t testing.TB, n int64) string {
	t.Helper()
	var b strings.Builder
	w := gzip.NewWriter(&b)
	_, err := io.CopyN(w, zeros{}, n)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func TestMessages(t *testing.T) {
	t.Parallel()
	d, log := serveFake(t, nothing)
	good := framed(0, "")
	for what, test := range map[string]struct {
		body   string
		header []string
		code   codes.Code
	}{
		"one":                       {good, nil, codes.OK},
		"none":                      {"", nil, codes.Internal},
		"two":                       {good + good, nil, codes.Internal},
		"a malformed second one":    {good + framed(0, "\xff"), nil, codes.Internal},
		"half a prefix":             {"\x00\x00", nil, codes.Internal},
		"half a message":            {"\x00\x00\x00\x00\x09xyz", nil, codes.Internal},
		"an unknown flag":           {framed(2, ""), nil, codes.Internal},
		"compressed, no encoding":   {framed(1, ""), nil, codes.Internal},
		"compressed":                {framed(1, zipped(t, 0)), []string{"Grpc-Encoding", "gzip"}, codes.OK},
		"not gzip":                  {framed(1, "x"), []string{"Grpc-Encoding", "gzip"}, codes.Internal},
		"gzip of 10 MiB":            {framed(1, zipped(t, 10<<20)), []string{"Grpc-Encoding", "gzip"}, codes.ResourceExhausted},
		"an encoding, uncompressed": {good, []string{"Grpc-Encoding", "gzip"}, codes.OK},
		"an unknown encoding":       {good, []string{"Grpc-Encoding", "zstd"}, codes.Unimplemented},
	} {
		_, a := post(t, d, getUser, "application/grpc", test.body, test.header...)
		wantAnswer(t, "GetUser with "+what, a, test.code, "")
		if test.code != codes.Unimplemented { // grpc-go answers that before it calls a method
			if got := log.next(t); (got.Code == "ok") != (test.code == codes.OK) || got.RPC != "UserService/GetUser" {
				t.Errorf("GetUser with %s logged %s", what, got.raw)
			}
		}
	}
}

// TestContentType checks that other content types than gRPC's get an HTTP error, and that all of gRPC's are read as
// protobuf.
func TestContentType(t *testing.T) {
	t.Parallel()
	d, log := serveFake(t, nothing)
	for contentType, want := range map[string]codes.Code{
		"application/grpc": codes.OK, "application/grpc+proto": codes.OK, "application/grpc;charset=utf-8": codes.OK,
		"application/grpc-web": codes.InvalidArgument, "application/grpc-web+proto": codes.InvalidArgument, "application/json": codes.InvalidArgument,
		"application/protobuf": codes.InvalidArgument, "application/connect+proto": codes.InvalidArgument, "": codes.InvalidArgument,
	} {
		response, a := post(t, d, getUser, contentType, framed(0, ""))
		if a.Code() != want || (response.StatusCode == http.StatusUnsupportedMediaType) != (want != codes.OK) {
			t.Errorf("GetUser as %q = %s, %v, want %s", contentType, response.Status, a, want)
		}
		if want == codes.OK {
			wantLine(t, "GetUser", log.next(t), "INFO", "UserService/GetUser", "ok")
		}
	}
	_, a := post(t, d, getUser, "application/grpc+json", framed(0, `{"userId":"x"}`))
	wantAnswer(t, "GetUser as JSON", a, codes.InvalidArgument, "MESSAGE")
	wantLine(t, "GetUser", log.next(t), "INFO", "UserService/GetUser", "malformed")
}

func TestUnknownRoute(t *testing.T) {
	t.Parallel()
	d, log := serveFake(t, nothing)
	for _, path := range []string{
		getUser + "x", getUser + "/", pkg + "UserService/getUser", pkg + "NoService/GetUser", "/UserService/GetUser", "/x/y",
		"/twirp/osirose.database.v1.UserService/GetUser", pkg + "UserService/" + canary, "/" + canary + "/GetUser", "/grpc.health.v1.Health/" + canary,
	} {
		_, a := post(t, d, path, "application/grpc", framed(0, ""))
		wantAnswer(t, path, a, codes.Unimplemented, "ROUTE")
		wantNoLeak(t, path, a, canary)
		got := log.next(t)
		wantLine(t, path, got, "INFO", "", "bad_route")
		wantNoneIn(t, "logged", got.raw, canary)
	}
}
