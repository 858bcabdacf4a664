package systemtest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/rpc/openapi"
)

// openAPI is the document of the JSON form. Its schemas are compiled once for all tests.
var openAPI = sync.OnceValues(func() (*jsonschema.Compiler, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(openapi.Document))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	return c, c.AddResource("openapi.json", document)
})

var openAPICompiling sync.Mutex

// answerSchema returns the schema of the answers of a path with an HTTP status.
func answerSchema(path string, status int) (*jsonschema.Schema, error) {
	openAPICompiling.Lock()
	defer openAPICompiling.Unlock()
	c, err := openAPI()
	if err != nil {
		return nil, err
	}
	return c.Compile(fmt.Sprintf("openapi.json#/paths/%s/post/responses/%d/content/application~1json/schema", strings.ReplaceAll(path, "/", "~1"), status))
}

// documented passes requests on, and compares each answer with the OpenAPI document.
type documented struct {
	testing.TB
	next http.RoundTripper
}

func (d documented) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := d.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err // the connection was lost
	}
	_ = answer.Body.Close() // all was read
	answer.Body = io.NopCloser(bytes.NewReader(body))
	if err := fits(r.URL.Path, answer.StatusCode, body); err != nil {
		d.Errorf("%s answered with status %d %.200s, which is not as in the OpenAPI document: %v", r.URL.Path, answer.StatusCode, body, err)
	}
	return answer, nil
}

// fits returns an error if an answer is not as in the document.
func fits(path string, status int, body []byte) error {
	schema, err := answerSchema(path, status)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// TestOpenAPIAnswers checks that answers which the document does not have are found. TestConformance compares the service's answers.
func TestOpenAPIAnswers(t *testing.T) {
	t.Parallel()
	const path = "/twirp/osirose.database.v1.UserService/GetUser"
	for body, test := range map[string]struct {
		status int
		fits   bool
	}{
		`{"user":{"id":"a","banned":false,"created_at":"2026-01-01T00:00:00Z","ban_expires_at":null}}`: {200, true},
		`{"user":{"id":1}}`: {200, false},
		`{"code":"not_found","msg":"no","meta":{"reason":"USER_NOT_FOUND"}}`:    {404, true},
		`{"code":"not_found","msg":"no","meta":{"reason":"SESSION_NOT_FOUND"}}`: {404, false},
		`{"code":"not_found","msg":"no"}`:                                       {404, false},
		`{"code":"unimplemented","msg":"no"}`:                                   {501, false},
	} {
		if err := fits(path, test.status, []byte(body)); (err == nil) != test.fits {
			t.Errorf("%d %s: %v, want that it fits: %t", test.status, body, err, test.fits)
		}
	}
}

// documentedErrors returns the errors of each rpc. The detail says when the error comes.
func documentedErrors(t *testing.T) (all []result) {
	t.Helper()
	var document struct {
		Paths map[string]struct {
			Post struct {
				Responses map[string]struct {
					Content map[string]struct {
						Schema struct {
							AnyOf []struct {
								Ref         string `json:"$ref"`
								Description string
							}
						}
					}
				}
			}
		}
	}
	if err := json.Unmarshal(openapi.Document, &document); err != nil {
		t.Fatal(err)
	}
	for path, item := range document.Paths {
		rpc := path[strings.LastIndex(path, "/")+1:]
		for status, response := range item.Post.Responses {
			for _, one := range response.Content["application/json"].Schema.AnyOf {
				code, reason, _ := strings.Cut(strings.TrimPrefix(one.Ref, "#/components/schemas/"), ".")
				all = append(all, result{rpc, fault{twirp.ErrorCode(code), reason}, one.Description})
				if s := strconv.Itoa(twirp.ServerHTTPStatusFromErrorCode(twirp.ErrorCode(code))); s != status {
					t.Errorf("%s: %s with the status %s, want %s", rpc, code, status, s)
				}
			}
		}
	}
	return all
}
