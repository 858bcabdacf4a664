package awslogin_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// checkToken verifies a presigned token as its receiver does. It computes the signature itself.
func checkToken(token, service string, want map[string]string) error {
	u, err := url.Parse("https://" + token)
	if err != nil {
		return err
	}
	q := u.Query()
	want["X-Amz-Expires"], want["X-Amz-Algorithm"], want["X-Amz-SignedHeaders"] = "900", "AWS4-HMAC-SHA256", "host"
	want["X-Amz-Security-Token"] = sessionToken
	for name, value := range want {
		if got := q.Get(name); got != value {
			return fmt.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	date := q.Get("X-Amz-Date")
	signed, err := time.Parse("20060102T150405Z", date)
	if err != nil || time.Since(signed).Abs() > 15*time.Minute {
		return fmt.Errorf("signed at %q", date)
	}
	scope := strings.Join([]string{date[:8], region, service, "aws4_request"}, "/")
	if got := q.Get("X-Amz-Credential"); got != accessKey+"/"+scope {
		return fmt.Errorf("X-Amz-Credential is %q", got)
	}
	signature := q.Get("X-Amz-Signature")
	q.Del("X-Amz-Signature")
	canonical := "GET\n/\n" + strings.ReplaceAll(q.Encode(), "+", "%20") + "\nhost:" + u.Host + "\n\nhost\n" + hash("")
	key := []byte("AWS4" + secretKey)
	for _, part := range append(strings.Split(scope, "/"), "AWS4-HMAC-SHA256\n"+date+"\n"+scope+"\n"+hash(canonical)) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	if hex.EncodeToString(key) != signature {
		return errors.New("the signature is wrong")
	}
	return nil
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
