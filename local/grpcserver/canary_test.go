package grpcserver_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/osirose-new/database-service/shared/testenv"
)

// visit sends canaries to one server.
type visit struct {
	conn    *grpc.ClientConn
	rpcs    []protoreflect.MethodDescriptor
	valid   map[string]func(testing.TB) proto.Message
	token   string
	secrets []string // texts that no log line and no error may contain
	sent    int
}

// TestCanary sends a live token, an e-mail and an address through every rpc, every field and the metadata, with working
// and broken backends. None of them may be in the log or in an error.
func TestCanary(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis")
	user := e.AddUser(t, "Canary4711")
	_, token := e.AddSession(t, user, time.Hour)
	log := make(lines, 100_000)
	d := serve(t, edgeTo(log), always, all(e.Program)...)
	v := &visit{conn: d.dial(t, grpc.WithUserAgent("canary4711@example.com")), rpcs: contract(t), valid: requests(t, e), token: token}
	v.secrets = []string{
		token, "canary4711@example.com", url.QueryEscape("canary4711@example.com"), "anary4711", "198.51.100.7", testenv.Secret,
		e.PGProxy.Addr(), e.RDProxy.Addr(), e.Redis.Addr, testenv.Postgres(t).Addr(), e.Name, "game_service", "web_application",
		e.Program.Config.DatabaseURL, e.Program.Config.RedisURL,
	}
	requests := map[string][]proto.Message{}
	for _, m := range v.rpcs {
		requests[pathOf(m)] = v.requests(t, m)
	}
	v.round(t, "all well", requests)
	e.PGProxy.Refuse()
	e.RDProxy.Refuse()
	v.round(t, "neither server there", requests)
	for range v.sent {
		got := log.next(t)
		wantNoneIn(t, "logged", got.raw, v.secrets...)
		if got.Caller != "" {
			t.Errorf("logged %s, want no e-mail as the caller", got.raw)
		}
	}
	if len(log) > 0 {
		t.Errorf("%d extra lines in the log", len(log))
	}
}

// requests returns a valid request for the rpc, and requests that each have a secret in one text field.
func (v *visit) requests(t *testing.T, m protoreflect.MethodDescriptor) []proto.Message {
	t.Helper()
	valid := v.valid[string(m.Name())](t)
	all := []proto.Message{valid}
	for i := range m.Input().Fields().Len() {
		if f := m.Input().Fields().Get(i); f.Kind() == protoreflect.StringKind && !f.IsList() {
			for _, s := range []string{v.token, v.token + ".c2lnbmF0dXJl", "canary4711@example.com", "Canary4711", "198.51.100.7"} {
				r := proto.Clone(valid)
				r.ProtoReflect().Set(f, protoreflect.ValueOfString(s))
				all = append(all, r)
			}
		}
	}
	return all
}

func (v *visit) round(t *testing.T, what string, requests map[string][]proto.Message) {
	t.Helper()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+v.token, "x-forwarded-for", "198.51.100.7",
		"cookie", "better-auth.session_token="+v.token, "x-request-id", "canary4711@example.com", "data-bin", v.token)
	for _, m := range v.rpcs {
		for _, r := range requests[pathOf(m)] {
			v.want(ctx, t, what, pathOf(m), r, dynamicpb.NewMessage(m.Output()))
		}
		for _, path := range []string{pathOf(m) + v.token, pkg + v.token + "/" + string(m.Name()), "/canary4711@example.com/198.51.100.7"} {
			v.want(ctx, t, what, path, requests[pathOf(m)][0], dynamicpb.NewMessage(m.Output()))
		}
	}
}

// want sends a request. Any answer without a secret is right.
func (v *visit) want(ctx context.Context, t *testing.T, what, path string, request, response proto.Message) {
	t.Helper()
	var header, trailer metadata.MD
	a := answerOf(v.conn.Invoke(ctx, path, request, response, grpc.Header(&header), grpc.Trailer(&trailer)))
	v.sent++
	call := what + ": " + path
	wantNoLeak(t, call, a, v.secrets...)
	for _, md := range []metadata.MD{header, trailer} {
		delete(md, "grpc-status-details-bin") // the details are checked decoded
		for name, values := range md {
			wantNoneIn(t, call+" sends back", name+": "+strings.Join(values, " "), v.secrets...)
		}
	}
	switch a.Code() {
	case codes.Internal, codes.Unknown, codes.DataLoss:
		t.Errorf("%s = %v, want no internal error", call, a)
	}
}
