package systemtest_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
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

// contract reads the errors that comments in .proto files name. A Twirp code is followed by its reasons, in capitals. Words
// in parentheses name arguments or explain. "as GetCharacter" means the errors of that rpc.
type contract struct {
	rpcs     map[string]protoreflect.MethodDescriptor
	promised map[result]bool
}

var (
	contractWord = regexp.MustCompile(`\([^()]*\)|\bas [A-Z][A-Za-z]+|[A-Za-z_]+`)
	reasonWord   = regexp.MustCompile(`^[A-Z]+(_[A-Z]+)+$|^[A-Z]{5,}$`)
)

// conformancePromises returns the results that the contract names.
func conformancePromises(t *testing.T) map[result]bool {
	t.Helper()
	c := contract{conformanceRPCs(), map[result]bool{}}
	files, err := filepath.Glob("../../proto/osirose/database/v1/*.proto")
	if err != nil || len(files) == 0 {
		t.Fatalf("the contract's files: %v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c.file(string(text))
	}
	for rpc, method := range c.rpcs {
		c.promised[result{rpc: rpc}] = true
		for form := range goodForms(method.Output(), nil) {
			c.promised[result{rpc: rpc, detail: form}] = true
		}
	}
	return c.promised
}

// file reads one file. The comment of a service holds for all of its rpcs.
func (c contract) file(text string) {
	var comment strings.Builder
	var everywhere string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '(' })
		switch {
		case strings.HasPrefix(line, "//"):
			comment.WriteString(strings.TrimPrefix(line, "//") + " ")
			continue
		case strings.HasPrefix(line, "service "):
			_, everywhere, _ = strings.Cut(comment.String(), "may also answer:")
			everywhere, _, _ = strings.Cut(everywhere, "meta.reason")
		case strings.HasPrefix(line, "rpc "):
			_, own, _ := strings.Cut(comment.String(), "Errors:")
			c.errors(words[1], own)
			c.errors(words[1], everywhere)
		}
		comment.Reset()
	}
}

// errors adds the results that a list of errors promises for an rpc.
func (c contract) errors(rpc, list string) {
	var last fault
	for _, word := range contractWord.FindAllString(list, -1) {
		switch {
		case strings.HasPrefix(word, "as "):
			for o := range maps.Clone(c.promised) {
				if o.rpc == strings.TrimPrefix(word, "as ") && (o.detail == "" || c.takes(rpc, o.detail)) {
					c.promised[result{rpc, o.fault, o.detail}] = true
				}
			}
		case strings.HasPrefix(word, "("):
			for _, name := range contractWord.FindAllString(word[1:len(word)-1], -1) {
				if last.reason == "ARGUMENT" && c.takes(rpc, name) {
					c.promised[result{rpc, last, name}] = true
				}
			}
		case twirp.IsValidErrorCode(twirp.ErrorCode(word)):
			last = fault{twirp.ErrorCode(word), ""}
			c.promised[result{rpc: rpc, fault: last}] = true
		case reasonWord.MatchString(word):
			delete(c.promised, result{rpc: rpc, fault: fault{last.code, ""}}) // it has a reason
			last.reason = word
			c.promised[result{rpc: rpc, fault: last}] = true
		}
	}
}

// takes reports whether an rpc's request has an argument of that name.
func (c contract) takes(rpc, name string) bool {
	input := c.rpcs[rpc].Input()
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
