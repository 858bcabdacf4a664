package gateway

import (
	"net/http"
	"strings"

	"github.com/osirose-new/database-service/local/emulator/template"
)

// signer is the IAM principal of a request, as the events of an API and of a function URL have it.
type signer struct{ key, arn, id string }

// signer returns the principal of a request. It names a user after the access key, so that a test can distinguish callers. A
// request without a signature has none, except at a gateway that requires one: there it is a session of a made-up role.
func (req *request) signer() (by signer, ok bool) {
	if key := accessKey(req.header); key != "" {
		id := "AIDA" + strings.TrimPrefix(strings.TrimPrefix(key, "AKIA"), "ASIA")
		return signer{key, "arn:aws:iam::" + template.Account + ":user/" + key, id}, true
	}
	if !req.iam {
		return signer{}, false
	}
	return signer{"ASIAEMULATOR00000000", "arn:aws:sts::" + template.Account + ":assumed-role/emulator/unsigned", "AROAEMULATOR00000000:unsigned"}, true
}

// accessKey returns the access key of a request with a SigV4 signature, which is not verified.
func accessKey(h http.Header) string {
	rest, ok := strings.CutPrefix(h.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return ""
	}
	for field := range strings.SplitSeq(rest, ",") {
		if scope, ok := strings.CutPrefix(strings.TrimSpace(field), "Credential="); ok {
			key, _, _ := strings.Cut(scope, "/")
			return key
		}
	}
	return ""
}
