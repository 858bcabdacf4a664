package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
)

var updateReport = flag.Bool("update-report", false, "write testdata/callers.md anew")

const reportFile = "testdata/callers.md"

// use is a request that needs a right.
type use struct {
	right, rpc, request string // request is JSON
	field               string // that the right fills in the answer; empty: the right decides about the request
}

func uses(userID, sessionID, token, characterID string) []use {
	byToken, byID := `{"token":"`+token+`"}`, `{"session_id":"`+sessionID+`"}`
	user, none := `"user_id":"`+userID+`"`, `"character_id":"987654321"`
	one := `"character_id":"` + characterID + `"`
	const users, sessions, characters, staff = "UserService/", "SessionService/", "CharacterDbService/", "StaffService/"
	return []use{
		{"GetUser", users + "GetUser", `{` + user + `}`, ""},
		{"GetUser.personal", users + "GetUser", `{` + user + `}`, "ban_reason"},
		{"GetUserByUsername", users + "GetUserByUsername", `{"username":"alice"}`, ""},
		{"GetUserByUsername.personal", users + "GetUserByUsername", `{"username":"alice"}`, "email"},
		{"GetUserByEmail", users + "GetUserByEmail", `{"email":"nobody@invalid"}`, ""},
		{"GetUserByEmail.personal", users + "GetUserByEmail", `{"email":"alice@canary.example"}`, "email"},
		{"GetUserBySession", users + "GetUserBySession", byToken, ""},
		{"GetUserBySession.session_id", users + "GetUserBySession", byID, ""},
		{"GetUserBySession.personal", users + "GetUserBySession", byToken, "email"},
		{"GetSession", sessions + "GetSession", byToken, ""},
		{"GetSession.session_id", sessions + "GetSession", byID, ""},
		{"GetSession.personal", sessions + "GetSession", byToken, "ip_address"},
		{"RefreshSession", sessions + "RefreshSession", byToken, ""},
		{"RefreshSession.session_id", sessions + "RefreshSession", byID, ""},
		{"RefreshSession.personal", sessions + "RefreshSession", byToken, "user_agent"},
		{"GetCharacter", characters + "GetCharacter", `{` + user + `,` + one + `,"view":"CHARACTER_VIEW_BASIC"}`, ""},
		{"GetCharacter.any_owner", characters + "GetCharacter", `{` + one + `,"view":"CHARACTER_VIEW_BASIC"}`, ""},
		{"GetCharacter.full", characters + "GetCharacter", `{` + user + `,` + one + `}`, ""},
		{"GetCharacterList", characters + "GetCharacterList", `{` + user + `}`, ""},
		{"GetCharacterList.full", characters + "GetCharacterList", `{` + user + `,"view":"CHARACTER_VIEW_FULL"}`, ""},
		{"CreateCharacter", characters + "CreateCharacter", `{"user_id":"nobody","name":"Somebody"}`, ""},
		{"DeleteCharacter", characters + "DeleteCharacter", `{` + user + `,` + none + `}`, ""},
		{"DeleteCharacter.immediate", characters + "DeleteCharacter", `{` + user + `,` + none + `,"mode":"DELETE_MODE_IMMEDIATE"}`, ""},
		{"RestoreCharacter", characters + "RestoreCharacter", `{` + user + `,` + none + `}`, ""},
		{"SaveCharacter", characters + "SaveCharacter", `{` + user + `,` + none + `,"expected_version":"1","money":"5"}`, ""},
		{"SaveCharacter.any_owner", characters + "SaveCharacter", `{` + none + `,"expected_version":"1","money":"5"}`, ""},
		{"FindPlayers", staff + "FindPlayers", `{"query":"alice"}`, ""},
		{"FindPlayers.email", staff + "FindPlayers", `{"query":"nobody@invalid"}`, ""},
		{"GetPlayer", staff + "GetPlayer", `{` + user + `}`, ""},
		{"GetPlayer.personal", staff + "GetPlayer", `{` + user + `,"reason":"a test"}`, ""},
		{"UndeleteCharacter", staff + "UndeleteCharacter", `{` + none + `,"reason":"a test"}`, ""},
		{"RenameCharacter", staff + "RenameCharacter", `{` + none + `,"new_name":"Somebody","reason":"a test"}`, ""},
		{"TransferCharacter", staff + "TransferCharacter", `{` + none + `,"from_user_id":"a","to_user_id":"b","reason":"a test"}`, ""},
		{"AddNote", staff + "AddNote", `{` + user + `,"text":"a test"}`, ""},
		{"ListNotes", staff + "ListNotes", `{` + user + `}`, ""},
		{"ListAudit", staff + "ListAudit", `{` + user + `}`, ""},
	}
}

// identities are callers with one role each, and those that are refused.
var identities = []string{"login", "character", "world", "web", "support", "repair", "monitor", "nothing", "wrong", "expired", "removed"}

const wrongIdentities = 4 // the last ones

// reportCallers writes a CALLERS_FILE with a caller for each identity, and returns the keys. The caller "removed" is in it until
// remove is called.
func reportCallers(t *testing.T) (file string, keys map[string]string, remove func()) {
	t.Helper()
	file, keys = filepath.Join(t.TempDir(), "callers.yaml"), map[string]string{"wrong": callers.NewKey().Text}
	text := "callers:\n"
	removed := ""
	for _, identity := range identities {
		role, begin, end := identity, time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		switch identity {
		case "nothing", "wrong":
			continue
		case "expired":
			role, end = "support", time.Now().Add(-time.Minute)
		case "removed":
			role = "support"
		}
		k := callers.NewKey()
		keys[identity] = k.Text
		entry, err := callers.Entry(identity, []string{role}, k, begin, end)
		if err != nil {
			t.Fatal(err)
		}
		entry = strings.TrimPrefix(entry, "callers:\n")
		if identity != "expired" { // IAM's credentials expire at the gateway
			entry += `    aws: ["arn:aws:iam::123456789012:role/` + identity + "\"]\n"
		}
		if identity == "removed" {
			removed = entry
			continue
		}
		text += entry
	}
	testenv.ReplaceFile(t, file, text+removed)
	return file, keys, func() { testenv.ReplaceFile(t, file, text) }
}

// TestCallersReport sends a request for each right, as each identity, by each protocol. What comes must be what README.md of
// package callers says, and is written to a report.
func TestCallersReport(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis", testenv.AlsoStaff)
	userID := e.AddUser(t, "Alice")
	e.WebExec(t, `UPDATE {user} SET [banReason] = 'cheating', [email] = 'alice@canary.example' WHERE id = $1`, userID)
	sessionID, token := e.AddSession(t, userID, time.Hour)
	made, err := services.New(e.Program).Characters.CreateCharacter(t.Context(), &databasev1.CreateCharacterRequest{UserId: userID, Name: "Reporter"})
	if err != nil {
		t.Fatal(err)
	}
	file, keys, remove := reportCallers(t)
	p := start(t, append(outside(e), "CALLERS_FILE="+file))
	protocols := map[string]caller{
		"protobuf": byTwirp(p.url, "application/protobuf", keys), "JSON": byTwirp(p.url, "application/json", keys),
		"gRPC": byGRPC(p.dial(t), keys), "Lambda": byLambda(t, e, file),
	}
	all := uses(userID, sessionID, token, strconv.FormatInt(made.Character.Id, 10))
	for name, call := range protocols {
		if got := call(t, all[0], "removed"); got != "yes" {
			t.Errorf("%s, before the caller was removed: %s, want yes", name, got)
		}
	}
	remove()
	for name, call := range protocols {
		eventually(t, "the end of the removed caller: "+name, func() bool { return call(t, all[0], "removed") == "IDENTITY_REFUSED" })
	}
	report := newReport()
	_, rights := testenv.TableOfRights(t, "../shared/callers/README.md")
	for _, u := range all {
		for _, identity := range identities {
			want := wanted(rights, u, identity)
			for name, call := range protocols {
				if name == "Lambda" && identity == "expired" {
					continue // the gateway refuses it
				}
				if got := call(t, u, identity); got != want {
					t.Errorf("%s as %s by %s: %q, want %q", u.right, identity, name, got, want)
				}
			}
			report.cell(want)
		}
		report.row(u.right)
	}
	report.compare(t)
	for _, identity := range []string{"support", "monitor"} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+keys[identity])
		err := p.dial(t).Invoke(ctx, "/osirose.database.v1.UserService/NoSuchMethod", &databasev1.GetUserRequest{}, &databasev1.GetUserResponse{})
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("an unknown method as %s: %v, want UNIMPLEMENTED", identity, err)
		}
	}
}

// wanted returns what README.md of package callers promises.
func wanted(rights map[string][]string, u use, identity string) string {
	switch i := slices.Index(identities, identity); {
	case identity == "nothing":
		return "NO_IDENTITY"
	case i >= len(identities)-wrongIdentities:
		return "IDENTITY_REFUSED"
	}
	base, _, isPower := strings.Cut(u.right, ".")
	has := func(right string) bool { return slices.Contains(rights[identity], right) }
	switch {
	case !has(base):
		return "NOT_ALLOWED " + base
	case !isPower || has(u.right):
		return "yes"
	case u.field != "":
		return "empty"
	}
	return "NOT_ALLOWED " + u.right
}

// report is a table of what came.
type report struct {
	text  strings.Builder
	cells []string
}

func newReport() *report {
	r := &report{}
	fmt.Fprintf(&r.text, `# What came of every right, caller and protocol

TestCallersReport wrote this: go test ./local -run TestCallersReport -update-report. Each row is a request that needs the right, each column a
caller. Every cell was the same by Twirp protobuf, Twirp JSON, gRPC and a Lambda event (there no credential can expire: the gateway checks it).
"yes": the service was asked, or the fields were filled. "empty": it was asked, and the personal fields were left empty. "no": permission_denied
with the reason NOT_ALLOWED and the missing right. Otherwise the reason of unauthenticated.

| right | %s |
|---|%s
`, strings.Join(identities, " | "), strings.Repeat("---|", len(identities)))
	return r
}

func (r *report) cell(s string) {
	r.cells = append(r.cells, strings.ReplaceAll(s, "NOT_ALLOWED ", "no: "))
}

func (r *report) row(right string) {
	fmt.Fprintf(&r.text, "| %s | %s |\n", right, strings.Join(r.cells, " | "))
	r.cells = nil
}

func (r *report) compare(t *testing.T) {
	t.Helper()
	if *updateReport {
		if err := os.WriteFile(reportFile, []byte(r.text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(reportFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), r.text.String()); diff != "" && !t.Failed() {
		t.Errorf("%s (-want +got; -update-report writes it):\n%s", reportFile, diff)
	}
}
