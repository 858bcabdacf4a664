package calls

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/twitchtv/twirp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/osirose-new/database-service/shared/request"
)

// Sender sends requests to the services of this program.
type Sender struct {
	// HTTP serves Twirp.
	HTTP http.Handler
	// GRPC is a connection to this program, nil if it does not serve gRPC.
	GRPC *grpc.ClientConn
}

// Agent is the program that the requests of a [Sender] name in User-Agent.
const Agent = "console"

// Request is a request to send.
type Request struct {
	RPC      string // UserService/GetUser
	Protocol request.Protocol
	JSON     []byte
}

// Result is the answer to a sent request.
type Result struct {
	Status string // as the protocol names it: "404 Not Found", or "NotFound" by gRPC
	Code   twirp.ErrorCode
	// Reason, Message and Meta are the error's.
	Reason, Message string
	Meta            map[string]string
	Answer          string // indented JSON; empty if there was an error
	Took            time.Duration
}

// Protocols returns the protocols that Send can use.
func (s Sender) Protocols() []request.Protocol {
	all := []request.Protocol{request.JSON, request.Protobuf}
	if s.GRPC != nil {
		all = append(all, request.GRPC)
	}
	return all
}

// Send sends a request and waits for its answer. By "json" it sends the JSON as it is, also if it is malformed; for the other protocols the
// JSON must be a request of the rpc. ctx is that of the page's request: with the connection in it, the services refuse a key that came over
// plain text from another machine. The error says what kept the request from being sent or answered; an answer of the service is no error.
func (s Sender) Send(ctx context.Context, r Request) (Result, error) {
	m, err := find(r.RPC)
	if err != nil {
		return Result{}, err
	}
	if r.Protocol == request.JSON {
		return s.post(ctx, m, "application/json", r.JSON, protojson.Unmarshal)
	}
	in, err := m.request(r.JSON)
	switch {
	case err != nil:
		return Result{}, err
	case r.Protocol == request.GRPC && s.GRPC != nil:
		return s.invoke(ctx, m, in)
	case r.Protocol == request.Protobuf:
		body, err := proto.Marshal(in)
		if err != nil {
			return Result{}, err
		}
		return s.post(ctx, m, "application/protobuf", body, proto.Unmarshal)
	}
	return Result{}, fmt.Errorf("protocol %q is not offered (supported: %q)", r.Protocol, s.Protocols())
}

// post sends a request by Twirp.
func (s Sender) post(ctx context.Context, m method, contentType string, body []byte, decode func([]byte, proto.Message) error) (Result, error) {
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/twirp/"+m.path(), bytes.NewReader(body))
	if err != nil {
		return Result{}, err
	}
	post.Header.Set("Content-Type", contentType)
	post.Header.Set("Accept", contentType) // the emulator's gateways read it
	post.Header.Set("User-Agent", Agent)
	start := time.Now()
	response, err := Transport{s.HTTP}.RoundTrip(post)
	if err != nil {
		return Result{}, err
	}
	defer response.Body.Close()
	result := Result{Status: response.Status, Code: "ok", Took: time.Since(start)}
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return Result{}, err
	}
	if response.StatusCode != http.StatusOK {
		result.fail(answer)
		return result, nil
	}
	out := m.out.New().Interface()
	if err := decode(answer, out); err != nil {
		return Result{}, fmt.Errorf("decode the answer: %w", err)
	}
	result.Answer, err = pretty(out, true)
	return result, err
}

// fail reads a Twirp error. Any other answer becomes the message.
func (r *Result) fail(answer []byte) {
	var e struct {
		Code twirp.ErrorCode
		Msg  string
		Meta map[string]string
	}
	if err := json.Unmarshal(answer, &e); err != nil || e.Code == "" {
		r.Code, r.Message = twirp.Unknown, string(answer)
		return
	}
	r.Code, r.Message, r.Meta, r.Reason = e.Code, e.Msg, e.Meta, e.Meta["reason"]
}

// invoke sends a request by gRPC.
func (s Sender) invoke(ctx context.Context, m method, in proto.Message) (Result, error) {
	out := m.out.New().Interface()
	start := time.Now()
	err := s.GRPC.Invoke(ctx, "/"+m.path(), in, out)
	result := Result{Took: time.Since(start)}
	if err != nil {
		result.failGRPC(status.Convert(err))
		return result, nil
	}
	result.Status, result.Code = codes.OK.String(), "ok"
	result.Answer, err = pretty(out, true)
	return result, err
}

// failGRPC reads the status of an error. Its reason and meta are in a google.rpc.ErrorInfo.
func (r *Result) failGRPC(s *status.Status) {
	r.Status, r.Code, r.Message = s.Code().String(), twirp.Unknown, s.Message()
	if int(s.Code()) < len(codeNames) {
		r.Code = codeNames[s.Code()]
	}
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			r.Reason, r.Meta = info.Reason, map[string]string{"reason": info.Reason}
			for name, value := range info.Metadata {
				r.Meta[name] = value
			}
		}
	}
}

// codeNames are Twirp's names of gRPC's codes. gRPC has no code for malformed and bad_route: they are invalid_argument and unimplemented.
var codeNames = [...]twirp.ErrorCode{
	codes.OK: "ok", codes.Canceled: twirp.Canceled, codes.Unknown: twirp.Unknown, codes.InvalidArgument: twirp.InvalidArgument,
	codes.DeadlineExceeded: twirp.DeadlineExceeded, codes.NotFound: twirp.NotFound, codes.AlreadyExists: twirp.AlreadyExists,
	codes.PermissionDenied: twirp.PermissionDenied, codes.ResourceExhausted: twirp.ResourceExhausted,
	codes.FailedPrecondition: twirp.FailedPrecondition, codes.Aborted: twirp.Aborted, codes.OutOfRange: twirp.OutOfRange,
	codes.Unimplemented: twirp.Unimplemented, codes.Internal: twirp.Internal, codes.Unavailable: twirp.Unavailable,
	codes.DataLoss: twirp.DataLoss, codes.Unauthenticated: twirp.Unauthenticated,
}
