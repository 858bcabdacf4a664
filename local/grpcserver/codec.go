package grpcserver

import (
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip"  // clients may compress; a dependency of the program registers it, too
	_ "google.golang.org/grpc/encoding/proto" // registers the codec "proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/osirose-new/database-service/shared/rpcserver"
)

// frame receives a message without an error even if it is malformed. grpc-go would answer that error itself, with a text of
// its choice.
type frame struct {
	message proto.Message
	size    int64
	wrong   bool
}

// codec is the protobuf codec. It decodes into a frame or a message.
type codec struct{}

var protobuf = encoding.GetCodecV2("proto")

// Name implements encoding.CodecV2.
func (codec) Name() string { return protobuf.Name() }

// Marshal implements encoding.CodecV2. An answer of this package's services is an incoming request, which has encoded it.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	in, ok := v.(*incoming)
	if !ok {
		return protobuf.Marshal(v)
	}
	return mem.BufferSlice{in.encoded}, nil
}

// Unmarshal implements encoding.CodecV2.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return protobuf.Unmarshal(data, v)
	}
	if f.size = int64(data.Len()); f.size <= rpcserver.MaxBody {
		f.wrong = protobuf.Unmarshal(data, f.message) != nil
	}
	return nil
}
