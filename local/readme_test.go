package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
)

// README contains a copy of this function: TestReadmeFlow compares them and runs it.

func play(ctx context.Context, db databasev1.CharacterDbService, userID, name string) error {
	made, err := db.CreateCharacter(ctx, &databasev1.CreateCharacterRequest{UserId: userID, Name: name, RequestId: uuid.NewString()})
	if err != nil {
		return err // meta.reason: NAME_TAKEN, SLOTS_FULL, ...; if no answer came, the same RequestId may be sent again
	}
	again := []string{"", "RETRY", "DATABASE_UNAVAILABLE", "OVERLOADED", "DEADLINE_EXCEEDED"} // "": no answer came
	for c, saveID, lost := made.Character, uuid.NewString(), false; ; time.Sleep(100 * time.Millisecond) {
		money := c.Money + 100 // what a save does not set stays as it is
		_, err = db.SaveCharacter(ctx, &databasev1.SaveCharacterRequest{
			UserId: userID, CharacterId: c.Id, ExpectedVersion: c.Version, SaveId: saveID, Money: &money})
		var e twirp.Error
		switch {
		case !errors.As(err, &e) || ctx.Err() != nil: // saved, or the caller's time is over
			return err
		case e.Meta("reason") == "VERSION_MISMATCH" && !lost: // another server saved first: apply the change to what it saved
			got, err := db.GetCharacter(ctx, &databasev1.GetCharacterRequest{UserId: userID, CharacterId: c.Id})
			if err != nil {
				return err
			}
			c, saveID = got.Character, uuid.NewString()
		case !slices.Contains(again, e.Meta("reason")):
			return err // VERSION_MISMATCH after a lost answer: another save came between, so load and compare
		default:
			lost = true // the same save goes out again, with the same id: it takes effect once
		}
	}
}

// rival is a second server: it saves before a save of a character. It also loses the answer of a save.
type rival struct {
	databasev1.CharacterDbService
	savesBefore, loses int32 // which save, from 1
	saves              atomic.Int32
}

func (r *rival) SaveCharacter(ctx context.Context, s *databasev1.SaveCharacterRequest) (*databasev1.SaveCharacterResponse, error) {
	n := r.saves.Add(1)
	if n == r.savesBefore {
		c, err := r.GetCharacter(ctx, &databasev1.GetCharacterRequest{UserId: s.UserId, CharacterId: s.CharacterId})
		if err != nil {
			return nil, err
		}
		other := &databasev1.SaveCharacterRequest{
			UserId: s.UserId, CharacterId: s.CharacterId, ExpectedVersion: c.Character.Version, Money: proto.Int64(c.Character.Money + 7),
		}
		if _, err := r.CharacterDbService.SaveCharacter(ctx, other); err != nil {
			return nil, err
		}
	}
	saved, err := r.CharacterDbService.SaveCharacter(ctx, s)
	if n == r.loses && err == nil {
		return nil, twirp.InternalErrorWith(errors.New("the connection was lost"))
	}
	return saved, err
}

func TestReadmeFlow(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	url := testenv.Serve(t, services.New(e.Program).Twirp)
	service := databasev1.NewCharacterDbServiceProtobufClient(url, http.DefaultClient)
	for i, test := range []struct {
		name        string
		savesBefore int32
		loses       int32
		saves       int32
		reason      string
	}{
		{"a rival, then a lost answer", 1, 2, 3, ""},
		{"a lost answer, then a rival", 2, 1, 2, "VERSION_MISMATCH"},
	} {
		user := e.AddUser(t, fmt.Sprintf("Player%d", i))
		db := &rival{CharacterDbService: service, savesBefore: test.savesBefore, loses: test.loses}
		err := play(t.Context(), db, user, fmt.Sprintf("Aldebaran%d", i))
		if reason := reasonOf(err); reason != test.reason {
			t.Errorf("%s: got %v, want the reason %q", test.name, err, test.reason)
		}
		list, err := db.GetCharacterList(t.Context(), &databasev1.GetCharacterListRequest{UserId: user})
		if err != nil || len(list.Characters) != 1 || list.Characters[0].Money != 107 || db.saves.Load() != test.saves {
			t.Errorf("%s: got %v, %v after %d saves, want one character with the rival's 7 and 100 coins after %d",
				test.name, list, err, db.saves.Load(), test.saves)
		}
	}
	if _, err := service.CreateCharacter(t.Context(), &databasev1.CreateCharacterRequest{UserId: e.AddUser(t, "Late"), Name: "aldebaran0"}); err == nil {
		t.Error("a taken name: got no error")
	}
	source, err := os.ReadFile("readme_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(source), "and runs it.\n\n")
	flow, _, _ := strings.Cut(after, "\n\n// rival")
	if text := readText(t, "../README.md"); !strings.Contains(text, "```go\n"+flow+"\n```\n") {
		t.Errorf("README's function play differs from the one in local/readme_test.go:\n%s", flow)
	}
}

func reasonOf(err error) string {
	if e, ok := errors.AsType[twirp.Error](err); ok {
		return e.Meta("reason")
	}
	return ""
}

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestReadmeErrors compares the table of errors with the errors that the code declares.
func TestReadmeErrors(t *testing.T) {
	t.Parallel()
	_, table, _ := strings.Cut(readText(t, "../proto/README.md"), "\n## Errors\n")
	table, _, _ = strings.Cut(table, "\n## ")
	declared := map[[2]string]bool{}
	for _, text := range sources(t, "../shared", "grpcserver") {
		for _, m := range regexp.MustCompile(`\b(?:Error|refusal)\(twirp\.(\w+), "([A-Z_]+)"`).FindAllStringSubmatch(text, -1) {
			code := strings.ToLower(regexp.MustCompile(`(\w)([A-Z])`).ReplaceAllString(m[1], "${1}_$2"))
			declared[[2]string{code, m[2]}] = true
		}
	}
	if len(declared) < 20 {
		t.Fatalf("found %d errors in the code, want 20 or more", len(declared))
	}
	shown := map[[2]string]bool{{"invalid_argument", "ARGUMENT"}: true, {"internal", "INTERNAL"}: true}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ((?:`[A-Z_]+`(?:, )?)+) \\|").FindAllStringSubmatch(table, -1) {
		for _, reason := range regexp.MustCompile("[A-Z_]+").FindAllString(row[2], -1) {
			key := [2]string{row[1], reason}
			if shown[key] = true; !declared[key] && reason != "ARGUMENT" {
				t.Errorf("proto/README.md has %v, which no code declares", key)
			}
		}
	}
	for key := range declared {
		if !shown[key] {
			t.Errorf("proto/README.md does not have %v", key)
		}
	}
}

// TestReadmeConfiguration compares the table of variables with the variables that the code reads.
func TestReadmeConfiguration(t *testing.T) {
	t.Parallel()
	_, table, _ := strings.Cut(readText(t, "README.md"), "\n## Configuration\n")
	table, _, _ = strings.Cut(table, "\n## ")
	read := regexp.MustCompile(`\.(?:get|text|secret|oneOf|number|share|seconds|address)\("([A-Z_]+)"|\bgetenv\("([A-Z_]+)"|os\.Getenv\("([A-Z_]+)"`)
	elsewhere := regexp.MustCompile("^(AWS_|OTEL_)|^(HOME|PATH|XDG_CACHE_HOME)$") // documented by others
	found := 0
	for _, text := range sources(t, "../shared", ".") {
		for _, m := range read.FindAllStringSubmatch(text, -1) {
			name := m[1] + m[2] + m[3]
			if found++; !strings.Contains(table, "`"+name+"`") && !elsewhere.MatchString(name) {
				t.Errorf("local/README.md does not explain %s", name)
			}
		}
	}
	if found < 20 {
		t.Errorf("found %d variables in the code, want 20 or more", found)
	}
}

// sources returns the text of the Go files below the folders, except tests.
func sources(t *testing.T, folders ...string) (texts []string) {
	t.Helper()
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") && !strings.Contains(path, "testenv") {
				texts = append(texts, readText(t, path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return texts
}
