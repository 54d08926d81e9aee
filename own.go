package sallyport

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"sallyport/mfa"
)

// caller is who asks one of our pages, and how.
type caller struct {
	mfa.Visit
	json bool   // wants documents, not pages
	back string // the way back as it came, sealed; "": none that opens
	way  way    // opened

	signal    *signal    // for the browser, with the answer to this request; nil: nothing
	signsIn   bool       // at a page of a sign-in, to which the site's own form gives its way back as a path
	held      bool       // the pending cookie is that of a challenge, which a sign-in by a passkey leaves as it is
	challenge *challenge // the login that is pending; nil: there is a session, or nobody
}

// handler answers a request of somebody signed in, or returns the error that says why not.
type handler func(w http.ResponseWriter, r *http.Request, c *caller) error

// route is one of our pages. Its type tells it apart from the redirects that http.ServeMux makes by itself.
type route struct{ http.HandlerFunc }

// routes lists every page under Config.Path.
func (g *Guard) routes() *http.ServeMux {
	mux := http.NewServeMux()
	page := func(method, place string, h handler) { mux.Handle(method+" "+g.c.Path+place, route{g.signedIn(h)}) }
	page("GET", "{$}", g.home)
	page("GET", "status", g.status)
	page("GET", "verify", g.verify)
	page("GET", "verify/{method}", g.verifyWith)
	page("POST", "verify/{method}/begin", g.beginVerify)
	page("POST", "verify/{method}", g.finishVerify)
	page("GET", "confirmed", g.confirmed)
	page("GET", "recovered", g.recovered)
	page("GET", "enroll", g.enroll)
	page("GET", "enroll/{method}", g.enrollWith)
	page("POST", "enroll/{method}/begin", g.beginEnroll)
	page("POST", "enroll/{method}", g.finishEnroll)
	page("GET", "factors/{id}/{change}", g.askChange)
	page("POST", "factors/{id}/{change}", g.change)
	page("POST", "cancel", g.cancel)
	page("POST", "couriers/{name}/{change}", g.changeCourier)
	page("GET", "browsers/{id}/{change}", g.askBrowser)
	page("POST", "browsers/{id}/{change}", g.changeBrowser)
	page("POST", "browsers/forget", g.forgetBrowsers)
	page("GET", "sessions/end", g.askEndSessions)
	page("POST", "sessions/end", g.endSessions)
	signIn := func(method, place string, h handler) { mux.Handle(method+" "+g.c.Path+place, route{g.stranger(h)}) }
	signIn("GET", signInPlace, g.signInPage)
	signIn("POST", signInPlace+"/begin", g.beginSignIn)
	signIn("POST", signInPlace, g.finishSignIn)
	mux.Handle("GET "+g.c.Path+"static/{name}", route{g.static})
	mux.Handle("GET "+g.c.Path+"problems/{name}", route{g.explain})
	return mux
}

// serveOwn answers everything under Config.Path. What is not a page is our 404, also where a router would redirect.
func (g *Guard) serveOwn(w http.ResponseWriter, r *http.Request) {
	ourHeaders(w.Header())
	if len(r.URL.Path)+1 == len(g.c.Path) && isSafe(r.Method) {
		redirect(w, g.c.Path)
		return
	}
	h, pattern := g.own.Handler(r)
	_, found := h.(route)
	switch {
	case found && !isPlain(r.URL), !found && pattern != "":
		g.refuse(w, r, notFound())
	case !found:
		g.refuse(w, r, g.wrongMethod(r))
	case g.isForeign(r):
		g.refuse(w, r, &problem{name: nameCrossOrigin, status: http.StatusForbidden})
	default:
		g.own.ServeHTTP(w, r)
	}
}

// wrongMethod tells a page that wants another method from one that does not exist.
func (g *Guard) wrongMethod(r *http.Request) error {
	var allow []string
	for _, method := range [...]string{"GET", "HEAD", "POST"} {
		other := &http.Request{Method: method, URL: r.URL, Host: r.Host}
		if h, _ := g.own.Handler(other); isRoute(h) {
			allow = append(allow, method)
		}
	}
	if len(allow) == 0 {
		return notFound()
	}
	return &problem{name: nameInvalid, status: http.StatusMethodNotAllowed, detail: "method", allow: strings.Join(allow, ", ")}
}

func isRoute(h http.Handler) bool {
	_, ok := h.(route)
	return ok
}

// isForeign reports whether a request that may change something was made by a page of another origin. Where a browser
// says the origin but not how it relates to us, ours alone will do, whatever Host says.
func (g *Guard) isForeign(r *http.Request) bool {
	if isSafe(r.Method) {
		return false
	}
	if g.cross.Check(r) != nil {
		return true
	}
	origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
	return origin == "null" && site != "same-origin" || site == "" && origin != "" && origin != g.c.Origin
}

// signedIn adapts a handler: strangers are sent to sign in, errors and panics become answers.
func (g *Guard) signedIn(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := g.caller(r)
		if err == nil && !c.User.SignedIn() {
			g.meetStranger(w, r, !wantsJSON(r))
			return
		}
		if err == nil {
			_, err = guarded("a page", func() (struct{}, error) { return struct{}{}, h(w, r, c) })
		}
		if err != nil {
			g.refuseCaller(w, r, c, err)
		}
	}
}

// caller finds out who asks. The way back of a form is read with its fields.
func (g *Guard) caller(r *http.Request) (*caller, error) {
	if c, err := g.pendingCaller(r); c != nil {
		return c, err
	}
	c := &caller{json: wantsJSON(r), way: anyway()}
	u, err := g.user(r)
	if err != nil || !u.SignedIn() {
		return c, err
	}
	if u.Session == "" {
		return c, g.withoutSession()
	}
	c.User, c.Browser = u, r.UserAgent()
	if c.Assurance, err = g.assurance(r, u); err != nil {
		return c, err
	}
	address, err := g.address(r)
	if err != nil {
		return c, err
	}
	if address.IsValid() {
		c.Address = address.String()
	}
	c.KnownAt = g.knownAt(r, u.ID)
	if isSafe(r.Method) {
		back, err := one(r.URL.Query(), "back")
		if err != nil {
			return c, err
		}
		g.goBack(c, back)
	}
	return c, nil
}

// goBack opens the way back of a caller.
func (g *Guard) goBack(c *caller, back string) {
	if c.signsIn && strings.HasPrefix(back, "/") {
		c.way.Path = cleanSitePath(back)
		return
	}
	if b, ok := g.openWay(c.signer(), back); ok {
		c.back, c.way, c.NeedVerified = back, b, b.Verified
	}
}

// withoutSession is the answer to a site that has not named the login. It is logged once, since every request has it.
func (g *Guard) withoutSession() error {
	g.sessionless.Do(func() {
		g.c.Log.Error("sallyport: Config.User returned a user with an empty Session, so nobody can be proved: give a " +
			"random name that the site's session keeps from sign-in to sign-out. This is logged once.")
	})
	return &problem{name: nameMisconfigured, status: http.StatusInternalServerError}
}

// wantsJSON reports whether an answer under Config.Path is a document.
func wantsJSON(r *http.Request) bool {
	return accepts(r, "application/json") || mediaType(r) == "application/json"
}

// redirect answers 303 to a path that we have made.
func redirect(w http.ResponseWriter, to string) {
	ourHeaders(w.Header())
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// link is the address of a page of ours, with the query parameters that have a value.
func (g *Guard) link(place string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return g.c.Path + place
	}
	return g.c.Path + place + "?" + q.Encode()
}

// next is where a caller goes who has done what the way asked for: to its step, or to its end.
func (g *Guard) next(c *caller) (string, error) {
	if c.way.Step == "" {
		return c.way.place(), nil
	}
	back, err := g.sealWay(c.User, c.way.after())
	if err != nil {
		return "", err
	}
	return g.link(c.way.Step, "back", back), nil
}

// jsonTime is a time as documents carry it; nil: none.
func jsonTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}
