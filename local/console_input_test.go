package main

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
)

// hostile are texts that break out of HTML, attributes, URLs, and templates if they are not escaped.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `javascript:alert(1)`, `//evil.example`,
	`a&b=c&role=admin`, `a/../../b?c#d`, `100% + 1`, `{{.}}`, "\u202egnp.exe", "é\u2028\n\t", `</textarea></title></style><b>`, `..`,
}

// TestConsoleHostileTexts brings texts that the web application, players and staff chose through each page.
func TestConsoleHostileTexts(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, "USER_ADMIN_URL=https://game.example/users?id={user_id}")
	p := w.login(t, "rex")
	for i, text := range hostile {
		id := w.env.AddUser(t, "User"+strconv.Itoa(i))
		w.env.WebExec(t, w.env.Expand(`UPDATE {user} SET [id] = $1, [name] = $2, [username] = $2, [displayUsername] = $2, [role] = $2 WHERE [id] = $3`), text, text, id)
		_, _ = w.env.AddSession(t, text, time.Hour)
		w.env.WebExec(t, w.env.Expand(`UPDATE {session} SET [userAgent] = $1 WHERE [userId] = $1`), text)
		hero := w.hero(t, text, "Hero"+string(rune('a'+i)))
		extra, err := structpb.NewStruct(map[string]any{"note": text})
		if err != nil {
			t.Fatal(err)
		}
		got, err := services.New(w.env.Program).Characters.GetCharacter(t.Context(), &databasev1.GetCharacterRequest{CharacterId: idOf(t, hero)})
		if err == nil {
			got.Character.Extra = extra
			_, err = services.New(w.env.Program).Characters.SaveCharacter(t.Context(), &databasev1.SaveCharacterRequest{
				CharacterId: got.Character.Id, UserId: text, ExpectedVersion: got.Character.Version, Extra: extra,
			})
		}
		if err != nil {
			t.Fatalf("save the character of %q: %v", text, err)
		}
		p.want(p.post("/player/note", url.Values{"id": {text}, "text": {text}}), http.StatusSeeOther)
		w.env.OwnerExec(t, `INSERT INTO game.audit (who, action, user_id, reason, before, after) VALUES ($1, $1, $1, $1, jsonb_build_object($1::text, $1), jsonb_build_object('note_id', 1234567))`, text)
		pages := []page{
			p.want(p.get(query("player", "id", text)), http.StatusOK, "1234567"),
			p.want(p.post("/player", url.Values{"id": {text}, "reason": {text}}), http.StatusOK),
			p.want(p.get(query("players", "q", text)), http.StatusOK),
			p.want(p.get(query("character", "id", hero)), http.StatusOK),
			p.want(p.get(query("change", "action", "rename", "user", text, "id", hero, "new_name", text)), http.StatusOK),
			p.want(p.get(query("audit", "who", text)), http.StatusOK),
			p.want(p.get(query("audit")), http.StatusOK),
		}
		for n, a := range pages {
			for _, bad := range []string{"<script>alert", "<img", "onmouseover='", `href="javascript`, "</textarea></title>", `href="//`, "ZgotmplZ"} {
				if strings.Contains(a.text, bad) {
					t.Errorf("page %d of %q has %q", n, text, bad)
				}
			}
		}
		link := `href="https://game.example/users?id=` + strings.ReplaceAll(url.QueryEscape(text), "+", "%20") + `"`
		if !strings.Contains(strings.ReplaceAll(pages[0].text, "&#43;", "+"), link) {
			t.Errorf("the page of %q lacks %s:\n%s", text, link, pages[0].text)
		}
	}
}

// TestConsoleBadInput sends what no browser sends. The answer must name the person's mistake, not the program's.
func TestConsoleBadInput(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t)
	p := w.login(t, "rex")
	many := strings.Repeat("a=&", 20_000)
	for path, want := range map[string]int{
		"/player?id=%00":                            http.StatusBadRequest,
		"/player?id=%ff":                            http.StatusBadRequest,
		"/players?q=%ff":                            http.StatusBadRequest,
		"/audit?who=%ff":                            http.StatusBadRequest,
		"/player?id=%zz":                            http.StatusBadRequest,
		"/change?action=rename&user=%c3%28&id=1":    http.StatusBadRequest,
		"/character?id=99999999999999999999999":     http.StatusBadRequest,
		"/character?id=-1":                          http.StatusBadRequest,
		"/audit?before=-1":                          http.StatusBadRequest,
		"/player?id=" + strings.Repeat("x", 20_000): http.StatusBadRequest,
		"/player?" + many[:50_000]:                  http.StatusBadRequest,
		"/../metrics":                               http.StatusTemporaryRedirect,
		"//console/players":                         http.StatusTemporaryRedirect,
		"/player/../../console/players":             http.StatusTemporaryRedirect,
		"/nothing":                                  http.StatusNotFound,
	} {
		a := p.get(path)
		if a.status != want {
			_, body, _ := strings.Cut(a.text, "<main")
			t.Errorf("%.60s: %d, want %d:\n%s", path, a.status, want, body)
		}
		if to := a.header.Get("Location"); strings.HasPrefix(to, "//") || strings.Contains(to, "evil") {
			t.Errorf("%s goes to %s", path, to)
		}
	}
	for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodPost, "TRACE"} {
		a := p.do(http.NewRequestWithContext(t.Context(), method, w.console+"/players", nil))
		p.want(a, http.StatusMethodNotAllowed)
	}
	p.want(p.do(http.NewRequestWithContext(t.Context(), http.MethodHead, w.console+"/players", nil)), http.StatusOK)
	big := url.Values{"action": {"rename"}, "reason": {strings.Repeat("x", 5<<20)}}
	p.want(p.post("/change/confirm", big), http.StatusBadRequest, "too large or broken")
	p.want(w.visitor(t).post("/login", url.Values{"key": {strings.Repeat("x", 1<<20)}}), http.StatusBadRequest, "too large or broken")
}

// TestConsoleHostileCalls sends paths, bodies and headers that a page of calls or events shows again.
func TestConsoleHostileCalls(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs PostgreSQL, and -short is set")
	}
	e := testenv.New(t, "plugins", "miniredis", testenv.AlsoStaff)
	emulated := &consoleWorld{program: startEmulator(t, outside(e))}
	emulated.console = emulated.url + "/console"
	served, admin := startWithAdmin(t, nil)
	for _, w := range []*consoleWorld{emulated, {program: served, console: admin + "/console"}} {
		p := w.visitor(t)
		for _, text := range hostile {
			escaped := url.PathEscape(text)
			for _, path := range []string{"/twirp/osirose.database.v1.UserService/" + escaped, "/twirp/osirose.database.v1.UserService/GetUser?q=" + escaped, "/" + escaped} {
				for _, body := range []string{text, `{"user_id":` + strconv.Quote(text) + `}`, `{` + strconv.Quote(text) + `:1}`} {
					r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+path, strings.NewReader(body))
					if err != nil {
						t.Fatal(err)
					}
					r.Header.Set("Content-Type", "application/json")
					r.Header.Set("User-Agent", strings.ToValidUTF8(strings.Map(printable, text), ""))
					p.do(r, nil)
				}
			}
			p.get("/try?rpc=" + escaped)
			p.post("/try", url.Values{"rpc": {"UserService/GetUser"}, "field.user_id": {text}, "protocol": {text}, "gateway": {text}})
			p.post("/try", url.Values{"rpc": {"UserService/GetUser"}, "field.user_id": {text}, "protocol": {"json"}, "gateway": {"v2"}})
		}
		paths := []string{"/calls?own=1", "/emulator", "/try?rpc=" + url.QueryEscape(hostile[0]), "/calls?rpc=" + url.QueryEscape(hostile[1]) + "&code=" + url.QueryEscape(hostile[1])}
		for n := range 160 {
			paths = append(paths, "/call?number="+strconv.Itoa(n), "/emulator/event?number="+strconv.Itoa(n), "/try?rpc=UserService/GetUser&again="+strconv.Itoa(n))
		}
		for _, path := range paths {
			a := p.get(path)
			for _, bad := range []string{"<script>alert", "<img", "onmouseover='", `href="javascript`, "</textarea></title>", "ZgotmplZ"} {
				if strings.Contains(a.text, bad) || a.status == http.StatusInternalServerError {
					t.Errorf("%s: %d, has %q", path, a.status, bad)
				}
			}
		}
	}
}

// printable drops what no header can have.
func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return -1
	}
	return r
}
