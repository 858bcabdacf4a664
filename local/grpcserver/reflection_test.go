package grpcserver_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/osirose-new/database-service/local/grpcserver"
	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// TestReflectionNeedsTheRight asks for reflection and health over a connection that is not this machine's own.
func TestReflectionNeedsTheRight(t *testing.T) {
	t.Parallel()
	keys, text := map[string]callers.Key{"monitor": callers.NewKey(), "world": callers.NewKey()}, "callers:\n"
	for role, k := range keys {
		entry, err := callers.Entry(role, []string{role}, k, time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		text += entry[len("callers:\n"):]
	}
	file := filepath.Join(t.TempDir(), "callers.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	gate, err := callers.New(callers.Options{File: file, Plaintext: true})
	if err != nil {
		t.Fatal(err)
	}
	edge := rpcserver.New(slog.New(slog.DiscardHandler))
	edge.Guard(gate)
	s := grpcserver.New(edge, always)
	l := bufconn.Listen(1 << 16)
	go func() { _ = s.Serve(l) }() // ends with Shutdown
	t.Cleanup(func() { s.Shutdown(context.Background()) })
	c, err := grpc.NewClient("passthrough:pipe", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	for role, want := range map[string]codes.Code{"monitor": codes.OK, "world": codes.PermissionDenied, "": codes.Unauthenticated} {
		ctx := t.Context()
		if role != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+keys[role].Text)
		}
		stream, err := grpc_reflection_v1.NewServerReflectionClient(c).ServerReflectionInfo(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.Send(&grpc_reflection_v1.ServerReflectionRequest{ // if it fails, Recv says why
			MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{},
		})
		_, err = stream.Recv()
		_ = stream.CloseSend()
		if got := status.Code(err); got != want {
			t.Errorf("reflection as %q: %v, want %v", role, err, want)
		}
	}
	if _, err := grpc_health_v1.NewHealthClient(c).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Errorf("health without an identity: %v", err)
	}
}
