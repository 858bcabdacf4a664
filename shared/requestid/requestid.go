// Package requestid is about the ids that callers give to their changes, so that a retry is safe.
package requestid

import (
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/osirose-new/database-service/shared/rpcserver"
)

// IsUUID accepts the canonical form of RFC 9562, in either case.
func IsUUID(s string) bool { return len(s) == 36 && uuid.Validate(s) == nil }

// Check returns the id in the form that PostgreSQL prints. It returns nil for an empty id.
func Check(field, id string) (*string, error) {
	if id == "" {
		return nil, nil
	}
	if !IsUUID(id) {
		return nil, rpcserver.InvalidArgument(field, "is no UUID")
	}
	id = strings.ToLower(id)
	return &id, nil
}

// Hash distinguishes a retry from another request with the same id. It leaves out some fields. It copies no message: a save
// may have a megabyte.
func Hash(request proto.Message, without ...protoreflect.Name) []byte {
	r := request.ProtoReflect()
	content := r.New()
	r.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if !slices.Contains(without, f.Name()) {
			content.Set(f, v)
		}
		return true
	})
	content.SetUnknown(r.GetUnknown())
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(content.Interface())
	if err != nil {
		panic(err) // cannot happen: protobuf has decoded it
	}
	sum := sha256.Sum256(b)
	return sum[:]
}
