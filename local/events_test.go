package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characters"
	"github.com/osirose-new/database-service/shared/lambdahttp"
	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
)

// shippedEvent is a file in scripts/events, the folder in functions/ whose function gets it, and a part of the answer.
type shippedEvent struct{ name, function, want string }

// shippedEvents returns the events in an order in which each one finds the data it names.
func shippedEvents() []shippedEvent {
	return []shippedEvent{
		{"GetUser", "user", `"username":"alice"`},
		{"GetUserByUsername", "user", `"email":"alice@example.com"`},
		{"GetUserByEmail", "user", `"username":"alice"`},
		{"GetUserBySession", "user", `"username":"alice"`},
		{"GetCharacter", "character", `"name":"Aldebaran"`},
		{"GetCharacterList", "character", `"name":"Aldebaran"`},
		{"SaveCharacter", "character", `"version":"2"`},
		{"DeleteCharacter", "character", `"remaining_seconds":"86400"`},
		{"RestoreCharacter", "character", `CHARACTER_STATE_ACTIVE`},
		{"CreateCharacter", "character", `"name":"Anemone"`},
		{"GetSession", "session", `"user_id":`},
		{"RefreshSession", "session", `"extended":true`},
		{"FindPlayers", "staff", `"username":"alice"`},
		{"GetPlayer", "staff", `"recovery":"RECOVERY_UNDELETE"`},
		{"UndeleteCharacter", "staff", `"name":"Antares"`},
		{"RenameCharacter", "staff", `"name":"Betelgeuse"`},
		{"TransferCharacter", "staff", `"name":"Betelgeuse"`},
		{"AddNote", "staff", `"text":"called twice about ticket 4711"`},
		{"ListNotes", "staff", `"text":"called twice about ticket 4711"`},
		{"ListAudit", "staff", `"action":"TransferCharacter"`},
	}
}

// httpEvent is the part of an HTTP API's event that the tests read.
type httpEvent struct {
	Version        string `json:"version"`
	RouteKey       string `json:"routeKey"`
	RawPath        string `json:"rawPath"`
	Headers        map[string]string
	RequestContext struct {
		RouteKey string `json:"routeKey"`
		HTTP     struct{ Method, Path string }
	} `json:"requestContext"`
	PathParameters map[string]string `json:"pathParameters"`
	Body           string            `json:"body"`
}

// TestEvents compares scripts/events with the contract: each rpc has an event, and each event is a request of an rpc.
func TestEvents(t *testing.T) {
	t.Parallel()
	want := []string{"purge"}
	for _, service := range databaseServices(t) {
		methods := service.Methods()
		for i := range methods.Len() {
			m := methods.Get(i)
			want = append(want, string(m.Name()))
			wantEvent(t, m)
		}
	}
	files, err := filepath.Glob("../scripts/events/*")
	if err != nil {
		t.Fatal(err)
	}
	var got, tried []string
	for _, f := range files {
		got = append(got, strings.TrimSuffix(filepath.Base(f), ".json"))
	}
	for _, e := range shippedEvents() {
		tried = append(tried, e.name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rpcs and purge (-), files in scripts/events (+):\n%s", diff)
	}
	slices.Sort(tried)
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(append(tried, "purge")))); diff != "" {
		t.Errorf("rpcs and purge (-), events that the tests send (+):\n%s", diff)
	}
}

func databaseServices(t *testing.T) (services []protoreflect.ServiceDescriptor) {
	t.Helper()
	protoregistry.GlobalFiles.RangeFilesByPackage("osirose.database.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			services = append(services, f.Services().Get(i))
		}
		return true
	})
	if len(services) == 0 {
		t.Fatal("no service is registered")
	}
	return services
}

// wantEvent checks the event of an rpc.
func wantEvent(t *testing.T, m protoreflect.MethodDescriptor) {
	t.Helper()
	text, err := os.ReadFile("../scripts/events/" + string(m.Name()) + ".json")
	if err != nil {
		t.Error(err)
		return
	}
	var e httpEvent
	if err := json.Unmarshal(text, &e); err != nil {
		t.Errorf("%s: %v", m.Name(), err)
		return
	}
	prefix := "/twirp/" + string(m.Parent().FullName()) + "/"
	for what, pair := range map[string][2]string{
		"version":                     {"2.0", e.Version},
		"routeKey":                    {"POST " + prefix + "{method}", e.RouteKey},
		"requestContext.routeKey":     {"POST " + prefix + "{method}", e.RequestContext.RouteKey},
		"rawPath":                     {prefix + string(m.Name()), e.RawPath},
		"requestContext.http.path":    {prefix + string(m.Name()), e.RequestContext.HTTP.Path},
		"requestContext.http.method":  {"POST", e.RequestContext.HTTP.Method},
		"pathParameters.method":       {string(m.Name()), e.PathParameters["method"]},
		"header content-type":         {"application/json", e.Headers["content-type"]},
		"the number of bytes of body": {strconv.Itoa(len(e.Body)), e.Headers["content-length"]},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s.json: %s is %q, want %q", m.Name(), what, pair[1], pair[0])
		}
	}
	input, err := protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName())
	if err != nil {
		t.Fatal(err)
	}
	request := input.New().Interface()
	if err := protojson.Unmarshal([]byte(e.Body), request); err != nil || proto.Size(request) == 0 {
		t.Errorf("%s.json: body %s is not a %s with a field set: %v", m.Name(), e.Body, m.Input().Name(), err)
	}
}

// eventWorld is a database with the data that the events name, as in the demo.
type eventWorld struct {
	*testenv.Env
	replace *strings.Replacer
}

// newEventWorld also replaces the events' placeholders: ids and tokens that differ at each start.
func newEventWorld(t *testing.T) *eventWorld {
	t.Helper()
	e := testenv.New(t, "plugins", testenv.RedisKinds()[0], testenv.AlsoPurge)
	user := e.AddUser(t, "Alice")
	_, token := e.AddSession(t, user, 30*time.Minute) // so that a refresh extends it
	service := characters.NewService(characters.NewRepository(e.Program.DB, e.Program.Cache), characters.Config{})
	made, err := service.CreateCharacter(t.Context(), &databasev1.CreateCharacterRequest{UserId: user, Name: "Aldebaran"})
	if err != nil {
		t.Fatal(err)
	}
	gone, err := service.CreateCharacter(t.Context(), &databasev1.CreateCharacterRequest{UserId: user, Name: "Antares"})
	if err == nil {
		_, err = service.DeleteCharacter(t.Context(), &databasev1.DeleteCharacterRequest{
			UserId: user, CharacterId: gone.Character.Id, Mode: databasev1.DeleteMode_DELETE_MODE_IMMEDIATE,
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return &eventWorld{e, strings.NewReplacer(
		"UserIdOfBobbyIs32LettersOrDigits", e.AddUser(t, "Bobby"),
		"UserIdOfAliceIs32LettersOrDigits", user,
		"TokenOfAliceIs32LettersAndDigits", token,
		`\"character_id\":\"1\"`, `\"character_id\":\"`+strconv.FormatInt(made.Character.Id, 10)+`\"`,
		`\"character_id\":\"2\"`, `\"character_id\":\"`+strconv.FormatInt(gone.Character.Id, 10)+`\"`,
	)}
}

// event reads a file of scripts/events.
func (w *eventWorld) event(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("../scripts/events/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return []byte(w.replace.Replace(string(text)))
}

// wantAnswer checks a function's answer to the event.
func (e shippedEvent) wantAnswer(t *testing.T, answer []byte) {
	t.Helper()
	var got struct {
		StatusCode int    `json:"statusCode"`
		Body       string `json:"body"`
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		t.Errorf("%s: %v in %s", e.name, err, answer)
		return
	}
	var body bytes.Buffer
	if err := json.Compact(&body, []byte(got.Body)); err != nil || got.StatusCode != 200 || !strings.Contains(body.String(), e.want) {
		t.Errorf("%s: %d %s, want 200 and %s", e.name, got.StatusCode, got.Body, e.want)
	}
}

// TestEventsAnswered sends the events to the services through the Lambda adapter.
func TestEventsAnswered(t *testing.T) {
	t.Parallel()
	w := newEventWorld(t)
	adapter := lambdahttp.New(w.Program.Log, routes(w.Program.Edge(), services.New(w.Program), &health{}, http.NotFoundHandler()))
	for _, e := range shippedEvents() {
		answer, err := adapter.Invoke(t.Context(), w.event(t, e.name))
		if err != nil {
			t.Errorf("%s: %v", e.name, err)
			continue
		}
		e.wantAnswer(t, answer)
	}
}
