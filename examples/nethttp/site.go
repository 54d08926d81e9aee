package main

import (
	"crypto/rand"
	"crypto/subtle"
	"html/template"
	"net/http"
	"sync"
	"time"

	"sallyport/mfa"
)

// passwords are those of the site's users. A real site keeps a slow hash of each.
var passwords = map[string]string{"alice": "wonderland", "bob": "builder"}

// session is what the site remembers about a browser in which somebody has signed in.
type session struct {
	username string
	login    string // names this act of signing in, for mfa.User.Session
	at       time.Time
}

// sessions are kept in memory: a restart signs everybody out.
type sessions struct {
	mu      sync.Mutex
	byToken map[string]session
}

// newSite returns the site and the function that says who is signed in to it.
func newSite() (http.Handler, func(*http.Request) (mfa.User, error)) {
	s := &sessions{byToken: map[string]session{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("GET /account", s.account)
	mux.HandleFunc("GET /login", showLogin)
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("POST /logout", s.logout)
	return http.NewCrossOriginProtection().Handler(mux), s.user
}

// user is what Sallyport asks the site: who is this?
func (s *sessions) user(r *http.Request) (mfa.User, error) {
	in := s.of(r)
	return mfa.User{ID: in.username, Session: in.login, LoginAt: in.at, Name: in.username}, nil
}

// of returns the session of a request, the zero session for a stranger.
func (s *sessions) of(r *http.Request) session {
	c, err := r.Cookie("session")
	if err != nil {
		return session{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byToken[c.Value]
}

var pages = template.Must(template.New("").Parse(`
{{define "home"}}<h1>A small site</h1><p><a href="/account">Your account</a></p>{{end}}
{{define "login"}}<h1>Sign in</h1><form method="post" action="/login">
<label>Name <input name="username" autocomplete="username"></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label>
<button>Sign in</button></form>{{end}}
{{define "account"}}<h1>Hello, {{.}}</h1><p><a href="/mfa/">Security</a></p>
<form method="post" action="/logout"><button>Sign out</button></form>{{end}}
`))

// show writes a page.
func show(w http.ResponseWriter, status int, name string, body any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	pages.ExecuteTemplate(w, name, body)
}

func (s *sessions) home(w http.ResponseWriter, _ *http.Request) { show(w, http.StatusOK, "home", nil) }

func showLogin(w http.ResponseWriter, _ *http.Request) { show(w, http.StatusOK, "login", nil) }

func (s *sessions) account(w http.ResponseWriter, r *http.Request) {
	in := s.of(r)
	if in.username == "" {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return
	}
	show(w, http.StatusOK, "account", in.username)
}

func (s *sessions) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	username := r.PostFormValue("username")
	want, known := passwords[username]
	right := subtle.ConstantTimeCompare([]byte(r.PostFormValue("password")), []byte(want)) == 1
	if !known || !right {
		show(w, http.StatusUnauthorized, "login", nil)
		return
	}
	s.end(r)
	token := rand.Text()
	s.mu.Lock()
	s.byToken[token] = session{username: username, login: rand.Text(), at: time.Now()}
	s.mu.Unlock()
	setToken(w, token, 0)
	http.Redirect(w, r, "/account", http.StatusSeeOther)
}

func (s *sessions) logout(w http.ResponseWriter, r *http.Request) {
	s.end(r)
	setToken(w, "", -1)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// end forgets the session that a browser has, if it has one.
func (s *sessions) end(r *http.Request) {
	if c, err := r.Cookie("session"); err == nil {
		s.mu.Lock()
		delete(s.byToken, c.Value)
		s.mu.Unlock()
	}
}

// setToken gives the browser a token, or takes it away. On https it would be Secure too.
func setToken(w http.ResponseWriter, token string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: "session", Value: token, Path: "/", MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
