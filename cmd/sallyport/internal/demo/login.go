package demo

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"sallyport"
)

// When the second factor is asked for.
const (
	loginAfter  = "after"  // the session exists; the guard stands before the pages
	loginBefore = "before" // the session is made when it is proved
)

// sessionCookie holds the token of a session.
const sessionCookie = "demo_session"

// loginPage is what the template "login" shows.
type loginPage struct {
	Next   string // where to go afterwards
	Wrong  bool
	People []person
	Script string // offers passkeys; "": somebody is signed in
}

// showLogin is GET /login.
func (s *site) showLogin(w http.ResponseWriter, r *http.Request) error {
	return s.loginForm(w, r, http.StatusOK, loginPage{Next: safeNext(r.URL.Query().Get("next"))})
}

func (s *site) loginForm(w http.ResponseWriter, r *http.Request, status int, p loginPage) error {
	p.People = people()
	if in, err := s.session(r); err == nil && in.Username == "" {
		p.Script = s.script
	}
	return s.render(w, r, status, "login", "Sign in", p)
}

// login is POST /login.
func (s *site) login(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r, "username", "password", "next")
	if err != nil {
		return err
	}
	next := safeNext(f["next"])
	p, ok := authenticate(f["username"], f["password"])
	if !ok && wantsJSON(r) {
		return refuse(http.StatusUnauthorized, "name or password is wrong")
	}
	if !ok {
		return s.loginForm(w, r, http.StatusUnauthorized, loginPage{Next: next, Wrong: true})
	}
	if s.before {
		s.guard.Challenge(w, r, sallyport.Login{User: p.user(), Back: next})
		return nil
	}
	token, _, err := s.sessions.start(r.Context(), tokenOf(r), p.Username)
	if err != nil {
		return err
	}
	s.setToken(w, token, 0)
	seeOther(w, next)
	return nil
}

// logout is POST /logout.
func (s *site) logout(w http.ResponseWriter, r *http.Request) error {
	if token := tokenOf(r); token != "" {
		if err := s.sessions.end(r.Context(), token); err != nil {
			return err
		}
	}
	s.setToken(w, "", -1)
	s.guard.SignedOut(w)
	seeOther(w, "/")
	return nil
}

// tokenOf returns what the browser holds as token; "": nothing that can be one.
func tokenOf(r *http.Request) string {
	c, err := r.Cookie(sessionCookie)
	if err != nil || len(c.Value) > 64 {
		return ""
	}
	return c.Value
}

// setToken gives the browser a token until it is closed, or takes it away.
func (s *site) setToken(w http.ResponseWriter, token string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: token, Path: "/", MaxAge: maxAge,
		Secure: strings.HasPrefix(s.origin, "https://"), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

func seeOther(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// afterLogin is where somebody goes who wanted nothing else.
const afterLogin = "/account"

// maxNext is how long the way to a page may be.
const maxNext = 2 << 10

// safeNext returns next if every browser reads it as a path of this site, else afterLogin.
func safeNext(next string) string {
	if len(next) > maxNext || strings.ContainsFunc(next, strange) {
		return afterLogin
	}
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") {
		return afterLogin
	}
	if u, err := url.Parse(next); err != nil || u.Scheme != "" || u.Host != "" {
		return afterLogin
	}
	return next
}

// strange reports what browsers strip from an address or read as a slash, and what no header may carry.
func strange(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }

// maxForm is how much of a form is read.
const maxForm = 16 << 10

// readForm returns the allowed fields of a form, each at most once.
func readForm(w http.ResponseWriter, r *http.Request, allowed ...string) (map[string]string, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, refuse(http.StatusUnsupportedMediaType, "send a form: application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, refuse(http.StatusRequestEntityTooLarge, "the form is larger than it can be")
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the form could not be read")
	}
	q, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the form could not be read")
	}
	f := map[string]string{}
	for _, name := range allowed {
		values := q[name]
		if len(values) > 1 {
			return nil, refuse(http.StatusBadRequest, fmt.Sprintf("the field %q is there %d times", name, len(values)))
		}
		if f[name] = q.Get(name); !utf8.ValidString(f[name]) {
			return nil, refuse(http.StatusBadRequest, fmt.Sprintf("the field %q is not valid UTF-8", name))
		}
	}
	return f, nil
}
