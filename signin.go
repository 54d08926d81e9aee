package sallyport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"sallyport/mfa"
	"sallyport/passkey"
)

// signInPlace is the page of a sign-in, below Config.Path.
const signInPlace = "signin"

// signInMain is a page on which a stranger signs in by a passkey alone.
type signInMain struct {
	Action, Ticket, Back string
	Prompt               any
	Others               string // address of the site's own sign-in page; "": this one is
}

// stranger adapts a handler of a sign-in. Who is signed in already is led on.
func (g *Guard) stranger(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := g.newcomer(r)
		if err == nil {
			_, err = guarded("a page", func() (struct{}, error) { return struct{}{}, h(w, r, c) })
		}
		if err != nil {
			g.refuseNewcomer(w, r, c, err)
		}
	}
}

// refuseNewcomer answers a sign-in that ended in an error; c is nil where there is none.
func (g *Guard) refuseNewcomer(w http.ResponseWriter, r *http.Request, c *caller, err error) {
	p := g.problemOf(r, err)
	if wantsJSON(r) {
		g.writeProblem(w, r, p)
		return
	}
	g.problemPage(w, r, p, c)
}

// newcomer finds out about a caller who may be a stranger.
func (g *Guard) newcomer(r *http.Request) (*caller, error) {
	if g.c.SignIn == nil || g.c.Directory == nil || g.keys == nil {
		return nil, notFound()
	}
	c, err := g.caller(r)
	c.signsIn = true
	if err != nil || c.User.SignedIn() {
		return c, err
	}
	c.Pending, c.Browser, c.Address = g.pendingIn(r), r.UserAgent(), g.addressText(r)
	_, c.held = g.challengeIn(r)
	return c, nil
}

// signer is whom a way back is sealed for: the login of a user, or a sign-in that has none yet.
func (c *caller) signer() mfa.User {
	if c.Pending != "" {
		return mfa.User{Session: pendingPurpose + ":" + c.Pending}
	}
	return c.User
}

// signInPage shows our own page of a sign-in, for sites whose own form has none. It leads to the path in next.
func (g *Guard) signInPage(w http.ResponseWriter, r *http.Request, c *caller) error {
	next, err := one(r.URL.Query(), "next")
	if err != nil {
		return err
	}
	c.way.Path = cleanSitePath(next)
	if c.User.SignedIn() {
		return g.leadOn(w, r, c)
	}
	if err := g.pend(w, c); err != nil {
		return err
	}
	if c.back, err = g.sealWay(c.signer(), c.way); err != nil {
		return err
	}
	return g.askSignIn(w, r, c, http.StatusOK, "", nil)
}

// askSignIn begins a sign-in and shows it. Nothing of it is kept here.
func (g *Guard) askSignIn(
	w http.ResponseWriter, r *http.Request, c *caller, status int, wrong string, of *signal,
) error {
	if err := g.pend(w, c); err != nil {
		return err
	}
	b, err := g.engine.BeginSignIn(r.Context(), c.Visit, mfa.MethodPasskey)
	if err != nil {
		return err
	}
	if c.json {
		return g.writeBegun(w, r, &b)
	}
	main := signInMain{Action: g.c.Path + signInPlace, Ticket: b.Ticket, Back: c.back, Prompt: b.Prompt}
	if g.c.Login != main.Action {
		main.Others = g.c.Login
	}
	g.render(w, r, status, "signin", &page{Title: g.pages.say("signin.title"), Error: wrong, Main: main, Signal: of})
	return nil
}

// beginSignIn is the first half of a sign-in by a passkey alone.
func (g *Guard) beginSignIn(w http.ResponseWriter, r *http.Request, c *caller) error {
	if _, err := g.read(w, r, c); err != nil {
		return err
	}
	if c.User.SignedIn() {
		return &problem{name: nameDenied, status: http.StatusConflict, detail: "signed-in", url: c.way.place()}
	}
	return g.askSignIn(w, r, c, http.StatusOK, "", nil)
}

// finishSignIn judges the answer of a passkey and lets the site make a session for its owner.
func (g *Guard) finishSignIn(w http.ResponseWriter, r *http.Request, c *caller) error {
	f, err := g.read(w, r, c, fieldTicket, fieldAnswer)
	if err != nil {
		return err
	}
	if c.User.SignedIn() {
		return g.leadOn(w, r, c)
	}
	answer, err := g.view(mfa.MethodPasskey).answer(f)
	if err != nil {
		return err
	}
	ticket, err := f.need(fieldTicket)
	if err != nil {
		return err
	}
	if c.Pending == "" {
		return &mfa.Refusal{Why: mfa.WhyNoTicket, Detail: "the cookie of the sign-in is missing"}
	}
	if wait := g.crowded(r); wait > 0 {
		return &problem{name: nameUnavailable, status: http.StatusServiceUnavailable, detail: "crowded", retryAfter: wait}
	}
	claim := g.claim(r, answer)
	c.KnownAt = claim.knownAt
	u, done, err := g.engine.FinishSignIn(r.Context(), c.Visit, mfa.MethodPasskey, ticket, answer, g.lookup)
	if err != nil {
		return g.notSignedIn(w, r, c, claim, err)
	}
	return g.letIn(w, r, c, u, done)
}

// claim is what an answer says about itself, before anything is judged.
type claim struct {
	unknown *signal // tells the browser that nobody has the passkey; nil: somebody does, or it could not be found out
	knownAt time.Time
}

// claim finds out whose passkey an answer names: for the lane that its owner has in this browser, and so that the
// browser can be told of one that is nobody's any more. It proves nothing.
func (g *Guard) claim(r *http.Request, answer []byte) claim {
	key, err := g.keys.Identify(answer)
	if err != nil {
		return claim{}
	}
	owner, err := guardedStore{g.c.Store}.Find(r.Context(), key)
	switch {
	case err == nil:
		return claim{knownAt: g.knownAt(r, owner)}
	case !errors.Is(err, mfa.ErrNotFound):
		return claim{}
	}
	unknown, err := g.keys.Unknown(answer)
	if err != nil {
		return claim{}
	}
	return claim{unknown: &signal{Unknown: []passkey.UnknownCredential{unknown}}}
}

// lookup asks the site about the owner of a passkey. It alone says who may sign in.
func (g *Guard) lookup(ctx context.Context, userID string) (mfa.User, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	u, err := guarded("Config.Directory", func() (mfa.User, error) { return g.c.Directory.Lookup(ctx, userID) })
	u.Session = "" // there is none yet
	return u, err
}

// notSignedIn answers a passkey that signs nobody in, in the same words whatever the reason.
func (g *Guard) notSignedIn(w http.ResponseWriter, r *http.Request, c *caller, of claim, err error) error {
	if refusalOf(err, mfa.WhyWrongAnswer) == nil {
		return err
	}
	g.countWrong(r, "")
	p := &problem{name: nameWrongAnswer, status: http.StatusUnprocessableEntity, detail: "signin", signal: of.unknown}
	if !c.json {
		return g.askSignIn(w, r, c, p.status, g.pages.say(p.textKey()), p.signal)
	}
	if err := g.pend(w, c); err != nil {
		return err
	}
	b, err := g.engine.BeginSignIn(r.Context(), c.Visit, mfa.MethodPasskey)
	if err != nil {
		return err
	}
	p.begun = &b
	return p
}

// letIn has the site make a session, binds the proof to it and leads on.
func (g *Guard) letIn(w http.ResponseWriter, r *http.Request, c *caller, u mfa.User, done mfa.Done) error {
	session, err := g.signIn(w, r, Login{User: u, Back: c.way.place()})
	if err != nil {
		return err
	}
	c.User, c.Pending = u, ""
	c.User.Session = session
	done.Assurance.Session = session
	if err := g.proved(w, withCookies(r, w.Header()), c, done); err != nil {
		return err
	}
	g.cookies.clear(w, g.cookies.pending)
	return g.afterProof(w, r, c, done)
}

// signIn calls Config.SignIn. What it has set is taken back if it fails.
func (g *Guard) signIn(w http.ResponseWriter, r *http.Request, login Login) (string, error) {
	before := w.Header().Clone()
	only := &headerOnly{header: w.Header()}
	session, err := guarded("Config.SignIn", func() (string, error) { return g.c.SignIn(only, r, login) })
	switch {
	case err != nil:
	case only.wrote:
		err = errors.New("Config.SignIn has written an answer: it may set headers only")
	case session == "":
		err = errors.New("Config.SignIn returned an empty session: return what Config.User will return as User.Session")
	default:
		return session, nil
	}
	clear(w.Header())
	for name, values := range before {
		w.Header()[name] = values
	}
	return "", fmt.Errorf("signing in: %w", err)
}

// headerOnly is the ResponseWriter that Config.SignIn gets.
type headerOnly struct {
	header http.Header
	wrote  bool
}

func (h *headerOnly) Header() http.Header { return h.header }

func (h *headerOnly) WriteHeader(int) { h.wrote = true }

func (h *headerOnly) Write([]byte) (int, error) {
	h.wrote = true
	return 0, errors.New("Config.SignIn may not write an answer")
}

// withCookies is r as the browser will send the next request: with the cookies that are set in h.
func withCookies(r *http.Request, h http.Header) *http.Request {
	set := (&http.Response{Header: h}).Cookies()
	old := r.Cookies()
	r = r.Clone(r.Context())
	r.Header.Del("Cookie")
	for _, c := range old {
		if !slices.ContainsFunc(set, func(n *http.Cookie) bool { return n.Name == c.Name }) {
			r.AddCookie(c)
		}
	}
	for _, c := range set {
		if c.MaxAge >= 0 {
			r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
		}
	}
	return r
}
