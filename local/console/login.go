package console

import (
	"errors"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// cookieName is the cookie that keeps the API key. A page cannot read it, and no page of another site makes the browser send it.
const cookieName = "console_key"

const (
	errForm      pageError = "The form is too large or broken."
	errNoCallers pageError = "CALLERS_FILE is not set, so the program cannot know who you are. Set it, and give yourself the role support: shared/callers/README.md says how."
)

// visitor is the caller that opens a page.
type visitor struct {
	name   string // empty: there is no login
	rights callers.Rights
	keyed  bool        // by a key in the cookie
	proof  http.Header // for rpcs
}

// identify identifies the caller that opens a page.
func (c *Console) identify(r *http.Request) (visitor, error) {
	if c.Open {
		return visitor{rights: callers.All}, nil
	}
	from, keyed := credentialsOf(r)
	p, err := c.Edge.Principal(r.Context(), from)
	switch {
	case err != nil:
		return visitor{}, err
	case p == nil:
		return visitor{}, errNoCallers
	}
	proof := http.Header{}
	if len(from.Authorization) > 0 {
		proof.Set("Authorization", from.Authorization[0])
	}
	return visitor{p.Name, p.Rights, keyed, proof}, nil
}

// credentialsOf returns what a browser brings: a client certificate, or the cookie. A program may bring the header of an rpc. More than one is
// refused: another program on this machine can set a cookie for a path of the console.
func credentialsOf(r *http.Request) (from callers.Credentials, keyed bool) {
	from = rpcserver.CredentialsOf(r)
	for _, cookie := range r.CookiesNamed(cookieName) {
		from.Authorization, keyed = append(slices.Clip(from.Authorization), "Bearer "+cookie.Value), true
	}
	return from, keyed
}

// toLogin sends a browser whose caller is not known to the login, and from there to the page that it asked for.
func toLogin(w http.ResponseWriter, r *http.Request) {
	login := Path + "/login"
	if r.Header.Get("HX-Request") != "" { // a part of a page: htmx would put the login into it
		w.Header().Set("HX-Redirect", login)
		return
	}
	if r.Method == http.MethodGet && r.URL.Path != Path+"/" {
		login += "?" + url.Values{"next": {strings.TrimPrefix(r.URL.RequestURI(), Path+"/")}}.Encode()
	}
	http.Redirect(w, r, login, http.StatusSeeOther)
}

// afterLogin returns the page of the console that the login goes to.
func afterLogin(r *http.Request) string {
	next, err := url.Parse(r.FormValue("next"))
	if err != nil {
		return Path + "/"
	}
	to := url.URL{Path: Path + path.Clean("/"+next.Path), RawQuery: next.RawQuery} // .. goes to no other program
	return to.String()
}

// askLogin asks for a key, and says why the present one is refused. The browser forgets a refused one.
func (c *Console) askLogin(w http.ResponseWriter, r *http.Request) {
	_, err := c.identify(r)
	if err == nil {
		http.Redirect(w, r, afterLogin(r), http.StatusSeeOther) //nolint:gosec // afterLogin stays in the console
		return
	}
	if e, ok := errors.AsType[twirp.Error](err); ok && e.Code() == twirp.Unauthenticated && len(r.CookiesNamed(cookieName)) > 0 {
		http.SetCookie(w, c.cookie(r, "", -1)) // or a browser with a certificate, too, would be refused until it ends
	}
	c.showLogin(w, r, err)
}

// loginForm is the content of the page that asks for a key.
type loginForm struct {
	Open bool   // a key can be checked
	Next string // where to go then
}

// showLogin asks for a key. err says why the caller is not known.
func (c *Console) showLogin(w http.ResponseWriter, r *http.Request, err error) {
	a := answer{template: "login", frame: frame{Title: "Log in", Content: loginForm{!errors.Is(err, errNoCallers), r.FormValue("next")}}}
	e, ok := errors.AsType[twirp.Error](err)
	switch {
	case ok && e.Meta("reason") == "NO_IDENTITY":
		c.show(w, nil, http.StatusOK, a)
	case ok:
		a.Problem = noticeOf(e)
		c.show(w, nil, statusOf(e), a)
	default:
		a.Problem = noticeOf(err)
		c.show(w, nil, http.StatusForbidden, a)
	}
}

// login checks a key, and sets the cookie with it.
func (c *Console) login(w http.ResponseWriter, r *http.Request) {
	if err := readForm(w, r, maxLogin); err != nil {
		c.show(w, nil, http.StatusBadRequest, answer{template: "login", frame: frame{Title: "Log in", Content: loginForm{Open: true}, Problem: noticeOf(err)}})
		return
	}
	key := strings.TrimSpace(r.PostFormValue("key"))
	from := rpcserver.CredentialsOf(r)
	from.Authorization = []string{"Bearer " + key}
	p, err := c.Edge.Principal(r.Context(), from)
	switch {
	case err != nil:
		c.showLogin(w, r, err)
		return
	case p == nil:
		c.showLogin(w, r, errNoCallers)
		return
	}
	http.SetCookie(w, c.cookie(r, key, 0))
	http.Redirect(w, r, afterLogin(r), http.StatusSeeOther) //nolint:gosec // afterLogin stays in the console
}

func (c *Console) logout(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, c.cookie(r, "", -1))
	http.Redirect(w, r, Path+"/", http.StatusSeeOther)
}

// cookie returns the cookie with the key. maxAge is -1 to delete it, and 0 to keep it until the browser ends.
func (c *Console) cookie(r *http.Request, key string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure depends on whether the connection is encrypted
		Name: cookieName, Value: key, Path: Path, MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || callers.ConnectionFrom(r.Context()).IsEncrypted() || strings.HasPrefix(r.Header.Get("Origin"), "https://"), // of a proxy
	}
}
