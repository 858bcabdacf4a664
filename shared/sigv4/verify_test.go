package sigv4_test

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/osirose-new/database-service/shared/sigv4"
)

var (
	authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$`)
	spaces        = regexp.MustCompile(` +`)
)

// verify checks a request as it arrived, the way a server of AWS does:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func verify(r *http.Request, body []byte, secret string) error {
	a := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	if a == nil {
		return fmt.Errorf("Authorization is %q", r.Header.Get("Authorization"))
	}
	day, region, service, names, signature := a[2], a[3], a[4], strings.Split(a[5], ";"), a[6]
	at := r.Header.Get("X-Amz-Date")
	if !strings.HasPrefix(at, day) || !slices.IsSorted(names) {
		return fmt.Errorf("the date is %s for the day %s, the signed headers are %v", at, day, names)
	}
	var headers strings.Builder
	for _, name := range names {
		values := r.Header.Values(name)
		switch name {
		case "host":
			values = []string{r.Host}
		case "content-length":
			values = []string{fmt.Sprint(r.ContentLength)}
		}
		if len(values) == 0 {
			return fmt.Errorf("%s is signed and did not arrive", name)
		}
		for i, v := range values {
			values[i] = strings.Trim(spaces.ReplaceAllString(v, " "), " ")
		}
		fmt.Fprintf(&headers, "%s:%s\n", name, strings.Join(values, ","))
	}
	path, query, _ := strings.Cut(r.RequestURI, "?")
	request := strings.Join([]string{r.Method, escape(cmp.Or(path, "/"), "/"), canonicalQuery(query), headers.String(), a[5], hash(body)}, "\n")
	scope := strings.Join([]string{day, region, service, "aws4_request"}, "/")
	key := []byte("AWS4" + secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	want := hex.EncodeToString(mac(key, strings.Join([]string{"AWS4-HMAC-SHA256", at, scope, hash([]byte(request))}, "\n")))
	if signature != want {
		return fmt.Errorf("the signature is %s, want %s for\n%s", signature, want, request)
	}
	return nil
}

// canonicalQuery takes a query that is percent-encoded already.
func canonicalQuery(raw string) string {
	if raw == "" {
		return ""
	}
	pairs := strings.Split(raw, "&")
	for i, p := range pairs {
		if !strings.Contains(p, "=") {
			pairs[i] += "="
		}
	}
	slices.SortFunc(pairs, func(a, b string) int {
		k, v, _ := strings.Cut(a, "=")
		l, w, _ := strings.Cut(b, "=")
		return cmp.Or(strings.Compare(k, l), strings.Compare(v, w))
	})
	return strings.Join(pairs, "&")
}

func escape(s, keep string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte("-._~"+keep, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// TestKnownSignatures has the results that AWS has published for its example credentials.
func TestKnownSignatures(t *testing.T) {
	t.Parallel()
	const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	for _, test := range []struct {
		name, method, url, service, contentType, want string
	}{
		{"the documentation's ListUsers", "GET", "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08", "iam",
			"application/x-www-form-urlencoded; charset=utf-8", "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"},
		{"the test suite's get-vanilla", "GET", "https://example.amazonaws.com/", "service", "",
			"5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"the test suite's post-vanilla", "POST", "https://example.amazonaws.com/", "service", "",
			"5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var sent *http.Request
			transport := &sigv4.Transport{Credentials: fixed("AKIDEXAMPLE", secret, ""), Region: "us-east-1", Service: test.service,
				Base: roundTripper(func(r *http.Request) (*http.Response, error) {
					sent = r
					return answer(http.StatusOK, ""), nil
				})}
			transport.SetClock(func() time.Time { return time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC) }, nil)
			r := request(t, test.method, test.url, "")
			if test.contentType != "" {
				r.Header.Set("Content-Type", test.contentType)
			}
			if _, err := transport.RoundTrip(r); err != nil {
				t.Fatal(err)
			}
			if a := authorization.FindStringSubmatch(sent.Header.Get("Authorization")); a == nil || a[6] != test.want {
				t.Errorf("Authorization = %s, want the signature %s", sent.Header.Get("Authorization"), test.want)
			}
			sent.RequestURI = sent.URL.RequestURI() // as it would arrive
			if err := verify(sent, nil, secret); err != nil {
				t.Errorf("the test's own verification: %v", err)
			}
		})
	}
}

func fixed(id, secret, token string) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}, nil
	})
}
