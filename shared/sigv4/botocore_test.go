//go:build e2e

package sigv4_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// botocoreSign reads requests as JSON and writes the Authorization that botocore gives each of them.
const botocoreSign = `
import base64, datetime, json, sys
import botocore.auth, botocore.awsrequest, botocore.credentials
at = datetime.datetime(2026, 11, 22, 12)
botocore.auth.get_current_datetime = lambda *_: at
answers = []
for r in json.load(sys.stdin):
    q = botocore.awsrequest.AWSRequest(r['method'], r['url'], r['headers'], base64.b64decode(r['body']))
    c = botocore.credentials.Credentials(r['id'], r['secret'], r['token'])
    botocore.auth.SigV4Auth(c, r['service'], r['region']).add_auth(q)
    answers.append(q.headers['Authorization'])
json.dump(answers, sys.stdout)
`

// TestBotocore compares the signatures with those of AWS's Python client.
func TestBotocore(t *testing.T) {
	t.Parallel()
	const python = "../../scripts/python/.venv/bin/python"
	type signing struct {
		Method  string            `json:"method"`
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
		ID      string            `json:"id"`
		Secret  string            `json:"secret"`
		Token   string            `json:"token"`
		Service string            `json:"service"`
		Region  string            `json:"region"`
	}
	var all []signing
	var ours []string
	tr := transport()
	c := &clock{at: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	tr.SetClock(c.now, c.wait)
	for _, host := range []string{"a1b2.execute-api.eu-central-1.amazonaws.com", "a1b2.lambda-url.eu-central-1.on.aws", "127.0.0.1:50052"} {
		for _, path := range []string{
			"/twirp/osirose.database.v1.UserService/GetUser", "/prod/twirp/osirose.database.v1.UserService/GetUser", "/", "/a:b", "/a%20b",
			"/%E2%82%AC", "/100%25", "/q?b=2&a=1", "/q?a=b&a=a", "/q?a=x%20y&b=%2F%3D", "/q?a=a%2Fb&a=a-b",
		} {
			for _, body := range []string{"", "text", "\x00\x0a\x20binary\xff"} {
				url := "https://" + host + path
				r := request(t, http.MethodPost, url, body)
				r.Header.Set("Content-Type", "application/protobuf")
				r.Header.Set("Accept", "application/protobuf")
				r.Header.Set("Twirp-Version", "v8.1.3")
				s := signing{Method: r.Method, URL: url, Headers: map[string]string{}, Body: base64.StdEncoding.EncodeToString([]byte(body)),
					ID: "AKIDTESTS", Secret: secret, Token: token, Region: "eu-central-1"}
				tr.Base = roundTripper(func(r *http.Request) (*http.Response, error) {
					a := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
					s.Service = a[4]
					ours = append(ours, a[0])
					return answer(http.StatusOK, ""), nil
				})
				for k := range r.Header {
					s.Headers[k] = r.Header.Get(k)
				}
				if len(body) > 0 { // http.Transport sends it
					s.Headers["Content-Length"] = strconv.Itoa(len(body))
				}
				if _, err := tr.RoundTrip(r); err != nil {
					t.Fatal(err)
				}
				all = append(all, s)
			}
		}
	}
	in, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", botocoreSign)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("botocore (scripts/python/install installs it): %v", err)
	}
	var theirs []string
	if err := json.Unmarshal(out, &theirs); err != nil || len(theirs) != len(ours) {
		t.Fatalf("botocore signed %d requests, %v, want %d", len(theirs), err, len(ours))
	}
	for i := range ours {
		if ours[i] != theirs[i] {
			t.Errorf("%s with %q:\nours     %s\nbotocore %s", all[i].URL, all[i].Body, ours[i], theirs[i])
		}
	}
	t.Logf("%d signatures are the same", len(ours))
}
