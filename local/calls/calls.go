// Package calls shows calls of the services to a web console, and makes them: a Recorder of finished calls, forms from the contract, a
// Sender for each protocol, and Snippets to copy. It knows no service, only the descriptors of the contract.
//
// A Recorder keeps the content of requests and answers only if it is made with Payloads. The content has personal fields and session
// tokens, so a program must allow that only on a developer's machine.
package calls

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

// contract is the protobuf package of the services.
var contract = databasev1.File_osirose_database_v1_user_proto.Package()

// RPC names an rpc of the contract.
type RPC struct{ Service, Method string }

// String returns the name by which this package finds an rpc: "UserService/GetUser".
func (r RPC) String() string { return r.Service + "/" + r.Method }

// RPCs returns all rpcs: services by name, methods in the order of the .proto file.
func RPCs() []RPC {
	var all []RPC
	protoregistry.GlobalFiles.RangeFilesByPackage(contract, func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				all = append(all, RPC{string(s.Name()), string(s.Methods().Get(j).Name())})
			}
		}
		return true
	})
	slices.SortStableFunc(all, func(a, b RPC) int { return cmp.Compare(a.Service, b.Service) })
	return all
}

// method has the types of an rpc.
type method struct {
	RPC
	in, out protoreflect.MessageType
}

// find returns an rpc by its name.
func find(rpc string) (method, error) {
	service, name, _ := strings.Cut(rpc, "/")
	unknown := fmt.Errorf("unknown rpc %q (example: UserService/GetUser)", rpc)
	d, _ := protoregistry.GlobalFiles.FindDescriptorByName(contract.Append(protoreflect.Name(service)))
	s, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		return method{}, unknown
	}
	m := s.Methods().ByName(protoreflect.Name(name))
	if m == nil {
		return method{}, unknown
	}
	in, err := protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName())
	if err != nil {
		return method{}, fmt.Errorf("request of %s: %w", rpc, err)
	}
	out, err := protoregistry.GlobalTypes.FindMessageByName(m.Output().FullName())
	if err != nil {
		return method{}, fmt.Errorf("answer of %s: %w", rpc, err)
	}
	return method{RPC{service, name}, in, out}, nil
}

// path returns the name by which both protocols find the rpc: "osirose.database.v1.UserService/GetUser".
func (m method) path() string { return string(contract) + "." + m.String() }

// request decodes a JSON request.
func (m method) request(body []byte) (proto.Message, error) {
	in := m.in.New().Interface()
	if err := protojson.Unmarshal(body, in); err != nil {
		return nil, fmt.Errorf("the JSON is not a %s: %w", m.in.Descriptor().Name(), err)
	}
	return in, nil
}

// Decode returns a request of an rpc, or an answer to it, as indented JSON. body is protobuf.
func Decode(rpc string, body []byte, answer bool) (string, error) {
	m, err := find(rpc)
	if err != nil {
		return "", err
	}
	return m.decode(body, answer)
}

func (m method) decode(body []byte, answer bool) (string, error) {
	as := m.in
	if answer {
		as = m.out
	}
	message := as.New().Interface()
	if err := proto.Unmarshal(body, message); err != nil {
		return "", fmt.Errorf("the body is not a %s: %w", as.Descriptor().Name(), err)
	}
	return pretty(message, answer)
}

// compact returns a request as JSON, without the fields that are not set.
func compact(m proto.Message) ([]byte, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = json.Compact(&b, text) // protojson varies its spaces
	return b.Bytes(), err
}

// pretty returns a message as indented JSON. An answer has all of its fields, as Twirp sends it.
func pretty(m proto.Message, all bool) (string, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: all}.Marshal(m)
	if err != nil {
		return "", err
	}
	var tight, b bytes.Buffer
	if err := json.Compact(&tight, text); err != nil { // protojson varies its spaces
		return "", err
	}
	err = json.Indent(&b, tight.Bytes(), "", "  ")
	return b.String(), err
}
