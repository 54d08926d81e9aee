package sallyport_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/mfa"
)

// occasion leads to one problem, as a document and as a page. Each call makes it anew.
type occasion struct {
	name   string
	status int
	setup  func(t *testing.T) (b *browser, ask func(headers ...header) answer)
}

// asking sends one request again and again.
func (b *browser) asking(method, path, contentType, body string, more ...header) func(headers ...header) answer {
	return func(headers ...header) answer {
		b.t.Helper()
		return b.do(method, path, contentType, body, slices.Concat(more, headers)...)
	}
}

func occasions() []occasion {
	fixed := func(make func(*site) *browser, method, path, contentType, body string,
		more ...header) func(*testing.T) (*browser, func(...header) answer) {
		return func(t *testing.T) (*browser, func(...header) answer) {
			b := make(newSite(t))
			return b, b.asking(method, path, contentType, body, more...)
		}
	}
	proved := func(s *site) *browser { return s.enrolled("alice") }
	unproved := func(s *site) *browser { return s.enrolled("alice").again("alice") }
	broken := func(change func(*site, *sallyport.Config)) func(t *testing.T) (*browser, func(...header) answer) {
		return func(t *testing.T) (*browser, func(...header) answer) {
			b := newSite(t, change).login("alice")
			return b, b.asking("GET", "/mfa/verify", "", "")
		}
	}
	return []occasion{
		{"wrong-answer", 422, func(t *testing.T) (*browser, func(...header) answer) {
			b := unproved(newSite(t))
			return b, func(headers ...header) answer {
				return b.do("POST", "/mfa/verify/totp", formType, url.Values{
					"ticket": {b.begun("/mfa/verify/totp")}, "answer": {b.wrong()},
				}.Encode(), headers...)
			}
		}},
		{"no-ticket", 409, fixed(unproved, "POST", "/mfa/verify/totp", formType, "ticket=none&answer=123456")},
		{"last-factor", 409, func(t *testing.T) (*browser, func(...header) answer) {
			b := proved(newSite(t))
			return b, b.asking("POST", "/mfa/factors/"+b.factor("totp")+"/pause", "", "")
		}},
		{"too-many", 429, func(t *testing.T) (*browser, func(...header) answer) {
			b := unproved(newSite(t))
			for range mfa.FreeTries {
				b.guess(b.wrong())
			}
			return b, b.asking("POST", "/mfa/verify/totp/begin", "", "")
		}},
		{"unknown-method", 404, fixed(proved, "GET", "/mfa/verify/sent", "", "")},
		{"not-found", 404, fixed(proved, "GET", "/mfa/nowhere", "", "")},
		{"must-sign-in", 401, fixed((*site).browser, "GET", "/account", "", "", header{"Authorization", "Bearer x"})},
		{"denied", 403, func(t *testing.T) (*browser, func(...header) answer) {
			s := newSite(t)
			b := s.login("bob")
			s.advance(11 * time.Minute) // too long ago for a first enrollment
			return b, b.asking("GET", "/mfa/enroll/totp", "", "")
		}},
		{"cross-origin", 403, fixed(proved, "POST", "/mfa/sessions/end", "", "", header{"Origin", "https://evil.example"})},
		{"invalid-request", 400, fixed(proved, "POST", "/mfa/sessions/end", formType, "user=bob")},
		{"invalid-request", 405, fixed(proved, "DELETE", "/mfa/sessions/end", "", "")},
		{"invalid-request", 415, fixed(proved, "POST", "/mfa/sessions/end", "text/plain", "user=bob")},
		{"too-large", 413, fixed(proved, "POST", "/mfa/sessions/end", formType, "back="+strings.Repeat("x", 65<<10))},
		{"unavailable", 503, broken(func(_ *site, c *sallyport.Config) {
			c.User = func(*http.Request) (mfa.User, error) {
				return mfa.User{}, errors.New("the session store is away: hunter2")
			}
			c.Open = []string{"/login"}
		})},
		{"misconfigured", 500, broken(func(_ *site, c *sallyport.Config) {
			site := c.User
			c.User = func(r *http.Request) (mfa.User, error) {
				u, err := site(r)
				u.Session = ""
				return u, err
			}
		})},
	}
}

func TestProblemsSayWhatIsWrongAndWhatToDo(t *testing.T) {
	for _, o := range occasions() {
		t.Run(o.name+" "+itoa(o.status), func(t *testing.T) {
			b, ask := o.setup(t)
			a := ask(acceptJSON)
			if got, want := docWord(t, a), itoa(o.status)+" "+o.name; got != want {
				t.Fatalf("the document = %q, want %q: %s", got, want, a.body)
			}
			doc := problemOf(t, a)
			page := ask(header{"Accept", "text/html"})
			if page.status != o.status || page.header.Get("Content-Type") != "text/html; charset=utf-8" {
				t.Errorf("the page = %d %s, want %d", page.status, page.header.Get("Content-Type"), o.status)
			}
			if o.name != "wrong-answer" && heading(page) != doc.Title { // that one shows the form again
				t.Errorf("the page is headed %q, the document %q", heading(page), doc.Title)
			}
			if !strings.Contains(page.body, "<a ") && !strings.Contains(page.body, "<form ") {
				t.Errorf("the page is a dead end:\n%s", text(page.body))
			}
			for _, secret := range []string{"hunter2", "goroutine", ".go:"} {
				if strings.Contains(a.body, secret) || strings.Contains(page.body, secret) {
					t.Errorf("the answer tells %q", secret)
				}
			}
			checkProblemHeaders(t, o, a)
			if explained := b.s.browser().do("GET", doc.Type, "", "", acceptJSON); explained.status != http.StatusOK ||
				problemOf2(explained)["title"] != doc.Title {
				t.Errorf("GET %s = %d %s", doc.Type, explained.status, explained.body)
			}
			if shown := b.s.browser().get(doc.Type); shown.status != http.StatusOK || heading(shown) != doc.Title {
				t.Errorf("GET %s as a page = %d %q", doc.Type, shown.status, heading(shown))
			}
		})
	}
}

func checkProblemHeaders(t *testing.T, o occasion, a answer) {
	t.Helper()
	challenge, retry, allow := a.header.Get("WWW-Authenticate"), a.header.Get("Retry-After"), a.header.Get("Allow")
	if (o.status == 401) != strings.HasPrefix(challenge, "Sallyport ") {
		t.Errorf("WWW-Authenticate = %q with status %d", challenge, o.status)
	}
	seconds, err := strconv.Atoi(retry)
	if waits := o.status == 429 || o.status == 503; waits != (retry != "") || waits && (err != nil || seconds < 1) {
		t.Errorf("Retry-After = %q with status %d", retry, o.status)
	}
	if (o.status == 405) != (allow != "") {
		t.Errorf("Allow = %q with status %d", allow, o.status)
	}
}

func TestAWrongAnswerCarriesTheNextTicket(t *testing.T) {
	s := newSite(t)
	b := s.enrolled("alice").again("alice")
	ticket := b.begun("/mfa/verify/totp")
	first := s.clock().Add(10 * time.Minute)
	s.advance(minute)
	a, doc := b.call("POST", "/mfa/verify/totp", map[string]string{"ticket": ticket, "answer": b.wrong()})
	if names(doc) != "detail expires prompt status ticket title type" || doc["ticket"] == ticket ||
		names(inner(doc, "prompt")) != "digits factor" {
		t.Fatalf("a wrong answer = %d %s", a.status, a.body)
	}
	if at, err := time.Parse(time.RFC3339, doc["expires"].(string)); err != nil || !at.Equal(first) {
		t.Errorf("the next ticket expires %v, want %v as the first one", doc["expires"], first)
	}
	if again, _ := b.call("POST", "/mfa/verify/totp", map[string]string{"ticket": ticket,
		"answer": b.code(0)}); again.status != 409 {
		t.Errorf("the ticket that was answered = %d, want 409", again.status)
	}
	next := doc["ticket"].(string)
	if right, doc := b.call("POST", "/mfa/verify/totp", map[string]string{"ticket": next,
		"answer": b.code(0)}); doc["proved"] == nil {
		t.Errorf("the next ticket = %d %s, want a proof", right.status, right.body)
	}
}

// A wait is told in seconds to programs and in words to people, and other ways are offered meanwhile.
func TestAnExhaustedBudgetSaysHowLong(t *testing.T) {
	s := newSite(t)
	b := s.enrolled("alice").again("alice")
	var a answer
	for i := range mfa.FreeTries {
		a = b.guess(b.wrong())
		if last := i == mfa.FreeTries-1; (a.header.Get("Retry-After") == "30") != last || a.status != 422 {
			t.Errorf("wrong answer %d = %d with Retry-After %q", i+1, a.status, a.header.Get("Retry-After"))
		}
	}
	page := b.get("/mfa/verify")
	if page.status != 429 || page.header.Get("Retry-After") != "30" ||
		!strings.Contains(page.body, `data-sallyport-seconds="30"`) ||
		!strings.Contains(text(page.body), "Try again in 30 seconds.") || found(recoveryLink, page.body) == "" {
		t.Errorf("the page = %d, Retry-After %q\n%s", page.status, page.header.Get("Retry-After"), text(page.body))
	}
	s.advance(29500 * time.Millisecond)
	if late := b.do("POST", "/mfa/verify/totp/begin", "", "", acceptJSON); late.header.Get("Retry-After") != "1" {
		t.Errorf("half a second before the end Retry-After = %q, want 1", late.header.Get("Retry-After"))
	}
	s.advance(time.Second)
	if page := b.get("/mfa/verify"); page.status != http.StatusOK {
		t.Errorf("after the wait the page = %d, want 200", page.status)
	}
}

func TestWhereRequestsMayComeFrom(t *testing.T) {
	s := newSite(t)
	b := s.enrolled("alice")
	site := func(value string) header { return header{"Sec-Fetch-Site", value} }
	origin := func(value string) header { return header{"Origin", value} }
	for _, c := range []struct {
		name    string
		headers []header
		fine    bool
	}{
		{"no browser", nil, true},
		{"a page of ours", []header{site("same-origin"), origin(s.server.URL)}, true},
		{"a page of ours without Origin", []header{site("same-origin")}, true},
		{"a page of ours that hides its origin", []header{site("same-origin"), origin("null")}, true},
		{"an old browser on a page of ours", []header{origin(s.server.URL)}, true},
		{"the address bar", []header{site("none")}, true},
		{"another site", []header{site("cross-site"), origin("https://evil.example")}, false},
		{"another site without Origin", []header{site("cross-site")}, false},
		{"another site that hides its origin", []header{site("cross-site"), origin("null")}, false},
		{"a sister site", []header{site("same-site"), origin("https://sister.example")}, false},
		{"a sister site without Origin", []header{site("same-site")}, false},
		{"the address bar with a hidden origin", []header{site("none"), origin("null")}, false},
		{"a word that nobody knows", []header{site("friendly")}, false},
		{"an old browser on another site", []header{origin("https://evil.example")}, false},
		{"an old browser that hides its origin", []header{origin("null")}, false},
		{"an old browser on our host by http", []header{origin("http://" + s.host())}, false},
		{"an old browser on our host at another port", []header{origin(strings.TrimSuffix(s.server.URL,
			s.host()[strings.LastIndex(s.host(), ":"):]))}, false},
		{"an old browser on our origin with a slash", []header{origin(s.server.URL + "/")}, false},
		{"an old browser on another site, whose Host says the same",
			[]header{origin("https://evil.example"), {"Host", "evil.example"}, {"Cookie", b.cookies()}}, false},
		{"two origins", []header{origin("https://evil.example"), origin(s.server.URL)}, false},
	} {
		a := b.do("POST", "/mfa/enroll/totp/begin", "", "", append([]header{acceptJSON}, c.headers...)...)
		if got := a.status == http.StatusOK; got != c.fine || !got && docWord(t, a) != "403 cross-origin" {
			t.Errorf("%s = %d %.100s, want it accepted: %v", c.name, a.status, a.body, c.fine)
		}
		if a := b.do("GET", "/mfa/", "", "", append([]header{acceptJSON}, c.headers...)...); a.status != http.StatusOK {
			t.Errorf("%s: GET = %d, want 200, since it changes nothing", c.name, a.status)
		}
	}
}

// wantHeaders are the headers of SECURITY.md section 1, as every answer of ours carries them.
var wantHeaders = map[string]string{
	"Cache-Control": "no-store",
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
	"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy": "publickey-credentials-get=(self), publickey-credentials-create=(self)",
	"Etag":               "", "Last-Modified": "", "Expires": "",
}

func checkHeaders(t *testing.T, name string, a answer) {
	t.Helper()
	for h, want := range wantHeaders {
		if got := strings.Join(a.header.Values(h), " | "); got != want {
			t.Errorf("%s (%d): %s = %q, want %q", name, a.status, h, got, want)
		}
	}
	if vary := strings.Join(a.header.Values("Vary"), ", "); !strings.Contains(vary, "Cookie") ||
		!strings.Contains(vary, "Accept") {
		t.Errorf("%s (%d): Vary = %q", name, a.status, vary)
	}
}

// T-CACHE-1 and T-FRAME-1: also redirects, problems and addresses that look like static files, and although the
// site's own layers promise something else for all they see.
func TestEveryAnswerOfOursCarriesItsHeaders(t *testing.T) {
	s := newSite(t)
	alice := s.enrolled("alice")
	inside := s.server.Config.Handler
	s.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=600")
		w.Header().Set("Etag", `"1"`)
		w.Header().Set("Last-Modified", "Tue, 24 Nov 2026 12:00:00 GMT")
		w.Header().Set("Expires", "Tue, 24 Nov 2026 13:00:00 GMT")
		w.Header().Set("Vary", "Accept-Encoding")
		w.Header().Set("X-Frame-Options", "SAMEORIGIN")
		w.Header().Set("Content-Security-Policy", "default-src *")
		inside.ServeHTTP(w, r)
	})
	people := map[string]*browser{
		"a stranger": s.browser(), "without a factor": s.login("bob"), "unproved": alice.again("alice"), "proved": alice,
	}
	id := alice.factor("totp")
	for name, a := range map[string]answer{
		"the detour of a page":  people["unproved"].asks("GET", "/account"),
		"the detour of a fetch": people["unproved"].asks("fetch", "/account"),
		"the detour of a form":  people["unproved"].asks("POST", "/account"),
		"a page to sign in for": people["a stranger"].asks("GET", "/vault"),
		"a call to sign in for": people["a stranger"].asks("call", "/vault"),
		"a page that is denied": people["proved"].asks("GET", "/payout"),
		"other credentials":     people["a stranger"].do("GET", "/account", "", "", header{"Authorization", "Basic x"}),
	} {
		checkHeaders(t, name, a)
	}
	if a := alice.get("/account"); a.header.Get("Etag") != `"1"` ||
		a.header.Get("Cache-Control") != "public, max-age=600" {
		t.Errorf("the site's own headers were changed: %v", a.header)
	}
	for who, b := range people {
		for _, path := range []string{
			"/mfa", "/mfa/", "/mfa/status", "/mfa/verify", "/mfa/verify?choose=1", "/mfa/verify/totp", "/mfa/verify/recovery",
			"/mfa/verify/none", "/mfa/confirmed", "/mfa/recovered", "/mfa/enroll", "/mfa/enroll/totp", "/mfa/enroll/recovery",
			"/mfa/factors/" + id + "/rename", "/mfa/factors/" + id + "/remove", "/mfa/factors/" + id + "/resume",
			"/mfa/sessions/end",
			"/mfa/problems/denied", "/mfa/problems/none", "/mfa/nowhere", "/mfa/x.css", "/mfa/manage/;a.js", "/mfa/verify/;a.js",
			"/mfa/static/none.css", "/mfa/%2e%2e/x", "/mfa/verify%2ftotp",
		} {
			for name, a := range map[string]answer{
				"as a page": b.get(path), "as a document": b.do("GET", path, "", "", acceptJSON),
				"HEAD": b.do("HEAD", path, "", ""),
				"POST": b.post(path, nil), "DELETE": b.do("DELETE", path, "", "", acceptJSON),
				"POST from elsewhere": b.do("POST", path, "", "", header{"Origin", "https://evil.example"}),
			} {
				checkHeaders(t, who+", "+path+" "+name, a)
			}
		}
	}
}

func TestEveryProblemCarriesItsHeaders(t *testing.T) {
	for _, o := range occasions() {
		_, ask := o.setup(t)
		checkHeaders(t, o.name+" as a document", ask(acceptJSON))
		checkHeaders(t, o.name+" as a page", ask())
	}
}

func TestCookiesOfAnEncryptedOrigin(t *testing.T) {
	s := newSite(t)
	b := s.login("alice")
	page := b.follow(b.get("/mfa/enroll/totp"))
	b.secret = secretOf(page)
	checkCookies(t, b.fill(page, b.code(0)), "__Host-", true)
}

// Where the origin is http on localhost, browsers would drop Secure cookies, or those with the prefix.
func TestCookiesOfLocalhost(t *testing.T) {
	s := newSite(t, func(_ *site, c *sallyport.Config) { c.Origin = "http://localhost:8080" })
	b := s.login("alice")
	page := b.follow(b.get("/mfa/enroll/totp", header{"Origin", "http://localhost:8080"}))
	b.secret = secretOf(page)
	a := b.do("POST", "/mfa/enroll/totp", formType, url.Values{"ticket": {found(ticketField, page.body)},
		"answer": {b.code(0)}}.Encode())
	checkCookies(t, a, "", false)
	b.mustBeIn("account")
}

func checkCookies(t *testing.T, a answer, prefix string, secure bool) {
	t.Helper()
	lives := map[string]int{prefix + "sallyport": 0, prefix + "sallyport-known": 30 * 24 * 3600}
	for _, line := range a.header.Values("Set-Cookie") {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			t.Fatal(err)
		}
		life, ours := lives[c.Name]
		if !ours || c.MaxAge != life || !c.Expires.IsZero() || c.Path != "/" || c.Domain != "" || !c.HttpOnly ||
			c.SameSite != http.SameSiteLaxMode || c.Secure != secure {
			t.Errorf("Set-Cookie: %s", line)
		}
		delete(lives, c.Name)
	}
	if len(lives) != 0 {
		t.Errorf("status %d did not set %v", a.status, lives)
	}
}
