package console

import (
	"bytes"
	"encoding/json"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

const (
	rpcPrefix   = "/twirp/osirose.database.v1."
	packageName = "osirose.database.v1."
)

// indent formats JSON; it returns any other text as it is.
func indent(text []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, text, "", "  ") != nil {
		return string(text)
	}
	return b.String()
}

// readable returns the body of a request or of an answer as JSON.
func readable(path, contentType string, body []byte, isAnswer bool) string {
	if !strings.HasPrefix(contentType, "application/protobuf") {
		return indent(body)
	}
	rpc := methodOf(strings.TrimPrefix(path, rpcPrefix))
	if rpc == nil {
		return "protobuf of an unknown rpc"
	}
	of := rpc.Input()
	if isAnswer {
		of = rpc.Output()
	}
	t, err := protoregistry.GlobalTypes.FindMessageByName(of.FullName())
	if err != nil {
		return "protobuf of an unknown message"
	}
	m := t.New().Interface()
	if err := proto.Unmarshal(body, m); err != nil {
		return "broken protobuf"
	}
	return protojson.MarshalOptions{Multiline: true, UseProtoNames: true}.Format(m)
}

// methodOf returns the rpc with the name Service/Method, nil if there is none.
func methodOf(name string) protoreflect.MethodDescriptor {
	service, method, _ := strings.Cut(name, "/")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(packageName + service))
	if err != nil {
		return nil
	}
	s, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil
	}
	return s.Methods().ByName(protoreflect.Name(method))
}
