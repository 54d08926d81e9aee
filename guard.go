package sallyport

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"sallyport/mfa"
	"sallyport/passkey"
)

// Guard is the second door of one site. It is safe for use by many goroutines; several processes may guard one site
// when they share store, keys and configuration. The zero Guard is of no use: make one with New.
type Guard struct {
	c      Config // with its defaults filled in
	ring   *mfa.Ring
	engine *mfa.Engine

	open      *http.ServeMux // nil: nothing is open
	openHints []openHint     // one for each pattern of open
	own       *http.ServeMux // the pages under Config.Path
	cross     *http.CrossOriginProtection
	cookies   cookieNames
	pages     *pages
	views     map[string]view
	keys      *passkey.Method // nil: there are no passkeys
	known     map[string]wellKnown

	addresses   *addresses
	sessionless sync.Once
}

// New checks the configuration, all mistakes at once, and starts nothing. It reads the keys, and asks a store that has
//
//	Check(ctx context.Context, keyIDs []string, now time.Time) error
//
// whether it is fit for use. It remembers the RP ID of the passkeys in the store, and refuses another one while users
// have passkeys that would no longer work.
func New(c Config) (*Guard, error) {
	c = c.withDefaults()
	g := &Guard{c: c, cookies: namesFor(c.Origin), addresses: &addresses{}, views: views(), keys: passkeyMethod(c.Methods)}
	var mistakes []error
	found := func(errs ...error) { mistakes = append(mistakes, errs...) }
	found(c.checkAddresses()...)
	found(c.checkParts()...)
	found(g.readKeys(), g.registerOpen(), g.makeEngine())
	if err := errors.Join(mistakes...); err != nil {
		return nil, &ConfigError{errors.Join(mistakes...)}
	}
	g.cross = http.NewCrossOriginProtection()
	if err := g.cross.AddTrustedOrigin(c.Origin); err != nil {
		return nil, &ConfigError{err}
	}
	pages, err := newPages(c.Path)
	if err != nil {
		return nil, err
	}
	g.pages = pages
	g.own = g.routes()
	if g.known, err = g.wellKnowns(); err != nil {
		return nil, err
	}
	if err := g.checkRPID(); err != nil {
		return nil, &ConfigError{err}
	}
	return g, nil
}

// Script returns the path of the script with which a sign-in form of the site's own offers passkeys. It changes with
// what the script says, so that browsers may keep it for ever.
func (g *Guard) Script() string { return g.c.Path + "static/" + g.pages.names["sallyport.js"] }

// Protect wraps a whole site. It serves the pages under Config.Path and the documents about passkeys under /.well-known/
// itself, lets Config.Open through, lets strangers through to the site's own pages, and applies Config.Policy to
// everything else that somebody signed in asks for. The site's handler gets the http.ResponseWriter as it came.
func (g *Guard) Protect(site http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case g.isOurs(r.URL.Path):
			g.serveOwn(w, r)
		case g.serveWellKnown(w, r):
		case g.isOpen(r):
			site.ServeHTTP(w, r)
		default:
			g.protect(w, r, site)
		}
	})
}

func (g *Guard) protect(w http.ResponseWriter, r *http.Request, site http.Handler) {
	u, err := g.user(r)
	switch {
	case err != nil:
		g.refuseSite(w, r, err)
	case !u.SignedIn():
		g.protectFromStrangers(w, r, site)
	default:
		p, err := g.policy(r)
		if err != nil {
			g.refuseSite(w, r, err)
			return
		}
		if d, ok := g.pass(w, r, u, p); ok {
			site.ServeHTTP(w, r.WithContext(&decided{r.Context(), d}))
		}
	}
}

// protectFromStrangers lets a stranger through to the site's own pages, but not one who brings credentials that the
// site may honor without any second factor.
func (g *Guard) protectFromStrangers(w http.ResponseWriter, r *http.Request, site http.Handler) {
	if len(r.Header["Authorization"]) == 0 {
		site.ServeHTTP(w, r)
		return
	}
	proved, err := g.otherAuth(r)
	switch {
	case err != nil:
		g.refuseSite(w, r, err)
	case proved:
		site.ServeHTTP(w, r)
	default:
		g.refuseSite(w, r, g.mustSignIn())
	}
}

// Require wraps a part of a site that asks for more than Config.Policy. Strangers are sent to Config.Login. The pages
// that a user is sent to are served by Protect.
func (g *Guard) Require(p mfa.Policy) func(http.Handler) http.Handler {
	return g.RequireFunc(func(*http.Request) (mfa.Policy, error) { return p, nil })
}

// RequireFunc is Require with a policy for each request. An error or a panic of f denies.
func (g *Guard) RequireFunc(f func(*http.Request) (mfa.Policy, error)) func(http.Handler) http.Handler {
	return func(part http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, err := guarded("the policy function", func() (mfa.Policy, error) { return f(r) })
			if err != nil {
				g.refuseSite(w, r, err)
				return
			}
			if d, ok := g.Check(w, r, p); ok {
				part.ServeHTTP(w, r.WithContext(&decided{r.Context(), d}))
			}
		})
	}
}

// Check applies p inside a handler, before it has written anything. If it returns false the response has been written:
// the handler returns.
func (g *Guard) Check(w http.ResponseWriter, r *http.Request, p mfa.Policy) (mfa.Decision, bool) {
	u, err := g.user(r)
	switch {
	case err != nil:
		g.refuseSite(w, r, err)
	case !u.SignedIn():
		g.meetStranger(w, r, isNavigation(r))
	default:
		return g.pass(w, r, u, p)
	}
	return mfa.Decision{}, false
}

// pass decides about a request of somebody signed in. If it returns false the response has been written.
func (g *Guard) pass(w http.ResponseWriter, r *http.Request, u mfa.User, p mfa.Policy) (mfa.Decision, bool) {
	v := mfa.Visit{User: u}
	var err error
	if v.Assurance, err = g.assurance(r, u); err != nil {
		g.refuseSite(w, r, err)
		return mfa.Decision{}, false
	}
	if p.Waived != "" {
		v.Address, v.Browser = g.addressText(r), r.UserAgent()
	}
	d, err := g.engine.Decide(r.Context(), p, v)
	if err == nil && d.Action == mfa.Verify && p.Remembered {
		var more bool
		if more, err = g.present(w, r, &v); more && err == nil {
			d, err = g.engine.Decide(r.Context(), p, v)
		}
	}
	switch {
	case err != nil:
		g.refuseSite(w, r, err)
		return mfa.Decision{}, false
	case d.Action == mfa.Allow:
		return d, true
	}
	g.detour(w, r, v, d, isNavigation(r))
	return d, false
}

// decided is the context of a request that was let through.
type decided struct {
	context.Context
	decision mfa.Decision
}

type decisionKey struct{}

// Value returns the decision itself for its own key.
func (d *decided) Value(key any) any {
	if key == (decisionKey{}) {
		return d
	}
	return d.Context.Value(key)
}

// DecisionFrom returns the decision that let a request through: that of the innermost Require, or of Protect. There is
// none for strangers and for what is open.
func DecisionFrom(ctx context.Context) (mfa.Decision, bool) {
	d, ok := ctx.Value(decisionKey{}).(*decided)
	if !ok {
		return mfa.Decision{}, false
	}
	return d.decision, true
}

// storeChecker is a Store that can say whether it is fit for use.
type storeChecker interface {
	Check(ctx context.Context, keyIDs []string, now time.Time) error
}

func orDefaultLog(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.Default()
	}
	return l
}
