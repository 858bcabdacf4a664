package grpcserver

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// Service is one service with its methods. It is built here, from the contract and Twirp's interface. grpc-go's generator
// would put it into the package of the messages, and the functions would link gRPC.
type Service struct {
	name    string
	file    string
	methods map[string]binder
}

// binder makes the handler of a method.
type binder func(*Server, request.Class) grpc.MethodHandler

// rpc is a method of a service of type S.
type rpc[S any] struct {
	request protoreflect.MessageDescriptor
	bind    func(S) binder
}

// method makes an rpc from a method expression, for example databasev1.UserService.GetUser.
func method[S, Q, A any, PQ interface {
	*Q
	proto.Message
}, PA interface {
	*A
	proto.Message
}](call func(S, context.Context, PQ) (PA, error)) rpc[S] {
	return rpc[S]{PQ(new(Q)).ProtoReflect().Descriptor(), func(of S) binder {
		return func(s *Server, class request.Class) grpc.MethodHandler {
			urgent := isUrgent(class)
			return func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				in := &withMessage[Q]{incoming: incoming{ctx: ctx, class: class, urgent: urgent, decode: decode}}
				in.frame.message = PQ(&in.message)
				in.call = func(ctx context.Context) (any, error) { return call(of, ctx, PQ(&in.message)) }
				if err := s.edge.Serve(ctx, &in.incoming); err != nil {
					return nil, in.fail(err)
				}
				withoutCompression(ctx)
				return &in.incoming, nil
			}
		}
	}}
}

// newService returns a service with a method for each rpc of the contract. It panics if a method is missing or superfluous:
// that is a mistake in the program.
func newService[S any](contract protoreflect.ServiceDescriptor, of S, methods ...rpc[S]) Service {
	s := Service{string(contract.FullName()), contract.ParentFile().Path(), map[string]binder{}}
	for i := range contract.Methods().Len() {
		for _, m := range methods {
			if d := contract.Methods().Get(i); d.Input().FullName() == m.request.FullName() {
				s.methods[string(d.Name())] = m.bind(of)
			}
		}
	}
	if len(s.methods) != contract.Methods().Len() || len(methods) != len(s.methods) {
		panic("the methods of " + s.name + " are not those of its contract")
	}
	return s
}

// Name returns the full name: osirose.database.v1.UserService.
func (s Service) Name() string { return s.name }

// describe returns the service's description for grpc-go.
func (s Service) describe(protocol *Server) *grpc.ServiceDesc {
	d := &grpc.ServiceDesc{ServiceName: s.name, Metadata: s.file}
	short := s.name[strings.LastIndexByte(s.name, '.')+1:]
	for name, bind := range s.methods {
		class := request.Class{Service: short, Method: name, Protocol: request.GRPC}
		d.Methods = append(d.Methods, grpc.MethodDesc{MethodName: name, Handler: bind(protocol, class)})
	}
	return d
}

// incoming is a request on its way through rpcserver.
type incoming struct {
	ctx    context.Context // the stream's
	class  request.Class
	urgent bool
	decode func(any) error
	frame  frame
	call   func(context.Context) (any, error)

	encoded mem.Buffer // the answer
}

// withMessage is an incoming request with its message: both are one allocation.
type withMessage[Q any] struct {
	incoming
	message Q
}

var _ rpcserver.Incoming = (*incoming)(nil)

// Class implements rpcserver.Incoming.
func (in *incoming) Class() request.Class { return in.class }

// Urgent implements rpcserver.Incoming.
func (in *incoming) Urgent() bool { return in.urgent }

// Credentials implements rpcserver.Incoming.
func (in *incoming) Credentials() callers.Credentials { return credentialsOf(in.ctx) }

// Message implements rpcserver.Incoming.
func (in *incoming) Message() any { return in.frame.message }

// Header implements rpcserver.Incoming.
func (in *incoming) Header(name string) string {
	if values := metadata.ValueFromIncomingContext(in.ctx, name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// SetHeader implements rpcserver.Incoming.
func (in *incoming) SetHeader(name, value string) {
	_ = grpc.SetHeader(in.ctx, metadata.Pairs(name, value)) // fails if the caller has gone
}

// Read implements rpcserver.Incoming.
func (in *incoming) Read(context.Context) (int64, twirp.Error) {
	if in.hasUnsent() {
		return 0, errUnsent
	}
	if err := in.decode(&in.frame); err != nil {
		return 0, notReceived(err)
	}
	if in.frame.wrong {
		return 0, errMessage
	}
	return in.frame.size, nil
}

// hasUnsent reports whether too many bytes wait for the client.
func (in *incoming) hasUnsent() bool {
	c := connectionOf(in.ctx)
	return c != nil && c.outbox.isFull(c)
}

// Call implements rpcserver.Incoming. It looks for unsent answers again, because others may have been made while this request waited for its
// slot. A read whose caller has left is canceled, so that the log counts it with those, however fast it was.
func (in *incoming) Call(ctx context.Context) (any, error) {
	if in.hasUnsent() {
		return nil, errUnsent
	}
	response, err := in.call(ctx)
	if err == nil && strings.HasPrefix(in.class.Method, "Get") && errors.Is(in.ctx.Err(), context.Canceled) {
		return nil, in.ctx.Err()
	}
	return response, err
}

// Encode implements rpcserver.Incoming. The answer counts until the client has taken it. Its buffer has its size: one of grpc-go's pool may
// have four times as much.
func (in *incoming) Encode(ctx context.Context, response any) error {
	data, err := proto.Marshal(response.(proto.Message)) // rpcserver permits only messages
	if c := connectionOf(in.ctx); c != nil && !mem.IsBelowBufferPoolingThreshold(len(data)) {
		in.encoded = c.outbox.add(data, c, request.From(ctx).Principal)
	} else {
		in.encoded = mem.SliceBuffer(data)
	}
	return err
}

// unknown answers a method that no service has.
func (s *Server) unknown(_ any, stream grpc.ServerStream) error {
	in := &incoming{ctx: stream.Context(), class: request.Class{Protocol: request.GRPC}, decode: func(any) error { return nil }}
	in.call = func(context.Context) (any, error) { return nil, errRoute }
	return in.fail(s.edge.Serve(in.ctx, in))
}

// fail returns an error as a gRPC status, and puts its reason into a trailer.
func (in *incoming) fail(err twirp.Error) error {
	if reason := err.Meta("reason"); reason != "" {
		_ = grpc.SetTrailer(in.ctx, metadata.Pairs(ReasonTrailer, reason)) // fails if the caller has gone
	}
	return statusOf(err)
}
