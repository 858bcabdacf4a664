package tracing_test

import (
	"net"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/osirose-new/database-service/local/grpcserver"
	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestTraceByGRPC follows a caller's trace through gRPC, whose headers are metadata.
func TestTraceByGRPC(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], testenv.RedisKinds()[0])
	c := startCollector(t)
	p := open(t, e, c.endpoint(), false)
	conn := dialGRPC(t, p)
	for n, test := range []struct {
		user, code string
		status     tracepb.Status_StatusCode
		down       bool
	}{
		{user: "", code: "INVALID_ARGUMENT"},
		{user: "nobody", code: "NOT_FOUND"},
		{user: "nobody", code: "UNAVAILABLE", status: tracepb.Status_STATUS_CODE_ERROR, down: true},
	} {
		if test.down {
			e.PGProxy.Refuse()
		}
		parent := traceparent(traceOf(n), "01")
		ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", parent.Get("Traceparent"), "tracestate", parent.Get("Tracestate"))
		var header metadata.MD
		_ = conn.Invoke(ctx, "/"+getUser, &databasev1.GetUserRequest{UserId: test.user}, &databasev1.GetUserResponse{}, grpc.Header(&header)) // what it answers shows in the span
		if len(header["traceresponse"]) != 1 {
			t.Fatalf("%s: header %v, want one traceresponse", test.code, header)
		}
		trace, span, _ := splitTrace(t, header["traceresponse"][0])
		request, all := c.trace(trace)
		if trace != traceOf(n) || span != hexOf(request.SpanId) || hexOf(request.ParentSpanId) != callersSpan {
			t.Errorf("%s: traceresponse %v, span %x below %x, want the caller's trace %s", test.code, header["traceresponse"], request.SpanId, request.ParentSpanId, traceOf(n))
		}
		wantTree(t, all, request)
		if !strings.Contains(p.log.String(), `"trace":"`+trace+`"`) {
			t.Errorf("%s: no log line has the trace %s", test.code, trace)
		}
		got := attributes(request)
		if got["rpc.system.name"] != "grpc" || got["rpc.response.status_code"] != test.code || got["database_service.protocol"] != "grpc" || request.Status.GetCode() != test.status {
			t.Errorf("%s: %v, status %v", test.code, got, request.Status)
		}
	}
}

func dialGRPC(t *testing.T, p *traced) *grpc.ClientConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	protocol := grpcserver.New(p.Edge(), func() bool { return true }, grpcserver.Users(services.New(p.Program).Users))
	go func() { _ = protocol.Serve(l) }() // ends with Shutdown
	t.Cleanup(func() { protocol.Shutdown(t.Context()) })
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
