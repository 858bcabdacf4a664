package emulator_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/osirose-new/database-service/local/emulator"
)

// handler is an emulator.Handler that is a func.
type handler func(ctx context.Context, payload []byte) ([]byte, error)

func (h handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) { return h(ctx, payload) }

const inProcessTemplate = `
Resources:
  GoodFunction:
    Type: AWS::Serverless::Function
    Properties: {Timeout: 900, Events: {All: {Type: HttpApi}}}
  HastyFunction:
    Type: AWS::Serverless::Function
    Properties: {Timeout: 1}
`

func TestInProcess(t *testing.T) {
	t.Parallel()
	released := make(chan struct{})
	t.Cleanup(func() { close(released) })
	obey := handler(func(ctx context.Context, payload []byte) ([]byte, error) {
		switch {
		case strings.Contains(string(payload), "panic"):
			panic(errors.New("as ordered"))
		case strings.Contains(string(payload), "fail"):
			return nil, errors.New("as ordered")
		case strings.Contains(string(payload), "hang"):
			<-released
		case strings.Contains(string(payload), "huge"):
			return make([]byte, 7<<20), nil
		case strings.Contains(string(payload), "context"):
			deadline, _ := ctx.Deadline()
			return []byte(`"` + time.Until(deadline).String() + `"`), nil
		}
		return []byte(`{"statusCode":201}`), nil
	})
	e := serve(t, emulator.Options{
		Template: writeFile(t, t.TempDir(), "template.yaml", inProcessTemplate),
		Handlers: map[string]emulator.Handler{"GoodFunction": obey, "HastyFunction": obey},
	})
	for do, want := range map[string]string{
		"panic": `{"errorType":"errorString","errorMessage":"as ordered"}`, "fail": `"errorMessage":"as ordered"`,
		"hang": " Error: Task timed out after 1.00 seconds", "huge": "Function.ResponseSizeTooLarge",
	} {
		t.Run(do, func(t *testing.T) {
			t.Parallel()
			function := "GoodFunction"
			if do == "hang" {
				function = "HastyFunction"
			}
			r := e.invoke(t, function, `{"do":"`+do+`"}`, "X-Amz-Log-Type", "Tail")
			wantAnswer(t, r, http.StatusOK, "Unhandled")
			wantText(t, r.text, want)
			log, err := base64.StdEncoding.DecodeString(r.header.Get("X-Amz-Log-Result"))
			if err != nil {
				t.Error(err)
			}
			wantText(t, string(log), "START RequestId: ", "END RequestId: ", "REPORT RequestId: ")
		})
	}
	t.Run("ok", func(t *testing.T) {
		t.Parallel()
		r := e.do(t, "nothing")
		wantAnswer(t, r, http.StatusOK, "")
		wantText(t, r.text, `{"statusCode":201}`)
		if r := e.request(t, http.MethodGet, "/x", ""); r.code != http.StatusCreated {
			t.Errorf("through the gateway: got %d %s", r.code, r.text)
		}
	})
	t.Run("deadline", func(t *testing.T) {
		t.Parallel()
		left, err := time.ParseDuration(strings.Trim(e.invoke(t, "HastyFunction", `"context"`).text, `"`))
		if err != nil || left > time.Second {
			t.Errorf("got %v, %v until the deadline, want up to 1 s", left, err)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	template := writeFile(t, t.TempDir(), "template.yaml", testTemplate)
	inProcess := writeFile(t, t.TempDir(), "template.yaml", inProcessTemplate)
	handlers := map[string]emulator.Handler{}
	for name, test := range map[string]struct {
		options emulator.Options
		want    string
	}{
		"no handler":   {emulator.Options{Template: inProcess, Handlers: handlers}, "no handler for GoodFunction"},
		"no program":   {emulator.Options{Template: template, Binaries: t.TempDir(), Address: "127.0.0.1:1"}, "the program of BrokenFunction"},
		"no source":    {emulator.Options{Template: template, Handlers: handlers}, "template.yaml:9: CodeUri leads to nothing: stat "},
		"no address":   {emulator.Options{Template: template, Binaries: "."}, "address"},
		"no template":  {emulator.Options{Template: "nowhere.yaml"}, "nowhere.yaml"},
		"no parameter": {emulator.Options{Template: template, Parameters: map[string]string{"Size": "1"}}, "no parameter Size"},
	} {
		if _, err := emulator.New(test.options); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, test.want)
		}
	}
}
