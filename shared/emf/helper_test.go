package emf_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/lambdahttp"
	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// output is a function's stdout. It checks that each write is one line.
type output struct {
	t       testing.TB
	mu      sync.Mutex
	lines   []string
	discard bool
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if bytes.Count(b, []byte("\n")) != 1 {
		o.t.Errorf("%q was written, want a whole line", b)
	}
	if !o.discard {
		o.lines = append(o.lines, string(b))
	}
	return len(b), nil
}

// take returns the lines so far, and removes them.
func (o *output) take() (all []line) {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, raw := range o.lines {
		all = append(all, parse(o.t, raw))
	}
	o.lines = nil
	return all
}

// functions are the user and session functions in one process, with their stdout.
type functions struct {
	program *app.Program
	out     *output
	user    *lambdahttp.Adapter
	session *lambdahttp.Adapter
}

func start(t testing.TB, e *testenv.Env, on bool) functions {
	t.Helper()
	f := functions{out: &output{t: t}}
	f.program = e.Open(t, func(c *app.Options) {
		c.Metrics = config.EmbeddedMetrics{On: on, Stage: "test", Version: "7"}
		c.Concurrency, c.LogTo = 8, io.Discard
		c.EmbedMetrics(f.out)
	})
	p := f.program
	edge := p.Edge()
	all := services.New(p)
	f.user = lambdahttp.New(p.Log, edge.Handler(databasev1.NewUserServiceServer(all.Users, edge.Options()))).Finish(p.Telemetry.Finish)
	f.session = lambdahttp.New(p.Log, edge.Handler(databasev1.NewSessionServiceServer(all.Sessions, edge.Options()))).Finish(p.Telemetry.Finish)
	return f
}

const requestID = "8f507cfc-1b2c-4d5e-8f90-a1b2c3d4e5f6"

// event returns the HTTP API's event of a signed request.
func event(t testing.TB, rpc string, m proto.Message) []byte {
	t.Helper()
	body, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return rawEvent(t, rpc, map[string]any{"body": base64.StdEncoding.EncodeToString(body)})
}

func rawEvent(t testing.TB, rpc string, with map[string]any) []byte {
	t.Helper()
	e := map[string]any{
		"version": "2.0", "rawPath": "/twirp/osirose.database.v1." + rpc, "isBase64Encoded": true,
		"headers": map[string]string{"content-type": "application/protobuf", "user-agent": "canary4711@example.com 192.0.2.47", "x-forwarded-for": "192.0.2.47"},
		"requestContext": map[string]any{
			"http":       map[string]string{"method": "POST", "sourceIp": "192.0.2.47", "userAgent": "canary4711@example.com"},
			"authorizer": map[string]any{"iam": map[string]string{"userArn": "arn:aws:sts::123456789012:assumed-role/game/canary4711@example.com"}},
		},
	}
	for name, value := range with {
		e[name] = value
	}
	payload, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

func invoke(t testing.TB, a *lambdahttp.Adapter, payload []byte) string {
	t.Helper()
	ctx := lambdacontext.NewContext(context.WithoutCancel(t.Context()), &lambdacontext.LambdaContext{AwsRequestID: requestID})
	answer, err := a.Invoke(ctx, payload)
	if err != nil {
		return err.Error()
	}
	return string(answer)
}

func wantAnswer(t testing.TB, call, answer, part string) {
	t.Helper()
	if !strings.Contains(answer, part) {
		t.Errorf("%s: answered %s, want %s in it", call, answer, part)
	}
}
