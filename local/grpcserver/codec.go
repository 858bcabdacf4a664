package grpcserver

import (
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers what codec asks for
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/osirose-new/database-service/shared/rpcserver"
)

// frame is a message that is received without an error, whatever it holds: grpc-go would answer a wrong one in its own words.
type frame struct {
	message proto.Message
	size    int64
	wrong   bool
}

// codec is protobuf, into a frame or a message.
type codec struct{}

var protobuf = encoding.GetCodecV2("proto")

// Name implements encoding.CodecV2.
func (codec) Name() string { return protobuf.Name() }

// Marshal implements encoding.CodecV2.
func (codec) Marshal(v any) (mem.BufferSlice, error) { return protobuf.Marshal(v) }

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
