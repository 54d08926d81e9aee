package sallyport_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"sallyport"
	"sallyport/mfa"
)

// The ways in which a browser or an app asks the site.
var (
	fetching   = []header{{"Sec-Fetch-Mode", "cors"}, {"Sec-Fetch-Site", "same-origin"}, {"Accept", "*/*"}}
	navigating = []header{navigate, sameOrigin, {"Accept", "text/html,application/xhtml+xml,*/*;q=0.8"}}
	calling    = []header{acceptJSON}
)

// asks is a request to the site, by its kind.
func (b *browser) asks(kind, path string) answer {
	b.t.Helper()
	const form = "application/x-www-form-urlencoded"
	switch kind {
	case "GET":
		return b.do("GET", path, "", "", navigating...)
	case "HEAD":
		return b.do("HEAD", path, "", "", navigating...)
	case "fetch":
		return b.do("GET", path, "", "", fetching...)
	case "call":
		return b.do("GET", path, "", "", calling...)
	case "POST":
		return b.do("POST", path, form, "a=b", navigating...)
	case "POST by fetch":
		return b.do("POST", path, form, "a=b", fetching...)
	}
	b.t.Fatalf("no such kind %q", kind)
	return answer{}
}

// outcome says what a client of the site sees, in one word.
func outcome(t *testing.T, kind string, a answer) string {
	t.Helper()
	switch {
	case a.status == http.StatusOK && (kind == "HEAD" || strings.Contains(a.body, "canary:")):
		return "in"
	case a.status == http.StatusSeeOther:
		place, _, _ := strings.Cut(a.next, "?")
		if u, err := url.Parse(a.next); err == nil && u.Query().Get("next") != "" {
			return "to " + place + " next " + u.Query().Get("next")
		}
		return "to " + place
	case strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json"):
		return strings.TrimPrefix(problemOf(t, a).Type, "/mfa/problems/")
	case strings.HasPrefix(a.header.Get("Content-Type"), "text/html"):
		return strings.TrimSpace(http.StatusText(a.status) + " page")
	}
	return a.header.Get("Content-Type")
}

// problemDoc is a problem document, read by the words of RFC 9457.
type problemDoc struct {
	Type    string   `json:"type"`
	Title   string   `json:"title"`
	Status  int      `json:"status"`
	Detail  string   `json:"detail"`
	URL     string   `json:"url"`
	Methods []string `json:"methods"`
	Ticket  string   `json:"ticket"`
	Prompt  any      `json:"prompt"`
	Expires string   `json:"expires"`
}

func problemOf(t *testing.T, a answer) problemDoc {
	t.Helper()
	var doc problemDoc
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
		t.Fatalf("status %d, no problem document: %q", a.status, a.body)
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type of a problem = %q", got)
	}
	if doc.Status != a.status || doc.Title == "" || doc.Detail == "" || !strings.HasPrefix(doc.Type, "/mfa/problems/") {
		t.Errorf("problem of status %d = %+v", a.status, doc)
	}
	return doc
}

func TestWhoMeetsWhichDoor(t *testing.T) {
	s := newSite(t)
	proved := s.enrolled("alice")
	people := map[string]*browser{
		"a stranger": s.browser(), "without a factor": s.login("bob"), "unproved": proved.again("alice"), "proved": proved,
	}
	kinds := []string{"GET", "HEAD", "fetch", "call", "POST", "POST by fetch"}
	in := []string{"in", "in", "in", "in", "in", "in"}
	verify := []string{"to /mfa/verify", "to /mfa/verify", "must-verify", "must-verify", "Unauthorized page",
		"must-verify"}
	enroll := []string{"to /mfa/enroll", "to /mfa/enroll", "must-enroll", "must-enroll", "Unauthorized page",
		"must-enroll"}
	signIn := func(next string) []string {
		to := "to /login next " + next
		return []string{to, to, "must-sign-in", "must-sign-in", "to /login", "must-sign-in"}
	}
	for _, c := range []struct {
		path, who string
		want      []string // by kinds
	}{
		{"/account", "a stranger", in},
		{"/account", "without a factor", in},
		{"/account", "unproved", verify},
		{"/account", "proved", in},
		{"/vault?x=1", "a stranger", signIn("/vault?x=1")},
		{"/vault", "without a factor", enroll},
		{"/vault", "unproved", verify},
		{"/vault", "proved", in},
		{"/check", "a stranger", signIn("/check")},
		{"/check", "without a factor", enroll},
		{"/check", "unproved", verify},
		{"/check", "proved", in},
		{"/open/x", "a stranger", in},
		{"/open/x", "without a factor", in},
		{"/open/x", "unproved", in},
		{"/open/x", "proved", in},
		{"/api/", "unproved", verify},
		{"/not-there", "unproved", verify},
	} {
		for i, kind := range kinds {
			a := people[c.who].asks(kind, c.path)
			if got := outcome(t, kind, a); got != c.want[i] {
				t.Errorf("%s, %s %s = %q, want %q", c.who, kind, c.path, got, c.want[i])
			}
		}
	}
}

func TestAProblemOfADoorSaysWhereToGo(t *testing.T) {
	s := newSite(t)
	b := s.enrolled("alice").again("alice")
	a := b.asks("fetch", "/vault")
	doc := problemOf(t, a)
	if !strings.HasPrefix(doc.URL, "/mfa/verify?back=") || !slices.Equal(doc.Methods, []string{"totp", "recovery"}) {
		t.Errorf("url = %q, methods = %q", doc.URL, doc.Methods)
	}
	if got := a.header.Get("WWW-Authenticate"); got != `Sallyport url="/mfa/verify"` {
		t.Errorf("WWW-Authenticate = %q", got)
	}
	if page := b.get(doc.URL); page.status != http.StatusOK || found(formAction, page.body) != "/mfa/verify/totp" {
		t.Errorf("GET %s = %d", doc.URL, page.status)
	}
	bob := s.login("bob")
	doc = problemOf(t, bob.asks("call", "/vault"))
	if !strings.HasPrefix(doc.URL, "/mfa/enroll?back=") || !slices.Equal(doc.Methods, []string{"totp"}) {
		t.Errorf("url = %q, methods = %q, want a page that adds an app", doc.URL, doc.Methods)
	}
	a = s.browser().asks("call", "/vault")
	if doc = problemOf(t, a); doc.URL != "/login" || a.header.Get("WWW-Authenticate") == "" {
		t.Errorf("a stranger is sent to %q", doc.URL)
	}
}

// A policy that no method of the site can satisfy is a plain no, not a circle.
func TestAPolicyThatNothingSatisfiesIsDenied(t *testing.T) {
	s := newSite(t, func(_ *site, c *sallyport.Config) { c.Methods = []mfa.Method{mfa.TOTP{}, mfa.Recovery{}} })
	b := s.enrolled("alice")
	for kind, want := range map[string]string{"GET": "Forbidden page", "fetch": "denied", "POST": "Forbidden page"} {
		if got := outcome(t, kind, b.asks(kind, "/payout")); got != want {
			t.Errorf("%s /payout = %q, want %q", kind, got, want)
		}
	}
}

func TestWhatANavigationIs(t *testing.T) {
	b := newSite(t).enrolled("alice").again("alice")
	html := header{"Accept", "text/html"}
	for _, c := range []struct {
		name    string
		headers []header
		want    bool
	}{
		{"a page load", []header{navigate, sameOrigin, html}, true},
		{"a page load that accepts anything", []header{navigate, {"Accept", "*/*"}}, true},
		{"a page load that accepts JSON", []header{navigate, acceptJSON}, true},
		{"a page load without Accept", []header{navigate}, true},
		{"a page load into a frame", []header{navigate, {"Sec-Fetch-Dest", "iframe"}, html}, true},
		{"a page load from another site", []header{navigate, {"Sec-Fetch-Site", "cross-site"}, html}, true},
		{"a fetch that accepts HTML", []header{{"Sec-Fetch-Mode", "cors"}, html}, false},
		{"a fetch without CORS", []header{{"Sec-Fetch-Mode", "no-cors"}, html}, false},
		{"a fetch of the same origin", []header{{"Sec-Fetch-Mode", "same-origin"}, html}, false},
		{"a WebSocket", []header{{"Sec-Fetch-Mode", "websocket"}, html}, false},
		{"a mode that nobody knows", []header{{"Sec-Fetch-Mode", "navigate2"}, html}, false},
		{"a mode in upper case", []header{{"Sec-Fetch-Mode", "NAVIGATE"}, html}, false},
		{"Sec-Fetch-Site alone", []header{sameOrigin, html}, false},
		{"Sec-Fetch-Dest alone", []header{{"Sec-Fetch-Dest", "document"}, html}, false},
		{"Sec-Fetch-User alone", []header{{"Sec-Fetch-User", "?1"}, html}, false},
		{"an old browser", []header{{"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}}, true},
		{"an old browser that prefers another type", []header{{"Accept", "application/xml, text/html;q=0.1"}}, true},
		{"Accept in upper case", []header{{"Accept", "TEXT/HTML"}}, true},
		{"Accept over two lines", []header{{"Accept", "image/png"}, html}, true},
		{"an app that accepts anything", []header{{"Accept", "*/*"}}, false},
		{"an app that accepts any text", []header{{"Accept", "text/*"}}, false},
		{"an app that accepts JSON", []header{acceptJSON}, false},
		{"an app that says nothing", nil, false},
		{"a type that begins like HTML", []header{{"Accept", "text/html-fragment"}}, false},
	} {
		a := b.do("GET", "/account", "", "", c.headers...)
		got := a.status == http.StatusSeeOther
		if got != c.want || !got && a.status != http.StatusUnauthorized {
			t.Errorf("%s = %d, want a navigation: %v", c.name, a.status, c.want)
		}
	}
}

func TestTheWayBackIsKept(t *testing.T) {
	s := newSite(t)
	owner := s.enrolled("alice")
	for _, c := range []struct{ name, path, want string }{
		{"a path", "/account", "/account"},
		{"a query", "/account?a=1&b=%2F&c=x%20y&d=%22%3Cq%3E", "/account?a=1&b=%2F&c=x%20y&d=%22%3Cq%3E"},
		{"a path with encoded letters", "/api/caf%C3%A9%2Fx", "/api/caf%C3%A9%2Fx"},
		{"a query that looks like a host", "/account?next=//evil.example/", "/account?next=//evil.example/"},
		{"many ampersands", "/account?" + strings.Repeat("&", 2000), "/account?" + strings.Repeat("&", 2000)},
		{"2 kB", "/api/" + strings.Repeat("x", 2043), "/api/" + strings.Repeat("x", 2043)},
		{"more than 2 kB", "/api/" + strings.Repeat("x", 2044), "/"},
	} {
		b := owner.again("alice")
		a := b.get(c.path)
		if a.status != http.StatusSeeOther || strings.Contains(a.next, "account") || strings.Contains(a.next, "caf") {
			t.Fatalf("%s: GET = %d to %q, want a sealed detour", c.name, a.status, a.next)
		}
		s.advance(minute)
		if done := b.fill(b.get(a.next), b.code(0)); done.status != http.StatusSeeOther || done.next != c.want {
			t.Errorf("%s: the proof leads to %.80q, want %.80q", c.name, done.next, c.want)
		}
	}
}

func TestTheWayBackOfAFetchIsThePageItCameFrom(t *testing.T) {
	s := newSite(t)
	owner := s.enrolled("alice")
	for referer, want := range map[string]string{
		"":                                  "/",
		s.server.URL + "/app?tab=2":         "/app?tab=2",
		s.server.URL:                        "/",
		s.server.URL + "/":                  "/",
		s.server.URL + "//evil.example/":    "/",
		s.server.URL + ".evil.example/":     "/",
		"https://evil.example/app":          "/",
		"javascript:alert(1)":               "/",
		s.server.URL + `/\evil.example/`:    "/",
		s.server.URL + "/x\u00a0y":          "/",
		"http://" + s.host() + "/unsealed":  "/",
		"https://user@" + s.host() + "/app": "/",
	} {
		b := owner.again("alice")
		doc := problemOf(t, b.do("GET", "/api/", "", "", append(fetching, header{"Referer", referer})...))
		s.advance(minute)
		if done := b.fill(b.get(doc.URL), b.code(0)); done.next != want {
			t.Errorf("from %q the proof leads to %q, want %q", referer, done.next, want)
		}
	}
}

// The way back is bound to the login that goes it: nobody can be sent a link that leads on to a place of another's
// choice. What does not open is the way to the front page.
func TestAWayBackOfAnotherLoginLeadsToTheFrontPage(t *testing.T) {
	s := newSite(t)
	alice := s.enrolled("alice")
	bob := s.enrolled("bob")
	mine := alice.again("alice")
	_, own, _ := strings.Cut(mine.get("/account?mine").next, "back=")
	_, others, _ := strings.Cut(alice.again("alice").get("/account?second").next, "back=")
	_, foreign, _ := strings.Cut(bob.again("bob").get("/account?bob").next, "back=")
	tampered := own[:len(own)-1] + string('A'+(own[len(own)-1]-'A'+1)%26)
	for _, c := range []struct{ name, back, want string }{
		{"her own", own, "/account?mine"},
		{"her own of another login", others, "/"},
		{"of another user", foreign, "/"},
		{"one letter changed", tampered, "/"},
		{"cut in half", own[:len(own)/2], "/"},
		{"a path", "/account", "/"},
		{"a URL", url.QueryEscape("https://evil.example/"), "/"},
		{"a ticket's seal", "", "/"},
		{"9 kB", strings.Repeat("A", 9<<10), "/"},
	} {
		s.advance(minute)
		page := mine.get("/mfa/verify?back=" + c.back)
		if done := mine.fill(page, mine.code(0)); done.status != http.StatusSeeOther || done.next != c.want {
			t.Errorf("%s: the proof = %d to %q, want to %q", c.name, done.status, done.next, c.want)
		}
	}
}

// A form that met the door is not lost: the page opens a new tab, and the first one is reloaded.
func TestAFormThatMeetsTheDoorCanBeSentAgain(t *testing.T) {
	s := newSite(t)
	b := s.enrolled("alice").again("alice")
	page := b.post("/form", url.Values{"text": {"a long letter"}})
	if page.status != http.StatusUnauthorized || s.posted != 0 {
		t.Fatalf("POST /form = %d, %d reached the site", page.status, s.posted)
	}
	if strings.Contains(page.body, "a long letter") {
		t.Error("the page repeats what was sent")
	}
	link := found(newTabLink, page.body)
	if !strings.HasPrefix(link, "/mfa/verify?back=") || page.header.Get("WWW-Authenticate") == "" {
		t.Fatalf("the page leads to %q", link)
	}
	s.advance(minute)
	done := b.fill(b.get(link), b.code(0))
	if !strings.HasPrefix(done.next, "/mfa/confirmed") {
		t.Fatalf("the proof leads to %q, want the page that closes the tab", done.next)
	}
	if end := b.get(done.next); end.status != http.StatusOK || !strings.Contains(text(end.body), "reload") {
		t.Errorf("GET %s = %d %s", done.next, end.status, text(end.body))
	}
	if again := b.post("/form", url.Values{"text": {"a long letter"}}); again.status != http.StatusOK || s.posted != 1 {
		t.Errorf("sending again = %d, %d reached the site", again.status, s.posted)
	}
}

func TestCredentialsInAuthorizationAreNoWayAround(t *testing.T) {
	basic := header{"Authorization", "Basic YWxpY2U6cGFzc3dvcmQ="}
	says := func(f func(*http.Request) bool) func(*site, *sallyport.Config) {
		return func(_ *site, c *sallyport.Config) { c.OtherAuth = f }
	}
	for _, c := range []struct {
		name   string
		change func(*site, *sallyport.Config)
		value  header
		path   string
		status int
	}{
		{"without the header", says(nil), header{"X-Other", "1"}, "/account", 200},
		{"basic", says(nil), basic, "/account", 401},
		{"bearer", says(nil), header{"Authorization", "Bearer abc"}, "/account", 401},
		{"an empty value", says(nil), header{"Authorization", ""}, "/account", 401},
		{"what is open", says(nil), basic, "/open/x", 200},
		{"proved in another way", says(func(r *http.Request) bool { return r.Header.Get("Authorization") == basic.value }),
			basic, "/account", 200},
		{"not proved in another way", says(func(*http.Request) bool { return false }), basic, "/account", 401},
		{"a function that panics", says(func(*http.Request) bool { panic("hunter2") }), basic, "/account", 500},
		{"a part that asks for a factor", says(func(*http.Request) bool { return true }), basic, "/vault", 401},
	} {
		s := newSite(t, c.change)
		a := s.browser().do("GET", c.path, "", "", append(calling, c.value)...)
		if a.status != c.status || (c.status == 200) != strings.Contains(a.body, "canary:") {
			t.Errorf("%s = %d %q, want %d", c.name, a.status, a.body, c.status)
		}
		if c.status == 401 && (a.header.Get("WWW-Authenticate") == "" || problemOf(t, a).URL != "/login") {
			t.Errorf("%s: WWW-Authenticate = %q", c.name, a.header.Get("WWW-Authenticate"))
		}
	}
	s := newSite(t)
	b := s.enrolled("alice").again("alice")
	if a := b.do("GET", "/account", "", "", append(calling, basic)...); problemOf(t,
		a).Type != "/mfa/problems/must-verify" {
		t.Errorf("credentials beside an unproved session = %s", a.body)
	}
}

func TestOnlyAPlainSpellingIsOpen(t *testing.T) {
	s := newSite(t, func(s *site, c *sallyport.Config) {
		c.Open = []string{"POST /logout", "/login", "/{$}", "/open/", "GET /docs/{page}", "/s/{lang}/help", "/caf%C3%A9/"}
	})
	b := s.enrolled("alice").again("alice")
	s.server.Config.Handler = s.guard.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("canary:any"))
	}))
	for _, c := range []struct {
		request string
		open    bool
	}{
		{"GET /", true}, {"GET /?a=//b/../c", true}, {"GET /open/", true}, {"GET /open/a", true}, {"GET /open/a/b.js", true},
		{"GET /open/a%20b", true}, {"GET /open/caf%C3%A9", true}, {"HEAD /open/a", true}, {"DELETE /open/a", true},
		{"POST /logout", true}, {"GET /docs/one", true}, {"HEAD /docs/one", true}, {"GET /s/de/help", true},
		{"GET https://example.com/open/a", true}, {"GET /caf%C3%A9/x", true},

		{"GET /account", false}, {"GET /open", false}, {"GET /opening", false}, {"GET /OPEN/a", false},
		{"GET /logout", false},
		{"POST /logout/", false}, {"POST /docs/one", false}, {"GET /docs/", false}, {"GET /docs/one/two", false},
		{"GET /docs/one/", false},
		{"GET //open/a", false}, {"GET /open//a", false}, {"GET ///", false}, {"GET /.", false}, {"GET /./open/a", false},
		{"GET /open/.", false}, {"GET /open/..", false}, {"GET /open/../account", false}, {"GET /open/./a", false},
		{"GET /open/%2e%2e/account", false}, {"GET /open/.%2E/account", false}, {"GET /open/..%2faccount", false},
		{"GET /open%2fa", false}, {"GET /%6fpen/a", false}, {"GET /open/%61", false}, {"GET /open/a%2Fb", false},
		{"GET /s/en/%68elp", false},
		{"GET /open/a;b", false}, {"GET /open/a%3bb", false}, {"GET /open/;/../account", false},
		{`GET /open/a\b`, false}, {"GET /open/a%5cb", false}, {"GET /open/%00", false},
		{"GET /open/%252e%252e/account", false},
		{"GET /open/caf%c3%a9", false}, {"GET /docs/%2e%2e", false}, {"GET /docs/one%2Ftwo", false},
		{"GET https://example.com/open/../account", false}, {"GET https://example.com//open/a", false},
		{"CONNECT /open/a", false}, {"OPTIONS *", false},
	} {
		a := s.raw(c.request + " HTTP/1.1\r\nHost: " + s.host() + "\r\nCookie: " + b.cookies() +
			"\r\nConnection: close\r\n\r\n")
		open := a.status == http.StatusOK && (strings.HasPrefix(c.request, "HEAD") || strings.Contains(a.body, "canary:"))
		if open != c.open {
			t.Errorf("%s = %d %.60q, want open: %v", c.request, a.status, a.body, c.open)
		}
	}
}

func TestTheInnermostDecisionIsInTheContext(t *testing.T) {
	s := newSite(t)
	var outer, inner mfa.Decision
	var there [2]bool
	vault := s.guard.Require(mfa.Policy{Factors: 1, MaxAge: minute})(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		inner, there[1] = sallyport.DecisionFrom(r.Context())
	}))
	b := s.enrolled("alice")
	s.server.Config.Handler = s.guard.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		outer, there[0] = sallyport.DecisionFrom(r.Context())
		vault.ServeHTTP(w, r)
	}))
	if a := b.get("/anything"); a.status != http.StatusOK || there != [2]bool{true, true} {
		t.Fatalf("GET = %d, decisions there: %v", a.status, there)
	}
	if outer.Action != mfa.Allow || outer.Reason != mfa.ReasonProved || outer.Policy != (mfa.Policy{}) ||
		outer.Factors != 1 ||
		outer.Strength != mfa.Typed || !outer.At.Equal(s.clock()) {
		t.Errorf("the outer decision = %+v", outer)
	}
	if inner.Policy != (mfa.Policy{Factors: 1, MaxAge: minute}) || !inner.DueAt.Equal(s.clock().Add(minute)) {
		t.Errorf("the inner decision = %+v", inner)
	}
	there = [2]bool{}
	s.server.Config.Handler = s.guard.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, there[0] = sallyport.DecisionFrom(r.Context())
	}))
	if a := s.browser().get("/anything"); a.status != http.StatusOK || there[0] {
		t.Errorf("a stranger has a decision: %v", there[0])
	}
	if a := b.get("/open/x"); a.status != http.StatusOK || there[0] {
		t.Errorf("what is open has a decision: %v", there[0])
	}
}

// What a site's handler may do with its ResponseWriter (flush, hijack, read a deadline) it may do behind the guard.
func TestTheResponseWriterIsHandedOnAsItCame(t *testing.T) {
	s := newSite(t)
	b := s.enrolled("alice")
	var got http.ResponseWriter
	site := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = w
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
	})
	for name, h := range map[string]http.Handler{
		"Protect": s.guard.Protect(site), "Require": s.guard.Require(mfa.Policy{Factors: 1})(site),
	} {
		var given http.ResponseWriter
		s.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			given, got = w, nil
			h.ServeHTTP(given, r)
		})
		if a := b.get("/anything"); a.status != http.StatusOK || got == nil || got != given {
			t.Errorf("%s: GET = %d, and the site got %T for %T", name, a.status, got, given)
		}
	}
}

func TestThePolicyOfEachRequest(t *testing.T) {
	ask := func(r *http.Request) (mfa.Policy, error) {
		switch r.URL.Path {
		case "/form":
			return mfa.Policy{Factors: 1}, nil
		case "/account":
			return mfa.Policy{Waived: "a page for everybody"}, nil
		case "/vault":
			return mfa.Policy{}, errors.New("the policy database is away")
		case "/check":
			panic("hunter2")
		}
		return mfa.Policy{}, nil
	}
	s := newSite(t, func(_ *site, c *sallyport.Config) { c.Policy = ask })
	bob := s.login("bob")
	for path, want := range map[string]string{
		"/form": "must-enroll", "/account": "in", "/vault": "unavailable", "/check": "misconfigured", "/api/": "in",
	} {
		if got := outcome(t, "call", bob.asks("call", path)); got != want {
			t.Errorf("GET %s = %q, want %q", path, got, want)
		}
	}
	alice := s.enrolled("alice")
	s.server.Config.Handler = s.guard.RequireFunc(ask)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("canary:required"))
	}))
	for path, want := range map[string]string{"/form": "in", "/account": "in", "/vault": "unavailable",
		"/check": "misconfigured"} {
		if got := outcome(t, "call", alice.asks("call", path)); got != want {
			t.Errorf("RequireFunc: GET %s = %q, want %q", path, got, want)
		}
	}
	if strings.Contains(s.log.String(), "hunter2") {
		t.Error("the log repeats what a function panicked with")
	}
}
