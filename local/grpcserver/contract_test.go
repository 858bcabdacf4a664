package grpcserver_test

import (
	"io"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/osirose-new/database-service/local/grpcserver"
	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

// contract returns all rpcs of the contract.
func contract(t testing.TB) (all []protoreflect.MethodDescriptor) {
	t.Helper()
	protoregistry.GlobalFiles.RangeFilesByPackage("osirose.database.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			for m, s := 0, f.Services().Get(i); m < s.Methods().Len(); m++ {
				all = append(all, s.Methods().Get(m))
			}
		}
		return true
	})
	if len(all) < 12 {
		t.Fatalf("%d rpcs in the contract, want 12 or more", len(all))
	}
	return all
}

func pathOf(m protoreflect.MethodDescriptor) string {
	return "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
}

// TestEveryRPC checks that every rpc of the contract answers. The answer to an empty request is INVALID_ARGUMENT.
func TestEveryRPC(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis", testenv.AlsoStaff)
	log := make(lines, 1000)
	d := serve(t, edgeTo(log), always, all(e.Program)...)
	valid := requests(t, e)
	for _, m := range contract(t) {
		empty := dynamicpb.NewMessage(m.Input())
		if m.Name() == "ListAudit" { // an empty one is valid
			empty.Set(m.Input().Fields().ByName("limit"), protoreflect.ValueOfInt32(-1))
		}
		a := answerOf(d.conn.Invoke(t.Context(), pathOf(m), empty, dynamicpb.NewMessage(m.Output())))
		wantAnswer(t, pathOf(m), a, codes.InvalidArgument, "ARGUMENT")
		if a.Info.GetMetadata()["argument"] == "" {
			t.Errorf("%s = %v, want the name of the argument", pathOf(m), a)
		}
		wantLine(t, pathOf(m), log.next(t), "INFO", strings.TrimPrefix(pathOf(m), pkg), "invalid_argument")

		request := valid[string(m.Name())]
		if request == nil {
			t.Fatalf("no valid request for %s: add one to requests", m.Name())
		}
		a = call(t, d.conn, pathOf(m), request(t), dynamicpb.NewMessage(m.Output()))
		if a.Code() != codes.OK && !slices.Contains([]string{"DeleteCharacter", "RestoreCharacter", "CreateCharacter", "UndeleteCharacter", "TransferCharacter"}, string(m.Name())) {
			t.Errorf("%s = %v, want OK", pathOf(m), a)
		}
		for code := ""; code != "ok" && a.Code() == codes.OK; {
			code = log.next(t).Code // skip the lines of failed tries
		}
		for len(log) > 0 && a.Code() != codes.OK {
			log.next(t)
		}
	}
}

func TestServiceDiffersFromContract(t *testing.T) {
	t.Parallel()
	for what, f := range map[string]func(databasev1.UserService) grpcserver.Service{
		"a missing method": grpcserver.IncompleteUsers, "another service's method": grpcserver.ForeignUsers, "a method twice": grpcserver.DoubleUsers,
	} {
		func() {
			defer func() {
				if p, _ := recover().(string); !strings.Contains(p, "osirose.database.v1.UserService") {
					t.Errorf("%s: panic %q, want a panic with the service's name", what, p)
				}
			}()
			f(fake{})
		}()
	}
}

// Reflection returns the whole contract to a client without the .proto files.
func TestReflection(t *testing.T) {
	t.Parallel()
	d := serve(t, edgeTo(io.Discard), always, grpcserver.Users(fake{}), grpcserver.Sessions(nil), grpcserver.Characters(nil), grpcserver.Staff(nil))
	stream, err := reflectionv1.NewServerReflectionClient(d.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(r *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
		t.Helper()
		if err := stream.Send(r); err != nil {
			t.Fatal(err)
		}
		a, err := stream.Recv()
		if err != nil || a.GetErrorResponse() != nil {
			t.Fatalf("reflection of %v = %v, %v", r, a, err)
		}
		return a
	}
	var names []string
	for _, s := range ask(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}).GetListServicesResponse().Service {
		names = append(names, s.Name)
	}
	for _, m := range contract(t) {
		name := string(m.Parent().FullName())
		if !slices.Contains(names, name) || !slices.Contains(names, "grpc.health.v1.Health") {
			t.Errorf("reflection lists %q, want %s and health", names, name)
		}
		files := ask(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{
			FileContainingSymbol: string(m.FullName()),
		}}).GetFileDescriptorResponse().FileDescriptorProto
		var file descriptorpb.FileDescriptorProto
		if err := proto.Unmarshal(files[0], &file); err != nil || file.GetName() != m.ParentFile().Path() {
			t.Errorf("reflection of %s = %s, %v, want %s", m.FullName(), file.GetName(), err, m.ParentFile().Path())
		}
	}
}
