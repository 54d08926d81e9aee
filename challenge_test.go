package sallyport_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/mfa"
)

// challenging has the site make its sessions after the second factor, for who comes by POST /password.
func challenging(s *site, c *sallyport.Config) {
	c.SignIn = func(w http.ResponseWriter, r *http.Request, l sallyport.Login) (string, error) {
		s.mu.Lock()
		s.logins = append(s.logins, l)
		s.mu.Unlock()
		return s.signIn(w, l.User), nil
	}
}

// everybody asks users without a factor to enroll one.
func everybody(_ *site, c *sallyport.Config) {
	c.Policy = func(*http.Request) (mfa.Policy, error) { return mfa.Policy{Factors: 1}, nil }
}

// twice asks for two factors.
func twice(_ *site, c *sallyport.Config) {
	c.Policy = func(*http.Request) (mfa.Policy, error) { return mfa.Policy{Factors: 2}, nil }
}

const pendingCookie = "__Host-sallyport-pending"

// password types a right password where the second factor comes before the session.
func (b *browser) password(user string, more ...string) answer {
	b.t.Helper()
	form := url.Values{"user": {user}, "next": {"/account?a=b&c=d"}}
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return b.post("/password", form)
}

// pendingLogin returns a browser that holds a login of somebody who is enrolled, and the page that asks.
func (b *browser) pendingLogin(user string) (*browser, answer) {
	b.t.Helper()
	other := b.s.browser()
	other.secret, other.codes = b.secret, b.codes
	b.s.advance(30 * time.Second)
	a := other.password(user)
	if a.status != http.StatusSeeOther || !strings.HasPrefix(a.next, "/mfa/verify?") {
		b.t.Fatalf("the password of %s = %d to %q, want the way to a proof\n%s", user, a.status, a.next, text(a.body))
	}
	return other, other.get(a.next)
}

func TestALoginIsProvedBeforeThereIsASession(t *testing.T) {
	s := newSite(t, challenging)
	owner := s.enrolled("alice")
	b, page := owner.pendingLogin("alice")
	if b.cookie("session") != "" || len(s.logins) != 0 {
		t.Fatalf("the password alone made a session: %+v", s.logins)
	}
	page = b.fill(page, b.wrong())
	if page.status != http.StatusUnprocessableEntity || len(s.logins) != 0 {
		t.Fatalf("a wrong code = %d and %d sessions, want 422 and none", page.status, len(s.logins))
	}
	a := b.fill(page, b.code(0))
	if a.status != http.StatusSeeOther || a.next != "/account?a=b&c=d" {
		t.Fatalf("the right code = %d to %q\n%s", a.status, a.next, text(a.body))
	}
	b.mustBeIn("vault")
	b.mustBeIn("step-up")
	if b.cookie(pendingCookie) != "" {
		t.Error("the login is still pending")
	}
	if l := s.logins[0]; len(s.logins) != 1 || l.User.ID != "alice" || l.User.Email != "alice@example.com" ||
		l.User.Session != "" || l.Back != "/account?a=b&c=d" {
		t.Errorf("Config.SignIn was called with %+v", s.logins)
	}
}

func TestALoginIsProvedInJSONBeforeThereIsASession(t *testing.T) {
	s := newSite(t, challenging)
	owner := s.enrolled("alice")
	s.advance(30 * time.Second)
	b := s.browser()
	form := url.Values{"user": {"alice"}, "next": {"/vault"}, "data": {"long"}}.Encode()
	a := b.do("POST", "/password", "application/x-www-form-urlencoded", form, acceptJSON)
	if a.status != http.StatusUnauthorized || !strings.Contains(a.body, `"url":"/mfa/verify?`) ||
		!strings.Contains(a.body, `"totp"`) {
		t.Fatalf("the password = %d %s, want 401 with the way and the methods", a.status, a.body)
	}
	_, begun := b.call("POST", "/mfa/verify/totp/begin", nil)
	a, done := b.call("POST", "/mfa/verify/totp", map[string]any{"ticket": begun["ticket"], "answer": owner.code(0)})
	if a.status != http.StatusOK || done["next"] != "/vault" {
		t.Fatalf("the right code = %d %v", a.status, done)
	}
	b.mustBeIn("vault")
	if s.logins[0].Data != "long" {
		t.Errorf("Login.Data is %q, want what it was given", s.logins[0].Data)
	}
}

func TestAChallengeLetsThoseWithoutFactorsPass(t *testing.T) {
	s := newSite(t, challenging)
	b := s.browser()
	if a := b.password("alice"); a.status != http.StatusSeeOther || a.next != "/account?a=b&c=d" {
		t.Fatalf("the password = %d to %q, want the way back", a.status, a.next)
	}
	b.mustBeIn("account")
	b.mustBeOut("vault")
}

func TestAChallengeEnrollsWhereThePolicyAsks(t *testing.T) {
	s := newSite(t, challenging, everybody)
	b := s.browser()
	a := b.password("alice")
	if a.status != http.StatusSeeOther || !strings.HasPrefix(a.next, "/mfa/enroll?") || len(s.logins) != 0 {
		t.Fatalf("the password = %d to %q, want the way to an enrollment", a.status, a.next)
	}
	page := b.follow(a)
	b.secret = secretOf(page)
	a = b.fill(page, b.code(0))
	if a.status != http.StatusSeeOther || !strings.HasPrefix(a.next, "/mfa/enroll/recovery") || len(s.logins) != 1 {
		t.Fatalf("the enrollment = %d to %q and %d sessions\n%s", a.status, a.next, len(s.logins), text(a.body))
	}
	b.saveCodes(b.get(a.next))
	b.mustBeIn("vault")
}

func TestAChallengeOfTwoFactorsAsksForBoth(t *testing.T) {
	s := newSite(t, challenging, twice)
	owner := s.enrolled("alice")
	b, page := owner.pendingLogin("alice")
	a := b.fill(page, b.code(0))
	if len(s.logins) != 0 || !strings.HasPrefix(a.next, "/mfa/verify") {
		t.Fatalf("one of two factors made %d sessions and led to %q", len(s.logins), a.next)
	}
	b.mustBeOut("vault")
	page = b.follow(a)
	if found(formAction, page.body) != "/mfa/verify/recovery" {
		t.Fatalf("the second page asks by %q, want what is left", found(formAction, page.body))
	}
	if a = b.fill(page, b.codes[1]); len(s.logins) != 1 {
		t.Fatalf("both factors = %d to %q\n%s", a.status, a.next, text(a.body))
	}
	b.mustBeIn("vault")

	b, page = owner.pendingLogin("alice")
	a = b.recover(b.codes[2]) // in the other order
	page = b.follow(a)
	if a = b.fill(page, b.code(0)); len(s.logins) != 2 {
		t.Fatalf("both factors, the code first = %d to %q\n%s", a.status, a.next, text(a.body))
	}
	b.mustBeIn("vault")
}

func TestDOOR1_APendingLoginReachesNothingButTheDoor(t *testing.T) {
	s := newSite(t, challenging)
	owner := s.enrolled("alice")
	owner.mustBeIn("vault")
	if home := owner.get("/mfa/"); home.status != http.StatusOK {
		t.Fatalf("GET /mfa/ of a proved browser = %d", home.status)
	}
	id := owner.factor("totp")
	b, _ := owner.pendingLogin("alice")
	for _, p := range protectedPages {
		if a := b.get(p); strings.Contains(a.body, "canary") && strings.Contains(a.body, ":alice") {
			t.Errorf("GET %s of a pending login = %d %q", p, a.status, a.body)
		}
	}
	places := []string{"", "status", "recovered", "confirmed", "factors/" + id + "/rename",
		"factors/" + id + "/remove", "sessions/end",
		"browsers/x/rename"}
	for _, place := range places {
		if a := b.get("/mfa/" + place); a.status != http.StatusSeeOther || !strings.HasPrefix(a.next, "/login") {
			t.Errorf("GET /mfa/%s of a pending login = %d to %q, want the sign-in page", place, a.status, a.next)
		}
	}
	for _, place := range []string{"factors/" + id + "/remove", "factors/" + id + "/pause", "sessions/end",
		"browsers/forget", "couriers/email/mute"} {
		if a, _ := b.call("POST", "/mfa/"+place, map[string]string{}); a.status != http.StatusUnauthorized {
			t.Errorf("POST /mfa/%s of a pending login = %d, want 401", place, a.status)
		}
	}
	owner.mustBeIn("vault")
}

func TestSTEP1_APendingLoginEnrollsNothingBesideAFactor(t *testing.T) {
	s := newSite(t, challenging)
	owner := s.enrolled("alice")
	b, _ := owner.pendingLogin("alice")
	for _, method := range []string{"totp", "recovery"} {
		if a := b.get("/mfa/enroll/" + method); a.status != http.StatusSeeOther ||
			!strings.HasPrefix(a.next, "/mfa/verify") {
			t.Errorf("GET enroll/%s of a pending login = %d to %q, want the way to a proof", method, a.status, a.next)
		}
		if a, doc := b.call("POST", "/mfa/enroll/"+method+"/begin", nil); a.status != http.StatusUnauthorized ||
			doc["ticket"] != nil {
			t.Errorf("begin of %s by a pending login = %d %v, want 401", method, a.status, doc)
		}
	}
	if n := len(owner.factors()); n != 2 {
		t.Errorf("the account has %d factors, want 2", n)
	}
}

func TestSTEP1_APendingLoginAddsNoFactorBeforeTheCodeThatIsSent(t *testing.T) {
	d := newSending(t, challenging)
	b := d.browser()
	page := b.get(b.password("alice").next)
	if a := b.get("/mfa/enroll/totp"); a.status != http.StatusSeeOther || !strings.HasPrefix(a.next, "/mfa/verify") {
		t.Fatalf("GET enroll/totp with the password alone = %d to %q, want the way to a code", a.status, a.next)
	}
	if a, doc := b.call("POST", "/mfa/enroll/totp/begin", nil); a.status != http.StatusUnauthorized ||
		doc["ticket"] != nil {
		t.Fatalf("begin with the password alone = %d %v, want 401", a.status, doc)
	}
	page = b.post(found(formAction, page.body), url.Values{"back": {found(backField, page.body)}})
	b.fill(page, d.mail.last(t).Code)
	b.mustBeIn("account")
	b.enroll()
	b.mustBeIn("vault")
}

func TestDOOR3_TheDoorOfALoginIsForItsOwnBrowser(t *testing.T) {
	s := newSite(t, challenging)
	owner := s.enrolled("alice")
	b, page := owner.pendingLogin("alice")
	stranger := s.browser()
	if a := stranger.fill(page, owner.code(0)); a.status == http.StatusOK || stranger.cookie("session") != "" {
		t.Errorf("a stranger who sends the form = %d to %q", a.status, a.next)
	}
	bob := s.enrolled("bob")
	eve, _ := bob.pendingLogin("bob")
	s.advance(30 * time.Second)
	eve.fill(page, owner.code(0)) // alice's ticket and code
	if eve.cookie("session") != "" {
		t.Error("the ticket of another's pending login makes a session")
	}
	other, _ := owner.pendingLogin("alice")
	other.fill(page, owner.code(0))
	if other.cookie("session") != "" {
		t.Error("the ticket of another pending login of the same user makes a session")
	}
	s.advance(30 * time.Second)
	b.fill(page, b.code(0))
	b.mustBeIn("vault")
}

func TestFIX1_ASessionIsNewAfterAChallenge(t *testing.T) {
	s := newSite(t, challenging)
	owner := s.enrolled("alice")
	b, page := owner.pendingLogin("alice")
	b.setCookie("session", "planted")
	pending := b.cookie(pendingCookie)
	b.fill(page, b.code(0))
	b.mustBeIn("vault")
	first := b.cookie("session")
	if first == "planted" || first == "" {
		t.Fatalf("the session is %q, want a new one", first)
	}
	// What the browser held on the way opens nothing.
	thief := s.browser()
	thief.setCookie(pendingCookie, pending)
	thief.setCookie("__Host-sallyport", b.cookie("__Host-sallyport"))
	if a := thief.get("/vault"); strings.Contains(a.body, "canary") {
		t.Error("the cookies of the login open the site without its session")
	}
	// And what it proved is worth nothing in another session.
	second := b.again("alice")
	second.setCookie("__Host-sallyport", b.cookie("__Host-sallyport"))
	second.mustBeOut("vault")
}

func TestFIX4_ANewPasswordEndsALoginThatIsPending(t *testing.T) {
	for name, change := range map[string]func(*site) error{
		"a new password": func(s *site) error {
			s.tell(nil, changes(s.guard)["a new password"])
			return nil
		},
		"ended sessions": func(s *site) error { return s.guard.EndSessions(t.Context(), mfa.User{ID: "alice"}, "test") },
		"an erased user": func(s *site) error { return s.guard.Erase(t.Context(), "alice", "test") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, challenging)
			owner := s.enrolled("alice")
			b, page := owner.pendingLogin("alice")
			if err := change(s); err != nil {
				t.Fatal(err)
			}
			b.fill(page, b.code(0))
			if a := b.get("/mfa/verify"); a.status != http.StatusSeeOther || !strings.HasPrefix(a.next, "/login") {
				t.Errorf("GET /mfa/verify afterwards = %d to %q, want the sign-in page", a.status, a.next)
			}
			if b.cookie("session") != "" || len(s.logins) != 0 {
				t.Error("who knew the old password is signed in")
			}
		})
	}
}

func TestAPendingLoginLastsTenMinutes(t *testing.T) {
	for life, want := range map[time.Duration]bool{9*time.Minute + 29*time.Second: true, 10 * time.Minute: false} {
		s := newSite(t, challenging)
		owner := s.enrolled("alice")
		b, _ := owner.pendingLogin("alice")
		kept := b.cookie(pendingCookie)
		s.advance(life)
		b.setCookie(pendingCookie, kept) // whatever its own expiry says
		a := b.get("/mfa/verify")
		if want {
			a = b.fill(a, b.code(0))
		}
		if got := b.isIn("vault"); got != want || !want && !strings.HasPrefix(a.next, "/login") {
			t.Errorf("a login pending for %v gets in = %v by way of %q, want %v", life, got, a.next, want)
		}
	}
}

func TestTwoTabsOfOneLogin(t *testing.T) {
	s := newSite(t, challenging)
	owner := s.enrolled("alice")
	b, first := owner.pendingLogin("alice")
	second := b.get("/mfa/verify")
	b.fill(second, b.code(0))
	b.mustBeIn("vault")
	s.advance(30 * time.Second)
	if a := b.fill(first, b.code(0)); b.follow(a).status >= 500 || len(s.logins) != 1 {
		t.Errorf("the other tab = %d to %q and %d sessions, want one", a.status, a.next, len(s.logins))
	}
	b.mustBeIn("vault")
}

func TestAnotherUserTakesThePlaceOfAPendingLogin(t *testing.T) {
	s := newSite(t, challenging)
	alice, bob := s.enrolled("alice"), s.enrolled("bob")
	b, page := alice.pendingLogin("alice")
	a := b.password("bob")
	s.advance(30 * time.Second)
	b.fill(page, alice.code(0)) // the first tab
	if b.cookie("session") != "" {
		t.Error("the login that was given up makes a session")
	}
	s.advance(30 * time.Second)
	if a = b.fill(b.get(a.next), bob.code(0)); a.status != http.StatusSeeOther || s.logins[0].User.ID != "bob" {
		t.Fatalf("the second login = %d, sessions %+v", a.status, s.logins)
	}
	if a := b.get("/vault"); !strings.Contains(a.body, "canary:vault:bob") {
		t.Errorf("GET /vault = %d %q, want bob's", a.status, a.body)
	}
}

func TestASessionThatGoesOnEndsAPendingLogin(t *testing.T) {
	s := newSite(t, challenging)
	alice, bob := s.enrolled("alice"), s.enrolled("bob")
	b := alice.again("alice")
	b.password("bob")
	if page := b.get("/mfa/verify"); !strings.Contains(page.body, "Signed in as bob") {
		t.Fatalf("the door is not that of the pending login:\n%s", text(page.body))
	}
	page := b.follow(b.get("/vault")) // back to the session of alice
	if !strings.Contains(page.body, "Signed in as alice") || b.cookie(pendingCookie) != "" {
		t.Fatalf("the door is not that of the session:\n%s", text(page.body))
	}
	s.advance(30 * time.Second)
	b.fill(page, alice.code(0))
	if a := b.get("/vault"); !strings.Contains(a.body, "canary:vault:alice") || len(s.logins) != 0 {
		t.Errorf("GET /vault = %d %q", a.status, a.body)
	}
	_ = bob
}

func TestAPendingLoginIsGivenUp(t *testing.T) {
	s := newSite(t, challenging)
	owner := s.enrolled("alice")
	b, page := owner.pendingLogin("alice")
	if !strings.Contains(page.body, `action="/mfa/cancel"`) {
		t.Fatalf("the page offers no way to sign in as somebody else:\n%s", text(page.body))
	}
	if strings.Contains(owner.get("/mfa/").body, `action="/mfa/cancel"`) {
		t.Error("a session is offered to give up a login")
	}
	if a := b.do("POST", "/mfa/cancel", "", "", header{"Sec-Fetch-Site",
		"cross-site"}); a.status != http.StatusForbidden {
		t.Errorf("giving up from another origin = %d, want 403", a.status)
	}
	if a := b.post("/mfa/cancel", nil); a.status != http.StatusSeeOther || a.next != "/login" ||
		b.cookie(pendingCookie) != "" {
		t.Errorf("giving up = %d to %q", a.status, a.next)
	}
	b.fill(page, b.code(0))
	if b.cookie("session") != "" {
		t.Error("the login goes on")
	}
}

func TestFAIL1_ASiteThatMakesNoSessionSignsNobodyIn(t *testing.T) {
	for name, signIn := range map[string]func(http.ResponseWriter, *http.Request, sallyport.Login) (string, error){
		"an error": func(http.ResponseWriter, *http.Request, sallyport.Login) (string, error) {
			return "x", errors.New("no")
		},
		"no name": func(http.ResponseWriter, *http.Request, sallyport.Login) (string, error) { return "", nil },
		"a panic": func(http.ResponseWriter, *http.Request, sallyport.Login) (string, error) { panic("a bug") },
		"an answer of its": func(w http.ResponseWriter, _ *http.Request, _ sallyport.Login) (string, error) {
			w.Write(nil)
			return "x", nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, challenging, func(_ *site, c *sallyport.Config) { c.SignIn = signIn })
			owner := s.enrolled("alice")
			b, page := owner.pendingLogin("alice")
			if a := b.fill(page, b.code(0)); a.status < 500 || b.cookie("__Host-sallyport") != "" {
				t.Errorf("the right code = %d, and the assurance %q", a.status, b.cookie("__Host-sallyport"))
			}
			b.mustBeOut("vault")
		})
	}
}

func TestAChallengeThatCannotBeHeldIsRefused(t *testing.T) {
	s := newSite(t, challenging)
	s.enrolled("alice")
	b := s.browser()
	if a := b.password("alice", "data", strings.Repeat("x", 4000)); a.status < 500 || b.cookie(pendingCookie) != "" {
		t.Errorf("4,000 bytes of Data = %d, want an error", a.status)
	}
	if a := b.password(""); a.status < 500 || len(s.logins) != 0 {
		t.Errorf("nobody's password = %d, want an error", a.status)
	}
	without := newSite(t)
	if a := without.browser().password("alice"); a.status < 500 {
		t.Errorf("a challenge without Config.SignIn = %d, want an error", a.status)
	}
	if log := without.log.String(); !strings.Contains(log, "Config.SignIn") {
		t.Error("the log does not say what is missing")
	}
}

func TestCOOK1_TheCookiesOfLoginsAndBrowsers(t *testing.T) {
	s := newSite(t, challenging, remembering)
	owner := s.enrolled("alice")
	s.advance(30 * time.Second)
	b := s.browser()
	headers := []http.Header{b.password("alice", "data", strings.Repeat("d", 1000)).header}
	headers = append(headers, b.fill(b.get("/mfa/verify"), owner.code(0), "remember", "true").header)
	var names []string
	for _, h := range headers {
		for _, c := range (&http.Response{Header: h}).Cookies() {
			if !strings.Contains(c.Name, "sallyport") {
				continue
			}
			names = append(names, c.Name)
			if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" ||
				c.SameSite != http.SameSiteLaxMode || len(c.Name)+len(c.Value) > 4096 {
				t.Errorf("the cookie is set as %q", c.Raw)
			}
		}
	}
	for _, want := range []string{pendingCookie, deviceCookie, "__Host-sallyport", "__Host-sallyport-known"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not among the cookies %v", want, names)
		}
	}
}
