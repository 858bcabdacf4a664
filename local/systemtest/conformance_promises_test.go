package systemtest_test

import (
	"regexp"
	"testing"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/reflect/protoreflect"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

// result is one kind of answer of an rpc.
type result struct {
	rpc string
	fault
	// detail is the wrong argument, or the value of a bool field in a good answer: "replayed=true".
	detail string
}

// conformanceRPCs returns the methods of all services by name.
func conformanceRPCs() map[string]protoreflect.MethodDescriptor {
	all := map[string]protoreflect.MethodDescriptor{}
	for _, file := range []protoreflect.FileDescriptor{
		databasev1.File_osirose_database_v1_user_proto,
		databasev1.File_osirose_database_v1_session_proto,
		databasev1.File_osirose_database_v1_character_proto,
		databasev1.File_osirose_database_v1_staff_proto,
	} {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				all[string(methods.Get(j).Name())] = methods.Get(j)
			}
		}
	}
	return all
}

var argumentWord = regexp.MustCompile(`[A-Za-z_]+`)

// conformancePromises returns the results that the contract names. The OpenAPI document has the errors that the comments in the .proto
// files name. The words that explain ARGUMENT name fields. The scenarios have no callers with identities, whose refusals are tested apart.
func conformancePromises(t *testing.T) map[result]bool {
	t.Helper()
	promised := map[result]bool{}
	for rpc, method := range conformanceRPCs() {
		promised[result{rpc: rpc}] = true
		for form := range goodForms(method.Output(), nil) {
			promised[result{rpc: rpc, detail: form}] = true
		}
	}
	for _, p := range documentedErrors(t) {
		if p.code == twirp.Unauthenticated || p.reason == "NOT_ALLOWED" || p.reason == "ISSUER_UNAVAILABLE" {
			continue
		}
		promised[result{rpc: p.rpc, fault: p.fault}] = true
		if p.fault != argumentFault {
			continue
		}
		for _, name := range argumentWord.FindAllString(p.detail, -1) {
			if takes(conformanceRPCs()[p.rpc], name) {
				promised[result{p.rpc, p.fault, name}] = true
			}
		}
	}
	return promised
}

// takes reports whether an rpc's request has an argument of that name.
func takes(rpc protoreflect.MethodDescriptor, name string) bool {
	input := rpc.Input()
	n := protoreflect.Name(name)
	return input.Fields().ByName(n) != nil || input.Oneofs().ByName(n) != nil
}

// goodForms returns the values of an answer's bool fields: those in m, or all that are possible if m is nil.
func goodForms(d protoreflect.MessageDescriptor, m protoreflect.Message) map[string]bool {
	forms := map[string]bool{}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if f.Kind() != protoreflect.BoolKind {
			continue
		}
		for _, value := range []bool{true, false} {
			if m == nil || m.Get(f).Bool() == value {
				forms[string(f.Name())+"="+map[bool]string{true: "true", false: "false"}[value]] = true
			}
		}
	}
	return forms
}
