package lambdahttp_test

import (
	"context"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/osirose-new/database-service/shared/lambdahttp"
)

// The two benchmarks answer the same event with the same response. One uses this package, the other aws-lambda-go's
// types.
func BenchmarkInvoke(b *testing.B) { benchmark(b, helloAdapter(b)) }

func helloAdapter(t testing.TB) *lambdahttp.Adapter {
	return lambdahttp.New(slog.New(slog.DiscardHandler), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/protobuf")
		_, _ = w.Write(hello)
	}))
}

// TestAllocations is not parallel, because it counts the allocations of the process.
func TestAllocations(t *testing.T) { //nolint:paralleltest // it counts the allocations of the process
	const limit = 45 // the goal is 90
	ctx, event, adapter := helloContext(t), readEvent(t, "v2-protobuf.json"), helloAdapter(t)
	got := testing.AllocsPerRun(100, func() {
		if _, err := adapter.Invoke(ctx, event); err != nil {
			t.Fatal(err)
		}
	})
	if got > limit {
		t.Errorf("Invoke allocates %.0f times, want at most %d", got, limit)
	}
}

func helloContext(t testing.TB) context.Context {
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(time.Hour))
	t.Cleanup(cancel)
	return lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: requestID})
}

func BenchmarkTypedHello(b *testing.B) {
	benchmark(b, lambda.NewHandler(func(_ context.Context, e events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		if _, err := base64.StdEncoding.DecodeString(e.Body); err != nil {
			b.Error(err)
		}
		return events.APIGatewayV2HTTPResponse{
			StatusCode: 200, Headers: map[string]string{"Content-Type": "application/protobuf"},
			Body: base64.StdEncoding.EncodeToString(hello), IsBase64Encoded: true,
		}, nil
	}))
}

var hello = []byte("\x0a\x0d\x0a\x0242\x12\x07example")

func benchmark(b *testing.B, h lambda.Handler) {
	ctx, event := helloContext(b), readEvent(b, "v2-protobuf.json")
	b.ReportAllocs()
	start := cpu(b)
	for b.Loop() {
		if _, err := h.Invoke(ctx, event); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpu(b)-start)/float64(b.N), "cpu-ns/op") // varies less than wall time on a busy machine
}

// cpu returns the CPU time of the process.
func cpu(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
