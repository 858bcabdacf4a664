package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Fingerprint names a format: a hash of the statement that loads it and of the message with all messages inside. Two
// programs that differ in either do not read each other's values. It returns a function, since a cold start does not need
// the name.
func Fingerprint(sql string, m proto.Message) func() string {
	return func() string {
		h := sha256.New()
		describeMessage(h, m.ProtoReflect().Descriptor(), map[protoreflect.FullName]bool{})
		_, _ = io.WriteString(h, sql) // a hash never fails
		return hex.EncodeToString(h.Sum(nil)[:4])
	}
}

// describeMessage writes what the bytes of a message depend on. Package protodesc could do it, but would double the start
// time of a function.
func describeMessage(w io.Writer, m protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) {
	if seen[m.FullName()] {
		return
	}
	seen[m.FullName()] = true
	fmt.Fprintln(w, "message", m.FullName())
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		fmt.Fprintln(w, f.Number(), f.Name(), f.Kind(), f.Cardinality(), f.HasPresence(), f.IsPacked())
		if f.Message() != nil {
			describeMessage(w, f.Message(), seen)
		}
		if f.Enum() != nil {
			describeEnum(w, f.Enum())
		}
	}
}

func describeEnum(w io.Writer, e protoreflect.EnumDescriptor) {
	fmt.Fprintln(w, "enum", e.FullName())
	for i := range e.Values().Len() {
		fmt.Fprintln(w, e.Values().Get(i).Number(), e.Values().Get(i).Name())
	}
}
