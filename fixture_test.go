package sallyport_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport"
	"sallyport/mfa"
)

// site is a mature site with users, sessions and a login of its own, behind a Guard.
type site struct {
	t      testing.TB
	guard  *sallyport.Guard
	server *httptest.Server
	store  mfa.Store
	log    *lockedBuffer

	mu       sync.Mutex
	now      time.Time
	sessions map[string]mfa.User // by the value of the cookie "session"
	notices  []sallyport.Notice
	posted   int // forms that reached the site
	logins   []sallyport.Login
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newSite starts a site. Each change may turn its configuration.
func newSite(t testing.TB, changes ...func(*site, *sallyport.Config)) *site {
	t.Helper()
	s := &site{
		t: t, now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), sessions: map[string]mfa.User{}, log: &lockedBuffer{},
	}
	var handler http.Handler
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	s.server.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(s.log, nil), slog.LevelError)
	s.server.StartTLS()
	t.Cleanup(s.server.Close)
	c := sallyport.Config{
		Origin: s.server.URL, Store: mfa.NewMemory(), Keys: someKeys(t), User: s.user, Name: "Example",
		Open: []string{"POST /logout", "/login", "/password", "/{$}", "/open/", "/panics"},
		Log:  slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:  s.clock,
		Notify: func(_ context.Context, n sallyport.Notice) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.notices = append(s.notices, n)
			return nil
		},
	}
	for _, change := range changes {
		change(s, &c)
	}
	s.store = c.Store
	guard, err := sallyport.New(c)
	if err != nil {
		t.Fatal(err)
	}
	s.guard = guard
	handler = guard.Protect(s.mux())
	return s
}

func someKeys(t testing.TB) func() ([]mfa.Key, error) {
	key, err := mfa.NewKey(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return func() ([]mfa.Key, error) { return []mfa.Key{key}, nil }
}

func (s *site) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *site) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *site) user(r *http.Request) (mfa.User, error) {
	c, err := r.Cookie("session")
	if err != nil {
		return mfa.User{}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[c.Value], nil
}

func (s *site) mux() http.Handler {
	mux := http.NewServeMux()
	canary := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			u, _ := s.user(r)
			d, ok := sallyport.DecisionFrom(r.Context())
			fmt.Fprintf(w, "canary:%s:%s decided=%v %v", name, u.ID, ok, d.Action)
		}
	}
	mux.HandleFunc("/{$}", canary("front"))
	mux.HandleFunc("/open/", canary("open"))
	mux.HandleFunc("/account", canary("account"))
	mux.HandleFunc("GET /form", canary("form"))
	mux.HandleFunc("POST /form", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.posted++
		s.mu.Unlock()
		canary("form")(w, r)
	})
	require := func(name string, p mfa.Policy) { mux.Handle("/"+name, s.guard.Require(p)(canary(name))) }
	require("vault", mfa.Policy{Factors: 1})
	require("step-up", mfa.Policy{Factors: 1, MaxAge: 5 * time.Minute})
	require("payout", mfa.Policy{Min: mfa.PhishingResistant, MaxAge: 5 * time.Minute})
	require("two", mfa.Policy{Factors: 2})
	mux.HandleFunc("/check", func(w http.ResponseWriter, r *http.Request) {
		if d, ok := s.guard.Check(w, r, mfa.Policy{Factors: 1}); ok {
			fmt.Fprintf(w, "canary:check: %v", d.Reason)
		}
	})
	mux.HandleFunc("/api/", canary("api"))
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		s.signIn(w, mfa.User{ID: r.FormValue("user"), Name: r.FormValue("user"), Email: r.FormValue("user") + "@example.com"})
	})
	mux.HandleFunc("POST /password", func(w http.ResponseWriter, r *http.Request) { // the second factor before a session
		u := mfa.User{ID: r.FormValue("user"), Name: r.FormValue("user"), Email: r.FormValue("user") + "@example.com"}
		s.guard.Challenge(w, r, sallyport.Login{User: u, Back: r.FormValue("next"), Data: r.FormValue("data")})
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("session"); err == nil {
			s.mu.Lock()
			delete(s.sessions, c.Value)
			s.mu.Unlock()
		}
		http.SetCookie(w, &http.Cookie{Name: "session", MaxAge: -1, Path: "/"})
	})
	return mux
}

// signIn starts a session and returns the name of the login.
func (s *site) signIn(w http.ResponseWriter, u mfa.User) string {
	cookie := rand.Text()
	u.Session, u.LoginAt = rand.Text(), s.clock()
	s.mu.Lock()
	s.sessions[cookie] = u
	s.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: "session", Value: cookie, Path: "/", HttpOnly: true, Secure: true})
	return u.Session
}

func (s *site) told() []sallyport.Notice {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]sallyport.Notice(nil), s.notices...)
}

// events returns the kinds of notices, in their order.
func (s *site) events() []mfa.Kind {
	var kinds []mfa.Kind
	for _, n := range s.told() {
		kinds = append(kinds, n.Event.Kind)
	}
	return kinds
}

// browser is one cookie jar that follows no redirect by itself.
type browser struct {
	t      testing.TB
	s      *site
	jar    *cookiejar.Jar
	client *http.Client
	secret string // of the authenticator app that was added last
	codes  []string
}

func (s *site) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	client := s.server.Client()
	copied := *client
	copied.Jar = jar
	copied.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{t: s.t, s: s, jar: jar, client: &copied}
}

// login returns a new browser in which a user is signed in, and nothing more.
func (s *site) login(user string) *browser {
	b := s.browser()
	b.login(user)
	return b
}

func (b *browser) login(user string) {
	b.t.Helper()
	if a := b.post("/login", url.Values{"user": {user}}); a.status != http.StatusOK {
		b.t.Fatalf("login of %s = %d", user, a.status)
	}
}

// answer is a response that was read.
type answer struct {
	status int
	header http.Header
	body   string
	next   string // Location
}

// header is one request header.
type header struct{ name, value string }

func (b *browser) do(method, path, contentType, body string, headers ...header) answer {
	b.t.Helper()
	target := path
	if strings.HasPrefix(path, "/") {
		target = b.s.server.URL + path
	}
	r, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for _, h := range headers {
		if h.name == "Host" {
			r.Host = h.value
			continue
		}
		r.Header.Add(h.name, h.value)
	}
	res, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(text), res.Header.Get("Location")}
}

var (
	navigate   = header{"Sec-Fetch-Mode", "navigate"}
	sameOrigin = header{"Sec-Fetch-Site", "same-origin"}
	acceptJSON = header{"Accept", "application/json"}
)

// get loads a page as a browser does.
func (b *browser) get(path string, headers ...header) answer {
	b.t.Helper()
	return b.do("GET", path, "", "", append([]header{navigate, sameOrigin, {"Accept", "text/html"}}, headers...)...)
}

// post sends a form as a browser does.
func (b *browser) post(path string, form url.Values, headers ...header) answer {
	b.t.Helper()
	return b.do("POST", path, "application/x-www-form-urlencoded", form.Encode(),
		append([]header{navigate, sameOrigin, {"Origin", b.s.server.URL}, {"Accept", "text/html"}}, headers...)...)
}

// call sends a document as an app does that is no browser.
func (b *browser) call(method, path string, body any) (answer, map[string]any) {
	b.t.Helper()
	text := ""
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			b.t.Fatal(err)
		}
		text = string(encoded)
	}
	kind := ""
	if text != "" {
		kind = "application/json"
	}
	a := b.do(method, path, kind, text, acceptJSON)
	doc := map[string]any{}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
		b.t.Fatalf("%s %s = %d, no JSON document: %q", method, path, a.status, a.body)
	}
	return a, doc
}

// isIn reports whether a page is really seen: 200 and its canary.
func (b *browser) isIn(page string) bool {
	b.t.Helper()
	a := b.get("/" + page)
	return a.status == http.StatusOK && strings.Contains(a.body, "canary:"+page+":")
}

func (b *browser) mustBeIn(page string) {
	b.t.Helper()
	if a := b.get("/" + page); a.status != 200 || !strings.Contains(a.body, "canary:"+page+":") {
		b.t.Fatalf("GET /%s = %d to %q, want the page\n%s", page, a.status, a.next, text(a.body))
	}
}

func (b *browser) mustBeOut(page string) {
	b.t.Helper()
	if a := b.get("/" + page); strings.Contains(a.body, "canary:") || a.status == 200 {
		b.t.Fatalf("GET /%s = %d %q, want a detour", page, a.status, a.body)
	}
}

// cookie returns the value of a cookie of the site.
func (b *browser) cookie(name string) string {
	u, _ := url.Parse(b.s.server.URL)
	for _, c := range b.jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (b *browser) setCookie(name, value string) {
	u, _ := url.Parse(b.s.server.URL)
	b.jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: true}})
}

var (
	ticketField = regexp.MustCompile(`name="ticket" value="([^"]*)"`)
	backField   = regexp.MustCompile(`name="back" value="([^"]*)"`)
	secretText  = regexp.MustCompile(`<code aria-labelledby="secret-label">([^<]*)</code>`)
	codeText    = regexp.MustCompile(`<li><code>([^<]*)</code></li>`)
	formAction  = regexp.MustCompile(`<form method="post" action="([^"]*)" data-sallyport-once>`)
	tags        = regexp.MustCompile(`(?s)<style.*?</style>|<[^>]*>|\n\s*\n`)
)

// text is a page without its markup, for messages of tests.
func text(page string) string { return html.UnescapeString(tags.ReplaceAllString(page, " ")) }

func found(re *regexp.Regexp, page string) string {
	m := re.FindStringSubmatch(page)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

// fill sends the form of a page with an answer.
func (b *browser) fill(page answer, reply string, more ...string) answer {
	b.t.Helper()
	action := found(formAction, page.body)
	if action == "" {
		b.t.Fatalf("status %d, no form on the page to %q:\n%s", page.status, page.next, text(page.body))
	}
	form := url.Values{"answer": {reply}}
	if t := found(ticketField, page.body); t != "" {
		form.Set("ticket", t)
	}
	if back := found(backField, page.body); back != "" {
		form.Set("back", back)
	}
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return b.post(action, form)
}

// follow loads where an answer leads, until it leads no further.
func (b *browser) follow(a answer) answer {
	b.t.Helper()
	for range 10 {
		if a.status != http.StatusSeeOther {
			return a
		}
		a = b.get(a.next)
	}
	b.t.Fatalf("a circle of redirects, now to %q", a.next)
	return a
}

// enroll adds an authenticator app, and recovery codes if they are asked for.
func (b *browser) enroll() {
	b.t.Helper()
	page := b.follow(b.get("/mfa/enroll/totp"))
	b.secret = strings.ReplaceAll(found(secretText, page.body), " ", "")
	a := b.fill(page, b.code(0))
	if a.status != http.StatusSeeOther {
		b.t.Fatalf("enrolling an app = %d\n%s", a.status, text(a.body))
	}
	if strings.HasPrefix(a.next, "/mfa/enroll/recovery") {
		b.saveCodes(b.get(a.next))
	}
}

func (b *browser) saveCodes(page answer) {
	b.t.Helper()
	b.codes = nil
	for _, m := range codeText.FindAllStringSubmatch(page.body, -1) {
		b.codes = append(b.codes, m[1])
	}
	if len(b.codes) == 0 {
		b.t.Fatalf("status %d, no recovery codes on the page to %q\n%s", page.status, page.next, text(page.body))
	}
	if a := b.fill(page, b.codes[0]); a.status != http.StatusSeeOther {
		b.t.Fatalf("confirming recovery codes = %d\n%s", a.status, text(a.body))
	}
}

// code is what the authenticator app shows at a step from now: RFC 6238 with SHA-1, 30 seconds and 6 digits.
func (b *browser) code(step int) string {
	b.t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(b.secret)
	if err != nil || len(key) == 0 {
		b.t.Fatalf("the secret %q is no base32", b.secret)
	}
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(b.s.clock().Unix()/30+int64(step)))
	h := hmac.New(sha1.New, key)
	h.Write(counter[:])
	sum := h.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[at:])&0x7fffffff)%1_000_000)
}

// wrong is a code that is right at no step near now.
func (b *browser) wrong() string {
	near := map[string]bool{}
	for step := -3; step <= 3; step++ {
		near[b.code(step)] = true
	}
	for n := range 100 {
		if c := fmt.Sprintf("%06d", n); !near[c] {
			return c
		}
	}
	return ""
}

// prove waits for the app's next code and confirms with it.
func (b *browser) prove() {
	b.t.Helper()
	b.s.advance(30 * time.Second)
	if a := b.fill(b.get("/mfa/verify"), b.code(0)); a.status != http.StatusSeeOther {
		b.t.Fatalf("the right code = %d\n%s", a.status, text(a.body))
	}
}

// enrolled returns a browser whose user has an app and recovery codes, proved.
func (s *site) enrolled(user string) *browser {
	b := s.login(user)
	b.enroll()
	return b
}

// again returns another browser of the same user, signed in with the password alone.
func (b *browser) again(user string) *browser {
	other := b.s.login(user)
	other.secret, other.codes = b.secret, b.codes
	return other
}
