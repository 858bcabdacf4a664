package emulator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/osirose-new/database-service/local/emulator"
)

// greet is a function behind an HTTP API. lambda.NewHandler of aws-lambda-go makes such a handler from an ordinary function.
type greet struct{}

func (greet) Invoke(_ context.Context, payload []byte) ([]byte, error) {
	var event struct {
		PathParameters struct{ Name string }
	}
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"statusCode": 200, "body": "Hello " + event.PathParameters.Name})
}

// A function runs in this process, behind an emulated HTTP API.
func Example() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "template.yaml")
	const text = `
Resources:
  GreetFunction:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 30
      Events: {Greet: {Type: HttpApi, Properties: {Method: GET, Path: "/greet/{name}"}}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		log.Print(err)
		return
	}

	e, err := emulator.New(emulator.Options{Template: file, Handlers: map[string]emulator.Handler{"GreetFunction": greet{}}})
	if err != nil {
		log.Print(err)
		return
	}
	defer e.Close()
	server := httptest.NewServer(e)
	defer server.Close()

	for _, path := range []string{"/greet/Alice", "/_gateway/v1/greet/Bob", "/nowhere"} {
		r, err := http.Get(server.URL + path)
		if err != nil {
			log.Print(err)
			return
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		fmt.Println(r.StatusCode, string(body), err)
	}
	// Output:
	// 200 Hello Alice <nil>
	// 200 Hello Bob <nil>
	// 404 {"message":"Not Found"} <nil>
}
