package calls

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Kind is how a form asks for a field.
type Kind string

// The kinds.
const (
	Text   Kind = "text"
	Number Kind = "number"
	Bool   Kind = "bool" // "true" or "false"
	Enum   Kind = "enum" // one of Field.Values
	JSON   Kind = "json" // a message, a list or a map
)

// Form describes the request of an rpc.
type Form struct {
	RPC
	Fields []Field // in the order of the .proto file
}

// Field is a field of a request.
type Field struct {
	Name     string // as in the .proto file: user_id
	Kind     Kind
	Type     string   // of protobuf: string, int64, PlayerField, google.protobuf.Struct; "repeated string"
	Values   []string // names of an enum
	Optional bool     // "not set" differs from the zero value
	OneOf    string   // the name of its oneof: at most one of these fields is set
}

// FormOf returns the form of an rpc, for example of UserService/GetUser.
func FormOf(rpc string) (Form, error) {
	m, err := find(rpc)
	if err != nil {
		return Form{}, err
	}
	f := Form{RPC: m.RPC}
	fields := m.in.Descriptor().Fields()
	for i := range fields.Len() {
		f.Fields = append(f.Fields, fieldOf(fields.Get(i)))
	}
	return f, nil
}

func fieldOf(d protoreflect.FieldDescriptor) Field {
	f := Field{Name: string(d.Name()), Kind: kindOf(d), Type: typeOf(d), Optional: d.HasOptionalKeyword()}
	if o := d.ContainingOneof(); o != nil && !o.IsSynthetic() {
		f.OneOf = string(o.Name())
	}
	if f.Kind == Enum {
		values := d.Enum().Values()
		for i := range values.Len() {
			f.Values = append(f.Values, string(values.Get(i).Name()))
		}
	}
	return f
}

func kindOf(d protoreflect.FieldDescriptor) Kind {
	switch {
	case d.IsList(), d.IsMap():
		return JSON
	case d.Enum() != nil:
		return Enum
	}
	switch d.Kind() {
	case protoreflect.BoolKind:
		return Bool
	case protoreflect.StringKind, protoreflect.BytesKind:
		return Text
	case protoreflect.MessageKind, protoreflect.GroupKind:
		switch d.Message().FullName() {
		case "google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask": // text in JSON
			return Text
		}
		return JSON
	}
	return Number
}

func typeOf(d protoreflect.FieldDescriptor) string {
	name := d.Kind().String()
	switch {
	case d.IsMap():
		return "map<" + typeOf(d.MapKey()) + ", " + typeOf(d.MapValue()) + ">"
	case d.Enum() != nil:
		name = nameIn(d.Enum())
	case d.Message() != nil:
		name = nameIn(d.Message())
	}
	if d.IsList() {
		return "repeated " + name
	}
	return name
}

// nameIn returns the name of a type, with its package if that is another one.
func nameIn(d protoreflect.Descriptor) string {
	return strings.TrimPrefix(string(d.FullName()), string(contract)+".")
}

// Build makes the JSON request of an rpc from the values of its form. A field without a value is not set. The error names the field.
func Build(rpc string, values map[string]string) ([]byte, error) {
	m, err := find(rpc)
	if err != nil {
		return nil, err
	}
	fields, oneofs := m.in.Descriptor().Fields(), map[protoreflect.Name]protoreflect.Name{}
	object := map[string]json.RawMessage{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name]
		d := fields.ByName(protoreflect.Name(name))
		switch {
		case d == nil:
			return nil, fmt.Errorf("%s is not a field of %s", name, m.in.Descriptor().Name())
		case value == "":
			continue
		case d.ContainingOneof() != nil:
			oneof := d.ContainingOneof().Name()
			if other := oneofs[oneof]; other != "" {
				return nil, fmt.Errorf("%s and %s exclude each other: give one of them", other, name)
			}
			oneofs[oneof] = d.Name()
		}
		if object[name], err = valueOf(m, d, value); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	in, err := m.request(text)
	if err != nil {
		return nil, err
	}
	return compact(in)
}

// valueOf returns the JSON of a field's value, and checks it.
func valueOf(m method, d protoreflect.FieldDescriptor, value string) (json.RawMessage, error) {
	var raw json.RawMessage
	switch kindOf(d) {
	case Text:
		raw, _ = json.Marshal(value) // never fails
	case Number, Enum: // protojson reads numbers from text too
		raw, _ = json.Marshal(strings.TrimSpace(value)) // never fails
	default:
		raw = json.RawMessage(strings.TrimSpace(value))
	}
	wrong := fmt.Errorf("%s is not a valid %s", d.Name(), typeOf(d))
	if !json.Valid(raw) { // otherwise it could end the object, and set another field
		if kindOf(d) == JSON {
			return nil, fmt.Errorf("%w: it is not JSON", wrong)
		}
		return nil, wrong
	}
	object := slices.Concat([]byte(`{"`+string(d.Name())+`":`), raw, []byte("}"))
	switch err := protojson.Unmarshal(object, m.in.New().Interface()); {
	case err != nil && kindOf(d) == JSON:
		return nil, fmt.Errorf("%w: %w", wrong, err)
	case err != nil:
		return nil, wrong
	}
	return raw, nil
}

// Values is the reverse of [Build]: it returns the form's values of a JSON request.
func Values(rpc string, body []byte) (map[string]string, error) {
	m, err := find(rpc)
	if err != nil {
		return nil, err
	}
	in, err := m.request(body)
	if err != nil {
		return nil, err
	}
	text, err := compact(in)
	if err != nil {
		return nil, err
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, err
	}
	values := map[string]string{}
	for name, raw := range object {
		values[name] = string(raw)
		if d := m.in.Descriptor().Fields().ByName(protoreflect.Name(name)); kindOf(d) != JSON && raw[0] == '"' {
			var s string
			if err := json.Unmarshal(raw, &s); err != nil {
				return nil, err
			}
			values[name] = s
		}
	}
	return values, nil
}
