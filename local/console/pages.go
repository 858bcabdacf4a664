package console

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"unicode/utf8"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// Path is where the console is served.
const Path = "/console"

// maxForm is the largest form in bytes. A form to call an rpc has its whole message.
const maxForm = 4 << 20

// maxLogin is the largest form with a key in bytes. Anyone who reaches the address can send one.
const maxLogin = 64 << 10

// section is an entry of the menu. here says whether the program has the page.
type section struct {
	path, name string
	need       callers.Rights
	here       func(*Console) bool
}

func always(*Console) bool { return true }

var sections = []section{
	{"players", "Players", callers.FindPlayers, always},
	{"audit", "Audit", callers.ListAudit, always},
	{"state", "State", callers.Metrics, hasState},
	{"calls", "Calls", callers.Metrics, hasCalls},
	{"emulator", "Emulator", 0, func(c *Console) bool { return c.Emulator != nil }},
}

const errNoSection pageError = "Your roles allow no page of the console. The role support opens Players, and the role monitor opens State and Calls."

// start redirects to the first page that the caller may open.
func (v *visit) start() (answer, error) {
	for _, s := range sections {
		if s.here(v.console) && v.rights.Has(s.need) {
			return redirect(s.path, nil)
		}
	}
	return answer{template: "problem", frame: frame{Title: "Nothing to see"}}, errNoSection
}

// frame is what every page has.
type frame struct {
	Title   string
	Section string // that the menu marks
	Problem *notice
	Content any
	Changes bool // the request may have changed something, also if there is a problem

	Menu   []section
	Who    string // the caller's name; empty: there is no login
	CanEnd bool   // the login is a cookie, which a button deletes
}

// Path returns the address of a menu's entry.
func (s section) Path() string { return Path + "/" + s.path }

// Name returns the text of a menu's entry.
func (s section) Name() string { return s.name }

// pageError is an error of the console, in sentences for the person who opens the page.
type pageError string

// Error implements error.
func (e pageError) Error() string { return string(e) }

// notice is an error as a page shows it.
type notice struct {
	Message string
	Code    string // "code REASON" of an rpc's error; empty: the page's own
	Right   string // that the caller lacks
	Unsure  bool   // the change may have been made
}

func noticeOf(err error) *notice {
	e, ok := err.(twirp.Error) //nolint:errorlint // an rpc returns it as it is
	if !ok {
		return &notice{Message: err.Error()}
	}
	p := &notice{Message: e.Msg(), Code: string(e.Code()), Right: e.Meta("missing_right")}
	if reason := e.Meta("reason"); reason != "" {
		p.Code += " " + reason
	}
	return p
}

func statusOf(err error) int {
	if e, ok := err.(twirp.Error); ok { //nolint:errorlint // see noticeOf
		return twirp.ServerHTTPStatusFromErrorCode(e.Code())
	}
	return http.StatusUnprocessableEntity
}

// answer is what a page's function returns: a page, or a redirect.
type answer struct {
	template string
	frame
	to string // address of the redirect; empty: a page
}

// visit is a request for a page, whose caller is known.
type visit struct {
	*http.Request
	visitor
	console *Console
}

// redirect sends the browser to a page of the console.
func redirect(path string, query url.Values) (answer, error) {
	to := Path + "/" + path
	if len(query) > 0 {
		to += "?" + query.Encode()
	}
	return answer{to: to}, nil
}

// page serves one page to callers with the rights that it needs.
func (c *Console) page(need callers.Rights, f func(*visit) (answer, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := c.identify(r)
		if err != nil {
			toLogin(w, r)
			return
		}
		v := &visit{r, who, c}
		if err := readForm(w, r, maxForm); err != nil {
			c.show(w, v, http.StatusBadRequest, answer{template: "problem", frame: frame{Title: "Not readable", Problem: noticeOf(err)}})
			return
		}
		c.serve(w, v, need, f)
	})
}

// readForm reads the query and a form of at most limit bytes. No rpc can have a text that is not UTF-8.
func readForm(w http.ResponseWriter, r *http.Request, limit int64) error {
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	if err := r.ParseForm(); err != nil {
		return errForm
	}
	for _, values := range r.Form {
		for _, v := range values {
			if !utf8.ValidString(v) {
				return errForm
			}
		}
	}
	return nil
}

func (c *Console) serve(w http.ResponseWriter, v *visit, need callers.Rights, f func(*visit) (answer, error)) {
	if !v.rights.Has(need) {
		refused := rpcserver.NotAllowed(v.rights.Missing(need))
		c.show(w, v, http.StatusForbidden, answer{template: "problem", frame: frame{Title: "Not allowed", Problem: noticeOf(refused)}})
		return
	}
	a, err := f(v)
	switch {
	case err != nil && a.template == "":
		c.show(w, v, statusOf(err), answer{template: "problem", frame: frame{Title: v.titleOf(err), Problem: noticeOf(err)}})
	case err != nil:
		a.Problem = noticeOf(err)
		a.Problem.Unsure = a.Changes && isUnsure(err)
		c.show(w, v, statusOf(err), a)
	case a.to != "":
		http.Redirect(w, v.Request, a.to, http.StatusSeeOther)
	default:
		c.show(w, v, http.StatusOK, a)
	}
}

// titleOf returns the title of a page that is not there. A change before it may be done, also one that was answered with an error.
func (v *visit) titleOf(err error) string {
	switch {
	case isUnsure(err):
		return "No answer from the service"
	case errors.Is(err, errMade):
		return "Made already"
	case v.Method != http.MethodPost:
		return "Cannot be shown"
	}
	return "Not done"
}

// show sends a page with the menu of what the caller may open.
func (c *Console) show(w http.ResponseWriter, v *visit, status int, a answer) {
	if v != nil {
		for _, s := range sections {
			if s.here(c) && v.rights.Has(s.need) {
				a.Menu = append(a.Menu, s)
			}
		}
		a.Who, a.CanEnd = v.name, v.keyed
	}
	templates, err := parse()
	var b bytes.Buffer
	if err == nil {
		err = templates.ExecuteTemplate(&b, a.template, a.frame)
	}
	if err != nil { // a bug; the error's text may quote data
		c.Log.Error("a page of the console cannot be made", "page", a.template)
		http.Error(w, "the page cannot be made", http.StatusInternalServerError)
		return
	}
	setHeaders(w.Header())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store") // pages have players' data
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // fails if the caller has gone
}
