package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/lambdahttp"
	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
)

// outcome is what came of a request: the reason of an error about rights or identity, or else "yes", or "empty" for a field.
func outcome(u use, message protoreflect.Message, code, reason, missing string) string {
	switch {
	case code == "unauthenticated":
		return reason
	case code == "permission_denied":
		return reason + " " + missing
	case u.field == "":
		return "yes"
	case code != "":
		return "error " + code
	}
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		part := message.Get(fields.Get(i))
		if d := fields.Get(i).Message(); d == nil || d.Fields().ByName(protoreflect.Name(u.field)) == nil {
			continue
		} else if part.Message().Get(d.Fields().ByName(protoreflect.Name(u.field))).String() != "" {
			return "yes"
		}
	}
	return "empty"
}

// caller sends a request as one of the identities.
type caller func(t *testing.T, u use, identity string) string

// newMessages returns the empty request and answer of an rpc.
func newMessages(t *testing.T, rpc string) (request, answer proto.Message) {
	t.Helper()
	service, method, _ := strings.Cut(rpc, "/")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName("osirose.database.v1." + service + "." + method))
	if err != nil {
		t.Fatal(err)
	}
	m := d.(protoreflect.MethodDescriptor)
	var made [2]proto.Message
	for i, name := range []protoreflect.FullName{m.Input().FullName(), m.Output().FullName()} {
		message, err := protoregistry.GlobalTypes.FindMessageByName(name)
		if err != nil {
			t.Fatal(err)
		}
		made[i] = message.New().Interface()
	}
	return made[0], made[1]
}

// encoded returns the request in a Twirp encoding, and the empty answer.
func encoded(t *testing.T, u use, contentType string) ([]byte, proto.Message) {
	t.Helper()
	request, answer := newMessages(t, u.rpc)
	if contentType == "application/json" {
		return []byte(u.request), answer
	}
	if err := protojson.Unmarshal([]byte(u.request), request); err != nil {
		t.Fatal(err)
	}
	b, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return b, answer
}

// decodeTwirp returns what came of a Twirp request.
func decodeTwirp(t *testing.T, u use, contentType string, status int, body []byte, answer proto.Message) string {
	t.Helper()
	if status != http.StatusOK {
		var e struct {
			Code string            `json:"code"`
			Meta map[string]string `json:"meta"`
		}
		if err := json.Unmarshal(body, &e); err != nil {
			t.Fatalf("%s: %q: %v", u.rpc, body, err)
		}
		return outcome(u, nil, e.Code, e.Meta["reason"], e.Meta["missing_right"])
	}
	var err error
	if contentType == "application/json" {
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body, answer)
	} else {
		err = proto.Unmarshal(body, answer)
	}
	if err != nil {
		t.Fatal(err)
	}
	return outcome(u, answer.ProtoReflect(), "", "", "")
}

func byTwirp(url, contentType string, keys map[string]string) caller {
	return func(t *testing.T, u use, identity string) string {
		body, answer := encoded(t, u, contentType)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/twirp/osirose.database.v1."+u.rpc, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", contentType)
		if key := keys[identity]; key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		got, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return decodeTwirp(t, u, contentType, response.StatusCode, got, answer)
	}
}

// reasonOfStatus returns the reason of a gRPC error, and the right that is missing.
func reasonOfStatus(s *status.Status) (reason, missing string) {
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.Reason, info.Metadata["missing_right"]
		}
	}
	return "", ""
}

func byGRPC(c *grpc.ClientConn, keys map[string]string) caller {
	return func(t *testing.T, u use, identity string) string {
		request, answer := newMessages(t, u.rpc)
		if err := protojson.Unmarshal([]byte(u.request), request); err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		if key := keys[identity]; key != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key)
		}
		err := c.Invoke(ctx, "/osirose.database.v1."+u.rpc, request, answer)
		if err == nil {
			return outcome(u, answer.ProtoReflect(), "", "", "")
		}
		s := status.Convert(err)
		reason, missing := reasonOfStatus(s)
		code := map[string]string{"Unauthenticated": "unauthenticated", "PermissionDenied": "permission_denied"}[s.Code().String()]
		if code == "" {
			code = s.Code().String()
		}
		return outcome(u, nil, code, reason, missing)
	}
}

// byLambda sends events of an HTTP API, whose gateway has verified an IAM role of the identity's name.
func byLambda(t *testing.T, e *testenv.Env, file string) caller {
	t.Helper()
	c := e.Program.Config
	c.Callers = config.Callers{File: file, Required: true}
	p, err := app.Open(app.Options{Config: c, Events: true, LogTo: io.Discard, Budgets: testenv.Budgets()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	adapter := lambdahttp.New(slog.New(slog.DiscardHandler), services.New(p).Handler(p.Edge()))
	return func(t *testing.T, u use, identity string) string {
		const contentType = "application/protobuf"
		body, answer := encoded(t, u, contentType)
		around := map[string]any{"http": map[string]any{"method": "POST", "sourceIp": "192.0.2.1"}}
		if identity != "nothing" {
			around["authorizer"] = map[string]any{"iam": map[string]any{"userArn": "arn:aws:sts::123456789012:assumed-role/" + identity + "/session"}}
		}
		event, err := json.Marshal(map[string]any{
			"version": "2.0", "rawPath": "/twirp/osirose.database.v1." + u.rpc, "headers": map[string]string{"content-type": contentType},
			"requestContext": around, "body": base64.StdEncoding.EncodeToString(body), "isBase64Encoded": true,
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := adapter.Invoke(t.Context(), event)
		if err != nil {
			t.Fatal(err)
		}
		var a struct {
			StatusCode      int
			Body            string
			IsBase64Encoded bool
		}
		if err := json.Unmarshal(got, &a); err != nil {
			t.Fatal(err)
		}
		content := []byte(a.Body)
		if a.IsBase64Encoded {
			if content, err = base64.StdEncoding.DecodeString(a.Body); err != nil {
				t.Fatal(err)
			}
		}
		return decodeTwirp(t, u, contentType, a.StatusCode, content, answer)
	}
}
