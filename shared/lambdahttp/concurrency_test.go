package lambdahttp_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/lambdahttp"
	"github.com/osirose-new/database-service/shared/request"
)

// TestRule14Concurrency runs events of all kinds concurrently in one adapter. Each must get its own response.
func TestRule14Concurrency(t *testing.T) {
	t.Parallel()
	const senders, each = 16, 50
	adapter := lambdahttp.New(slog.New(slog.DiscardHandler), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if string(body) == "panic" {
			panic(body)
		}
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, string(body), err, strings.TrimPrefix(callers.ShortARN(request.From(r.Context()).Identity()), "user/"))
	}))
	var wg sync.WaitGroup
	for c := range senders {
		wg.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d-%d", c, i)
				v2, v1 := v2Event(), v1Event()
				v2.Body, v1.Body = id, id
				v2.RequestContext.Authorizer, v1.RequestContext.Identity.UserArn = signedBy("arn:aws:iam::1:user/"+id), "arn:aws:iam::1:user/"+id
				ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: id})
				for _, event := range []any{v2, v1} {
					payload, _ := json.Marshal(event)
					response, err := adapter.Invoke(ctx, payload)
					clear(payload) // aws-lambda-go reuses the buffer
					if err != nil || !strings.Contains(string(response), fmt.Sprintf(`"body":"%s<nil>%s"`, id, id)) {
						t.Errorf("event %s got %s, %v", id, response, err)
					}
				}
				v2.Body = "panic"
				payload, _ := json.Marshal(v2)
				if response, err := adapter.Invoke(ctx, payload); err != nil || !strings.Contains(string(response), `\"request_id\":\"`+id+`\"`) {
					t.Errorf("event %s got %s, %v, want an error with its id", id, response, err)
				}
			}
		})
	}
	wg.Wait()
}

// TestRule14MaxConcurrency reads the environment as Lambda sets it: before the process starts.
func TestRule14MaxConcurrency(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{"": "1", "64": "64", "0": "1", "many": "1"} {
		out, err := child(t, "concurrency", "AWS_LAMBDA_MAX_CONCURRENCY="+value).Output()
		if err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("with AWS_LAMBDA_MAX_CONCURRENCY=%q MaxConcurrency is %s, %v, want %s", value, out, err, want)
		}
	}
}

// child runs this test binary as another program; see TestMain.
func child(t *testing.T, program string, env ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), append(env, programEnv+"="+program)...)
	return c
}
