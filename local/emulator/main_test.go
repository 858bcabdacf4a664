package emulator_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/osirose-new/database-service/local/emulator"
)

// Variables that turn this test binary into a function that the emulator starts, or into an emulator that a test kills.
const (
	functionVariable = "TEST_FUNCTION"
	programVariable  = "TEST_PROGRAM"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(functionVariable) != "":
		functionMain(os.Getenv(functionVariable))
	case os.Getenv(programVariable) != "":
		programMain(os.Getenv(programVariable))
	default:
		os.Exit(m.Run())
	}
}

// order tells a test function what to do.
type order struct {
	Do  string `json:"do"`
	URL string `json:"url,omitempty"`
}

// functionMain is a bootstrap. begin says how it starts; its events say what it does.
func functionMain(begin string) {
	switch begin {
	case "exit":
		fmt.Println("nothing works here")
		os.Exit(3)
	case "hang":
		hang()
	case "refuse":
		body := strings.NewReader(`{"errorType":"Function.NoSuchThing","errorMessage":"there is no such thing"}`)
		r, err := http.Post("http://"+os.Getenv("AWS_LAMBDA_RUNTIME_API")+"/2018-06-01/runtime/init/error", "application/json", body)
		fmt.Println(r.StatusCode, err)
		os.Exit(1)
	}
	lambda.Start(func(ctx context.Context, o order) (any, error) { return carryOut(ctx, o) })
}

// hang never returns. Without cgo, select {} would end the program with "all goroutines are asleep".
func hang() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR2) // which no test sends
	<-signals
}

func carryOut(ctx context.Context, o order) (any, error) {
	switch o.Do {
	case "panic":
		panic("as ordered")
	case "exit":
		os.Exit(1)
	case "leave":
		os.Exit(0)
	case "fail":
		return nil, errors.New("as ordered")
	case "hang":
		hang()
	case "huge":
		return strings.Repeat("x", 7<<20), nil
	case "write":
		fmt.Println("to stdout")
		fmt.Fprintln(os.Stderr, strings.Repeat("y", 5000)+" to stderr")
	case "wait": // until the meeting answers
		return get(context.WithoutCancel(ctx), o.URL+"?"+strconv.Itoa(os.Getpid()))
	case "environment":
		return os.Environ(), nil
	case "context":
		return describe(ctx), nil
	}
	return map[string]any{"pid": os.Getpid()}, nil
}

func get(ctx context.Context, url string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

func describe(ctx context.Context) map[string]string {
	lc, _ := lambdacontext.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	return map[string]string{
		"requestID": lc.AwsRequestID, "arn": lc.InvokedFunctionArn, "custom": lc.ClientContext.Custom["color"],
		"left": time.Until(deadline).String(), "trace": os.Getenv("_X_AMZN_TRACE_ID"),
		"name": lambdacontext.FunctionName, "memory": strconv.Itoa(lambdacontext.MemoryLimitInMB),
	}
}

// programMain serves an emulator until it is killed. It prints its URL.
func programMain(dir string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		err = programServe(l, dir)
	}
	fmt.Println(err)
}

// programServe closes the emulator after SIGTERM or SIGINT.
func programServe(l net.Listener, dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	e, err := emulator.New(emulator.Options{Template: filepath.Join(dir, "template.yaml"), Binaries: dir, Address: l.Addr().String()})
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(l, e) }()
	fmt.Println("http://" + l.Addr().String())
	<-ctx.Done()
	return e.Close()
}
