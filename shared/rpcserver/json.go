package rpcserver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// checkJSON refuses a JSON request with a value of the wrong type, a field that is there twice, an unknown enum name or, if the
// rpc writes, an unknown field. Twirp would not name the first two, would read the third as the enum's zero value, and would
// drop the last. The error names the field and repeats no value. It also refuses what follows the request, which Twirp would drop.
// Twirp refuses what is not JSON at all.
func (c *call) checkJSON(ctx context.Context) twirp.Error {
	m := requestOf(ctx)
	var body json.RawMessage
	d := json.NewDecoder(bytes.NewReader(c.body))
	if m == nil || d.Decode(&body) != nil {
		return nil
	}
	if len(bytes.TrimSpace(c.body[d.InputOffset():])) > 0 {
		return errMore
	}
	if protojson.Unmarshal(body, m.Interface()) == nil {
		return nil
	}
	method, _ := twirp.MethodName(ctx)
	j := jsonFields{writes: !slices.ContainsFunc([]string{"Get", "Find", "List"}, func(read string) bool { return strings.HasPrefix(method, read) })}
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

// entry is a name and a value of an object.
type entry struct {
	name  string
	value json.RawMessage
}

// entriesOf returns the entries of an object in the order of names. A name may be there more than once.
func entriesOf(object json.RawMessage) (all []entry) {
	d := json.NewDecoder(bytes.NewReader(object))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil
	}
	for d.More() {
		var e entry
		name, err := d.Token()
		if err != nil || d.Decode(&e.value) != nil {
			return nil
		}
		e.name, _ = name.(string)
		all = append(all, e)
	}
	slices.SortStableFunc(all, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return all
}

// object checks an object that is to become m. path is the object's field, empty for the request itself.
func (j jsonFields) object(m protoreflect.Message, object json.RawMessage, path string) twirp.Error {
	seen := map[protoreflect.FullName]protoreflect.FieldDescriptor{} // by the name of the field, or of its oneof
	for _, e := range entriesOf(object) {
		f := m.Descriptor().Fields().ByJSONName(e.name)
		if f == nil {
			f = m.Descriptor().Fields().ByTextName(e.name)
		}
		var err twirp.Error
		switch {
		case f == nil && j.writes:
			err = unknownField(path, e.name)
		case f == nil:
		case !j.fits(m, f, e.value):
			err = j.field(m, f, e.value, join(path, string(f.Name())))
		default:
			err = excluded(seen, f, e.value, path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// excluded refuses a field that is there twice, and the second of two that exclude each other.
func excluded(seen map[protoreflect.FullName]protoreflect.FieldDescriptor, f protoreflect.FieldDescriptor, value json.RawMessage, path string) twirp.Error {
	name := f.FullName()
	if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() && string(value) != "null" {
		name = o.FullName()
	}
	first := seen[name]
	seen[name] = f
	argument, problem := join(path, string(f.Name())), " is there twice"
	switch {
	case first == nil:
		return nil
	case first != f:
		problem = " and " + join(path, string(first.Name())) + " exclude each other: send one of them"
	}
	return Error(twirp.Malformed, "ARGUMENT", argument+problem).WithMeta("argument", argument)
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
