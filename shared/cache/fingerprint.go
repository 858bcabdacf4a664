package cache

import (
	"crypto/sha256"
	"encoding/hex"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
)

// Fingerprint is the name of a format: of the statement that loads it and the file that declares the message. Two
// programs that differ in either do not read each other's values.
func Fingerprint(sql string, m proto.Message) string {
	file := protodesc.ToFileDescriptorProto(m.ProtoReflect().Descriptor().ParentFile())
	// Deterministic within one build, which is what a fingerprint needs: another build may only miss.
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(file)
	if err != nil {
		panic(err) // a descriptor that was compiled in always marshals
	}
	sum := sha256.Sum256(append(b, sql...))
	return hex.EncodeToString(sum[:4])
}
