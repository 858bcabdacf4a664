//go:build e2e

package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

// TestTonicClient calls every rpc of the contract by gRPC with the Rust client of proto/README.md, which tonic
// generates from the same .proto files.
func TestTonicClient(t *testing.T) {
	t.Parallel()
	r := newReadme(t, "../proto/README.md")
	out := "\n" + r.run(t, 0, `(cd scripts/rust && cargo run --quiet --locked http://127.0.0.1:50052 "$TOKEN")`)
	for _, s := range contract(t) {
		wantAll(t, out, names(s.Methods(), "\n%s ok"))
	}
	for _, test := range []struct{ token, want string }{
		{r.token, "Alice may play"},
		{"nonsense", "NotFound SESSION_NOT_FOUND"},
	} {
		r.token = test.token
		out := r.sh(t, 0, `(cd scripts/rust && cargo run --quiet --locked --bin get_user_by_session http://127.0.0.1:50052 "$TOKEN")`)
		wantAll(t, out, []string{test.want})
	}
	r.wantSnippet(t, "rust", "../scripts/rust/src/bin/get_user_by_session.rs")
}

// TestGRPCurl gives grpcurl no .proto file, so it depends on the program's reflection.
func TestGRPCurl(t *testing.T) {
	t.Parallel()
	r := newReadme(t, "../proto/README.md")
	r.wantLine(t, grpcurlFunction)
	listed := []string{"grpc.health.v1.Health\n", "grpc.reflection.v1.ServerReflection\n"}
	for _, s := range contract(t) {
		listed = append(listed, string(s.FullName())+"\n")
		wantAll(t, r.sh(t, 0, "grpcurl 127.0.0.1:50052 list "+string(s.FullName())), names(s.Methods(), ".%s\n"))
		wantAll(t, r.sh(t, 0, "grpcurl 127.0.0.1:50052 describe "+string(s.FullName())), names(s.Methods(), "rpc %s ("))
	}
	user := (*databasev1.User)(nil).ProtoReflect().Descriptor()
	for _, test := range []struct {
		line string
		exit int // 64 and gRPC's code
		want []string
	}{
		{"grpcurl 127.0.0.1:50052 list", 0, listed},
		{"grpcurl 127.0.0.1:50052 describe osirose.database.v1.UserService", 0, []string{"rpc GetUserBySession ("}},
		{"grpcurl 127.0.0.1:50052 describe osirose.database.v1.User", 0, names(user.Fields(), " %s = ")},
		{`grpcurl -d "{\"token\":\"$TOKEN\"}" 127.0.0.1:50052 osirose.database.v1.UserService/GetUserBySession`, 0,
			[]string{`"username": "alice"`}},
		{`grpcurl -d '{"token":"nonsense"}' 127.0.0.1:50052 osirose.database.v1.UserService/GetUserBySession`, 64 + 5,
			[]string{"Code: NotFound", "google.rpc.ErrorInfo", `"reason": "SESSION_NOT_FOUND"`}},
		{"grpcurl 127.0.0.1:50052 grpc.health.v1.Health/Check", 0, []string{`"status": "SERVING"`}},
	} {
		wantAll(t, r.run(t, test.exit, test.line), test.want)
	}
}

func wantAll(t *testing.T, text string, parts []string) {
	t.Helper()
	missing := slices.DeleteFunc(slices.Clone(parts), func(part string) bool { return strings.Contains(text, part) })
	if len(missing) > 0 {
		t.Errorf("got %s\nwant %q in it", text, missing)
	}
}

// contract returns all services of the contract.
func contract(t *testing.T) (all []protoreflect.ServiceDescriptor) {
	t.Helper()
	protoregistry.GlobalFiles.RangeFilesByPackage("osirose.database.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			all = append(all, f.Services().Get(i))
		}
		return true
	})
	if len(all) < 3 {
		t.Fatalf("%d services in the contract, want 3 or more", len(all))
	}
	return all
}

// names formats the names of methods or fields.
func names[D protoreflect.Descriptor](list interface {
	Len() int
	Get(int) D
}, format string) (all []string) {
	for i := range list.Len() {
		all = append(all, fmt.Sprintf(format, list.Get(i).Name()))
	}
	return all
}

// TestCurl runs the commands on README's first screens, and the curl commands of proto/README.md.
func TestCurl(t *testing.T) {
	t.Parallel()
	r := newReadme(t, "../README.md")
	alice := []string{`"username":`, `"alice"`}
	wantAll(t, r.run(t, 0, `curl -s http://127.0.0.1:50052/twirp/osirose.database.v1.UserService/GetUserBySession -H 'Content-Type: application/json' -d "{\"token\":\"$TOKEN\"}"`), alice)
	wantAll(t, r.run(t, 0, `go -C scripts/grpcurl tool grpcurl -plaintext -d "{\"token\":\"$TOKEN\"}" 127.0.0.1:50052 osirose.database.v1.UserService/GetUserBySession`), alice)
	r.file, r.text = "../proto/README.md", readText(t, "../proto/README.md")
	wantAll(t, r.run(t, 0, `curl -s http://127.0.0.1:50052/twirp/osirose.database.v1.UserService/GetUserBySession \
  -H 'Content-Type: application/json' -d "{\"token\":\"$TOKEN\"}"`), alice)
	wantAll(t, r.run(t, 0, `printf '\022\040%s' "$TOKEN" |
  curl -s http://127.0.0.1:50052/twirp/osirose.database.v1.UserService/GetUserBySession \
    -H 'Content-Type: application/protobuf' --data-binary @- |
  scripts/node/node_modules/.bin/buf convert proto --type osirose.database.v1.GetUserBySessionResponse --from=-#format=binpb`), alice)
}

// readme runs the commands of a README against a separate program.
type readme struct {
	file, text, address, token string
}

var greetedToken = regexp.MustCompile(`Token +(\S+) \(a session of alice\)`)

func newReadme(t *testing.T, file string) *readme {
	t.Helper()
	p := start(t, nil)
	token := greetedToken.FindStringSubmatch(p.stdout.String())
	if token == nil {
		t.Fatal("no token in the greeting")
	}
	return &readme{file, readText(t, file), strings.TrimPrefix(p.url, "http://"), token[1]}
}

// grpcurlFunction is the shell function that proto/README.md defines before its grpcurl lines.
const grpcurlFunction = `grpcurl() { go -C scripts/grpcurl tool grpcurl -plaintext "$@"; }`

// run checks that the README contains the command, and runs it.
func (r *readme) run(t *testing.T, wantExit int, line string) string {
	t.Helper()
	r.wantLine(t, line)
	return r.sh(t, wantExit, line)
}

func (r *readme) wantLine(t *testing.T, line string) {
	t.Helper()
	if !strings.Contains(r.text, "\n"+line+"\n") {
		t.Errorf("%s has no line %s", r.file, line)
	}
}

// sh runs a command against the program and returns its output. The output must not contain the token.
func (r *readme) sh(t *testing.T, wantExit int, line string) string {
	t.Helper()
	script := grpcurlFunction + "\n" + strings.ReplaceAll(line, "127.0.0.1:50052", r.address)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
	cmd.Dir, cmd.Env = "..", append(os.Environ(), "TOKEN="+r.token)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != wantExit {
		t.Errorf("%s\ngot %v, want exit code %d\n%s", line, err, wantExit, out)
	}
	if strings.Contains(string(out), r.token) {
		t.Errorf("%s\nprinted the token", line)
	}
	return string(out)
}

// wantSnippet checks that the README's code in a language is part of a file. Indentation does not count.
func (r *readme) wantSnippet(t *testing.T, language, file string) {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(r.text, "```"+language+"\n")
	snippet, _, ok := strings.Cut(after, "```")
	indent := regexp.MustCompile(`(?m)^[ \t]+`)
	if !ok || !strings.Contains(indent.ReplaceAllString(string(source), ""), indent.ReplaceAllString(snippet, "")) {
		t.Errorf("the %s of %s is not in %s:\n%s", language, r.file, file, snippet)
	}
}
