package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"sallyport"
	"sallyport/courier"
	"sallyport/mfa"
	"sallyport/passkey"
	"sallyport/sqlstore"
)

// site is the demo's site on one node.
type site struct {
	origin   string
	clock    *clock
	sessions *sessions
	outbox   *outbox
	pages    *pages
	log      *slog.Logger
	guard    *sallyport.Guard
	before   bool         // the second factor comes before the session
	script   string       // of the guard, for the sign-in form
	handler  http.Handler // all of it, behind the second door
}

func newSite(o Options, db *database, keys []mfa.Key) (*site, error) {
	pages, err := newPages()
	if err != nil {
		return nil, err
	}
	c := &clock{}
	s := &site{
		origin: o.Origin, clock: c, pages: pages, log: o.Log,
		sessions: &sessions{db, c.now}, outbox: &outbox{db, c.now},
	}
	guard, err := s.newGuard(db, keys)
	if err != nil {
		return nil, err
	}
	s.guard, s.before, s.script = guard, o.Login == loginBefore, guard.Script()
	inside, err := s.sameOrigin(s.routes(guard, o.TestClock))
	if err != nil {
		return nil, err
	}
	s.handler = s.withVisit(guard.Protect(inside))
	return s, nil
}

func (s *site) newGuard(db *database, keys []mfa.Key) (*sallyport.Guard, error) {
	methods, err := s.methods()
	if err != nil {
		return nil, err
	}
	guard, err := sallyport.New(sallyport.Config{
		Origin:    s.origin,
		Name:      siteName,
		Methods:   methods,
		Remember:  mfa.MaxRemember,
		Policy:    func(*http.Request) (mfa.Policy, error) { return mfa.Policy{Remembered: true}, nil },
		Store:     sqlstore.New(db.DB, db.dialect),
		Keys:      func() ([]mfa.Key, error) { return keys, nil },
		User:      s.user,
		Open:      []string{"/{$}", "/login", "/logout", "/help", "/outbox", "/assets/", "/demo/clock"},
		Support:   "/help",
		Notify:    s.outbox.notify,
		SignIn:    s.signIn,
		Directory: s,
		Log:       s.log,
		Now:       s.clock.now,
	})
	var mistakes *sallyport.ConfigError
	if errors.As(err, &mistakes) {
		return nil, errors.Unwrap(mistakes) // without the heading
	}
	return guard, err
}

// methods are all that there are.
func (s *site) methods() ([]mfa.Method, error) {
	origin, err := url.Parse(s.origin)
	if err != nil {
		return nil, fmt.Errorf("--origin: %w", err)
	}
	keys, err := passkey.New(passkey.Config{RPID: origin.Hostname(), RPName: siteName, Origins: []string{s.origin}})
	if err != nil {
		return nil, fmt.Errorf("--origin: %w", err)
	}
	return []mfa.Method{
		keys, mfa.TOTP{Issuer: siteName}, mfa.HOTP{Issuer: siteName}, mfa.Recovery{},
		mfa.SentCodes{Couriers: []mfa.Courier{
			courier.NewFunc("email", s.outbox.carry("email")),
			courier.NewPhoneFunc("sms", "US", nil, s.outbox.carry("sms")),
		}},
	}, nil
}

const siteName = "Sallyport demo"

// private is a page for one's own eyes, and what it asks.
type private struct {
	Path, Title, Asks string
	policy            mfa.Policy
}

func privates() []private {
	return []private{
		{"/account", "Account", "One factor, from those who have one. A remembered browser will do.", mfa.Policy{Remembered: true}},
		{"/notes", "Notes", "One factor; a code that was sent or a remembered browser will do.", mfa.Policy{Factors: 1, Min: mfa.Sent, Remembered: true}},
		{"/vault", "Vault", "One factor. Those who have none are asked to add one.", mfa.Policy{Factors: 1}},
		{
			"/payout", "Payout", "A phishing-resistant factor, proved in the last five minutes.",
			mfa.Policy{Factors: 1, Min: mfa.PhishingResistant, MaxAge: 5 * time.Minute},
		},
	}
}

func (s *site) routes(guard *sallyport.Guard, testClock bool) http.Handler {
	mux := http.NewServeMux()
	page := func(pattern string, f handler) { mux.Handle(pattern, s.adapt(f)) }
	page("GET /{$}", s.home)
	page("GET /login", s.showLogin)
	page("POST /login", s.login)
	page("POST /logout", s.logout)
	page("GET /help", s.help)
	page("GET /outbox", s.showOutbox)
	page("GET /assets/{name}", s.asset)
	page("/", func(http.ResponseWriter, *http.Request) error {
		return refuse(http.StatusNotFound, "there is no such page")
	})
	for _, p := range privates() {
		mux.Handle("GET "+p.Path, guard.Require(p.policy)(s.adapt(s.showPrivate(p))))
	}
	if testClock {
		page("POST /demo/clock", s.moveClock)
	}
	return mux
}

// handler answers a request or returns the error that says why not.
type handler func(w http.ResponseWriter, r *http.Request) error

// refusal is an error that the client has made.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

func refuse(status int, text string) error { return &refusal{status, text} }

// adapt turns the errors of a handler into answers.
func (s *site) adapt(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers(w.Header())
		if err := h(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// fail answers for a handler that returned an error. It has written nothing before.
func (s *site) fail(w http.ResponseWriter, r *http.Request, err error) {
	var known *refusal
	if !errors.As(err, &known) {
		if r.Context().Err() == nil {
			s.log.Error("demo: a request could not be answered", "path", r.URL.Path, "error", err)
		}
		known = &refusal{http.StatusServiceUnavailable, "the site cannot answer now; try again in a moment"}
		w.Header().Set("Retry-After", "5")
	}
	headers(w.Header())
	if wantsJSON(r) {
		err = writeJSON(w, known.status, map[string]any{
			"title": http.StatusText(known.status), "status": known.status, "detail": known.text,
		})
	} else {
		err = s.render(w, r, known.status, "refusal", http.StatusText(known.status), known.text)
	}
	if err != nil {
		s.log.Error("demo: a refusal could not be written", "path", r.URL.Path, "error", err)
	}
}

// sameOrigin refuses what another site's page sends in a user's name.
func (s *site) sameOrigin(next http.Handler) (http.Handler, error) {
	cross := http.NewCrossOriginProtection()
	if err := cross.AddTrustedOrigin(s.origin); err != nil {
		return nil, fmt.Errorf("--origin: %w", err)
	}
	cross.SetDenyHandler(s.adapt(func(http.ResponseWriter, *http.Request) error {
		return refuse(http.StatusForbidden, "this was sent by a page of another site")
	}))
	return cross.Handler(next), nil
}

// visit remembers who a request is from, so that one request asks the database once.
type visit struct {
	once    sync.Once
	session session
	err     error
}

type visitKey struct{}

func (s *site) withVisit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visitKey{}, &visit{})))
	})
}

// session returns who a request is from.
func (s *site) session(r *http.Request) (session, error) {
	v, ok := r.Context().Value(visitKey{}).(*visit)
	if !ok {
		return session{}, errors.New("a request came around withVisit")
	}
	v.once.Do(func() { v.session, v.err = s.sessions.find(r.Context(), tokenOf(r)) })
	return v.session, v.err
}

// user is Config.User of the guard: all that it learns about the site's users.
func (s *site) user(r *http.Request) (mfa.User, error) {
	in, err := s.session(r)
	if err != nil {
		return mfa.User{}, err
	}
	p, ok := find(in.Username)
	if !ok {
		return mfa.User{}, nil
	}
	u := p.user()
	u.Session, u.LoginAt = in.Login, in.LoginAt
	return u, nil
}
