// Package console has the pages for people: the front page of the port, the API reference, and the console for support staff and
// developers.
//
// The console calls the services as any other caller does, with the credentials of the person who opens the page. A page contains its
// style, and loads two scripts of the console and nothing else. It works without the scripts, too.
package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"log/slog"
	"net/http"
	"sync"

	"google.golang.org/grpc"

	"github.com/osirose-new/database-service/local/calls"
	"github.com/osirose-new/database-service/local/emulator"
	"github.com/osirose-new/database-service/rpc/openapi"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

var (
	//go:embed *.html style.css
	files embed.FS
	//go:embed style.css
	style string
	//go:embed console.js
	script []byte
	// htmx replaces parts of a page. scripts/check compares it with the package that scripts/browser/package.json names.
	//
	//go:embed htmx.min.js
	htmx []byte
)

// parse returns the templates of the pages.
var parse = sync.OnceValues(func() (*template.Template, error) {
	return template.New("").Funcs(functions).ParseFS(files, "*.html", "style.css")
})

// Options of the console.
type Options struct {
	Open     bool // there is no login: the data is a developer's
	Edge     *rpcserver.Server
	RPC      http.Handler       // Twirp's services
	GRPC     *grpc.ClientConn   // to this program; nil: pages offer no gRPC
	URL      string             // of the port, for commands to copy
	Calls    *calls.Recorder    // of the edge; nil: there is no page Calls
	Emulator *emulator.Emulator // nil: the program is not an emulator
	UserURL  string             // of the web application's page about a user, with {user_id} in it; empty: there is none
	Log      *slog.Logger
	State    State
}

// Console has the pages for support staff and developers.
type Console struct {
	Options
	rpcs
	samples *sampler
}

// New returns the console's handler. It serves the paths under [Path].
func New(o Options) http.Handler {
	c := &Console{o, newRPCs(o.RPC), newSampler(o.State.Metrics)}
	mux := http.NewServeMux()
	c.staffPages(mux)
	c.callPages(mux)
	c.emulatorPages(mux)
	c.statePages(mux)
	mux.Handle("GET "+Path, http.RedirectHandler(Path+"/", http.StatusSeeOther))
	mux.Handle("GET "+Path+"/{$}", c.page(0, (*visit).start))
	mux.HandleFunc("GET "+Path+"/login", c.askLogin)
	mux.HandleFunc("POST "+Path+"/login", c.login)
	mux.HandleFunc("POST "+Path+"/logout", c.logout)
	mux.Handle(Path+"/api/", http.StripPrefix(Path+"/api", Reference()))
	for name, content := range map[string][]byte{"htmx.js": htmx, "console.js": script} {
		mux.HandleFunc("GET "+Path+"/"+name, func(w http.ResponseWriter, _ *http.Request) { send(w, "text/javascript; charset=utf-8", content) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setHeaders(w.Header())
		w.Header().Set("Cache-Control", "no-store") // pages have players' data
		mux.ServeHTTP(w, r)
	})
}

// policy allows the style of the pages, the console's scripts and forms, and nothing else.
var policy = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
})

// Front is what the front page shows.
type Front struct {
	Version, Revision string
	Admin             string // URL of the admin address on the server's machine; empty: there is none
	Emulator          bool   // the console is at this address
}

// Handler returns the front page.
func (f Front) Handler() http.Handler {
	return page("front.html", func() (any, error) { return f, nil })
}

// readDocument reads the program's API reference.
var readDocument = sync.OnceValues(func() (*reference, error) { return readReference(openapi.Document) })

// Reference returns the handler of the API reference: a page at /, and the OpenAPI document at /openapi.json.
func Reference() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", page("reference.html", func() (any, error) { return readDocument() }))
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		send(w, "application/json", openapi.Document)
	})
	return mux
}

// page makes a page at the first request, and serves the same bytes from then on.
func page(name string, data func() (any, error)) http.Handler {
	body := sync.OnceValues(func() ([]byte, error) {
		templates, err := parse()
		if err != nil {
			return nil, err
		}
		content, err := data()
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		err = templates.ExecuteTemplate(&b, name, content)
		return b.Bytes(), err
	})
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		b, err := body()
		if err != nil { // a bug: all that a page is made of is in the program
			http.Error(w, "the page cannot be made", http.StatusInternalServerError)
			return
		}
		send(w, "text/html; charset=utf-8", b)
	})
}

func send(w http.ResponseWriter, contentType string, body []byte) {
	h := w.Header()
	setHeaders(h)
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-cache") // another version may answer next
	_, _ = w.Write(body)               // fails if the caller has gone
}

// setHeaders sets what each answer has.
func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy())
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // a form's request needs an Origin: without one it could come from another site
}
