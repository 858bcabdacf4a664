// Package console has the pages for people: the front page of the port, and the API reference. Each is made at its first request. A page
// loads nothing else: it has no script and no picture.
package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
	"sync"

	"github.com/osirose-new/database-service/rpc/openapi"
)

var (
	//go:embed *.html style.css
	files embed.FS
	//go:embed style.css
	style string
)

// parse returns the templates of the pages.
var parse = sync.OnceValues(func() (*template.Template, error) {
	return template.New("").Funcs(template.FuncMap{"paragraphs": paragraphs}).ParseFS(files, "*.html", "style.css")
})

// policy allows the style of the pages and nothing else.
var policy = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
})

// Front is what the front page shows.
type Front struct {
	Version, Revision string
	Admin             string // URL of the admin address on the server's machine; empty: there is none
	Emulator          bool   // the API reference is at this address
}

// Handler returns the front page.
func (f Front) Handler() http.Handler {
	return page("front.html", func() (any, error) { return f, nil })
}

// Reference returns the handler of the API reference: a page at /, and the OpenAPI document at /openapi.json.
func Reference() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", page("reference.html", func() (any, error) { return readReference(openapi.Document) }))
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
	h.Set("Content-Type", contentType)
	h.Set("Content-Security-Policy", policy())
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache") // another version may answer next
	_, _ = w.Write(body)               // fails if the caller has gone
}

func paragraphs(text string) []string { return strings.Split(text, "\n\n") }
