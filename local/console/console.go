// Package console has the pages for people: the front page of the port, and the API reference. The pages are made once. They ask
// for nothing else: no script, no picture, no other address.
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
func (f Front) Handler() (http.Handler, error) { return page("front.html", f) }

// Reference returns the handler of the API reference: a page at /, and the OpenAPI document at /openapi.json.
func Reference() (http.Handler, error) {
	r, err := readReference(openapi.Document)
	if err != nil {
		return nil, err
	}
	html, err := page("reference.html", r)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", html)
	mux.Handle("GET /openapi.json", constant("application/json", openapi.Document))
	return mux, nil
}

func page(name string, data any) (http.Handler, error) {
	templates, err := parse()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, data); err != nil {
		return nil, err
	}
	return constant("text/html; charset=utf-8", b.Bytes()), nil
}

// constant serves the same body each time.
func constant(contentType string, body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Content-Security-Policy", policy())
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache") // another version may answer next
		_, _ = w.Write(body)               // fails if the caller has gone
	})
}

func paragraphs(text string) []string { return strings.Split(text, "\n\n") }
