package rpcserver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// checkJSON refuses a JSON request with a value of the wrong type, an unknown enum name or, if the rpc writes, an unknown
// field. Twirp would not name the first, would read the second as the enum's zero value, and would drop the third. The
// error names the field and repeats no value. Twirp refuses what is not JSON at all.
func (c *call) checkJSON(ctx context.Context) twirp.Error {
	m := requestOf(ctx)
	var body json.RawMessage
	// Like Twirp, this ignores what follows the first JSON value.
	if m == nil || json.NewDecoder(bytes.NewReader(c.body)).Decode(&body) != nil || protojson.Unmarshal(body, m.Interface()) == nil {
		return nil
	}
	method, _ := twirp.MethodName(ctx)
	j := jsonFields{writes: !strings.HasPrefix(method, "Get")}
	tolerant := protojson.UnmarshalOptions{DiscardUnknown: true}
	if tolerant.Unmarshal(body, m.Interface()) != nil {
		j = jsonFields{UnmarshalOptions: tolerant, wrongTypes: true}
	}
	if !utf8.Valid(body) {
		return nil
	}
	return j.object(m, body, "")
}

// requestOf returns an empty request of the method that Twirp has found.
func requestOf(ctx context.Context) protoreflect.Message {
	pkg, _ := twirp.PackageName(ctx)
	service, _ := twirp.ServiceName(ctx)
	method, _ := twirp.MethodName(ctx)
	d, _ := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(pkg + "." + service))
	s, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil
	}
	rpc := s.Methods().ByName(protoreflect.Name(method))
	if rpc == nil {
		return nil
	}
	t, err := protoregistry.GlobalTypes.FindMessageByName(rpc.Input().FullName())
	if err != nil {
		return nil
	}
	return t.New()
}

// jsonFields finds the first wrong field of a request, in the order of names.
type jsonFields struct {
	protojson.UnmarshalOptions
	writes     bool // unknown fields are wrong
	wrongTypes bool // look for values of the wrong type only
}

// object checks an object that is to become m. path is the object's field, empty for the request itself.
func (j jsonFields) object(m protoreflect.Message, object json.RawMessage, path string) twirp.Error {
	var fields map[string]json.RawMessage
	if json.Unmarshal(object, &fields) != nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		f := m.Descriptor().Fields().ByJSONName(name)
		if f == nil {
			f = m.Descriptor().Fields().ByTextName(name)
		}
		var err twirp.Error
		switch {
		case f == nil && j.writes:
			err = unknownField(path, name)
		case f != nil && !j.fits(m, f, fields[name]):
			err = j.field(m, f, fields[name], join(path, string(f.Name())))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// field checks the value of a field that does not fit.
func (j jsonFields) field(m protoreflect.Message, f protoreflect.FieldDescriptor, value json.RawMessage, path string) twirp.Error {
	if !f.IsList() {
		return j.value(f, value, path, func() protoreflect.Message { return m.NewField(f).Message() })
	}
	var elements []json.RawMessage
	if value[0] != '[' || json.Unmarshal(value, &elements) != nil {
		return wrongType(path, "array")
	}
	for i, e := range elements {
		if j.fits(m, f, slices.Concat(json.RawMessage("["), e, json.RawMessage("]"))) {
			continue
		}
		err := j.value(f, e, fmt.Sprintf("%s[%d]", path, i), func() protoreflect.Message { return m.NewField(f).List().NewElement().Message() })
		if err != nil {
			return err
		}
	}
	return nil
}

// value checks one value that does not fit.
func (j jsonFields) value(f protoreflect.FieldDescriptor, value json.RawMessage, path string, empty func() protoreflect.Message) twirp.Error {
	switch {
	case f.Enum() != nil && !j.wrongTypes:
		return InvalidArgument(path, "is unknown")
	case f.Enum() != nil:
		return wrongType(path, string(f.Enum().Name()))
	case f.Message() == nil:
		return wrongType(path, f.Kind().String())
	case f.Message().ParentFile().Package() == "google.protobuf": // has a JSON form of its own
		return wrongType(path, string(f.Message().Name()))
	case value[0] != '{':
		return wrongType(path, "object")
	}
	return j.object(empty(), value, path)
}

// fits reports whether protojson takes the value for a field of m's type.
func (j jsonFields) fits(m protoreflect.Message, f protoreflect.FieldDescriptor, value json.RawMessage) bool {
	object := slices.Concat([]byte(`{"`+f.JSONName()+`":`), value, []byte("}"))
	return j.Unmarshal(object, m.New().Interface()) == nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func wrongType(path, want string) twirp.Error {
	return Error(twirp.Malformed, "ARGUMENT", path+" is no valid "+want).WithMeta("argument", path)
}

// maxField is the length of the longest unknown name, in bytes, that an error repeats.
const maxField = 64

// unknownField repeats the name if it looks like a field's. Anything else may be data.
func unknownField(path, name string) twirp.Error {
	other := func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}
	if len(name) <= maxField && name != "" && !strings.ContainsFunc(name, other) {
		return InvalidArgument(join(path, name), "is no field of this request")
	}
	if path == "" {
		path = "request"
	}
	return InvalidArgument(path, "has an unknown field")
}
