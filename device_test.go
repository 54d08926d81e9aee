package sallyport_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/mfa"
)

const deviceCookie = "__Host-sallyport-device"

// remembering lets browsers be remembered for 30 days, by all pages but those of the fixture that ask for more.
func remembering(_ *site, c *sallyport.Config) {
	c.Remember = mfa.MaxRemember
	c.Policy = func(*http.Request) (mfa.Policy, error) { return mfa.Policy{Remembered: true}, nil }
}

// trusted returns a browser that is remembered, whose user has signed in again with the password alone.
func (s *site) trusted(user string) *browser {
	b := s.enrolled(user)
	b = b.again(user)
	b.trust()
	b.login(user)
	return b
}

// trust proves a code and ticks the box.
func (b *browser) trust() {
	b.t.Helper()
	b.s.advance(30 * time.Second)
	page := b.get("/mfa/verify/totp")
	if !strings.Contains(page.body, `name="remember"`) || !strings.Contains(page.body, "30 days") {
		b.t.Fatalf("the page has no box for 30 days:\n%s", text(page.body))
	}
	if a := b.fill(page, b.code(0), "remember", "true"); a.status != http.StatusSeeOther ||
		b.cookie(deviceCookie) == "" {
		b.t.Fatalf("the right code with the box ticked = %d\n%s", a.status, text(a.body))
	}
}

func TestARememberedBrowserIsNotAsked(t *testing.T) {
	s := newSite(t, remembering)
	b := s.trusted("alice")
	b.mustBeIn("account")
	b.mustBeOut("vault") // which says nothing of remembered browsers
	other := b.again("alice")
	other.mustBeOut("account")
	if kinds := s.events(); kinds[len(kinds)-1] != mfa.BrowserAdded && kinds[len(kinds)-2] != mfa.BrowserAdded {
		t.Errorf("the user is told of %v, want of the browser", kinds)
	}
	plain := newSite(t)
	if page := plain.enrolled("bob").again("bob").get("/mfa/verify/totp"); strings.Contains(page.body, "remember") {
		t.Error("a site without Config.Remember offers the box")
	}
}

func TestABrowserIsRememberedOnlyIfTheBoxIsTicked(t *testing.T) {
	s := newSite(t, remembering)
	b := s.enrolled("alice")
	b = b.again("alice")
	b.prove()
	if b.cookie(deviceCookie) != "" {
		t.Error("a browser is remembered without being asked")
	}
	b.login("alice")
	b.mustBeOut("account")
	if a := b.recover(b.codes[1]); a.status != http.StatusSeeOther {
		t.Fatalf("a recovery code = %d", a.status)
	}
	page := b.again("alice").get("/mfa/verify/recovery")
	if strings.Contains(page.body, `name="remember"`) {
		t.Error("the page of recovery codes offers the box")
	}
	again := b.again("alice")
	if a := again.fill(page, b.codes[2], "remember", "true"); again.cookie(deviceCookie) != "" {
		t.Errorf("a recovery code made a remembered browser: %d", a.status)
	}
}

func TestABrowserIsRememberedInJSON(t *testing.T) {
	s := newSite(t, remembering)
	b := s.enrolled("alice")
	s.advance(30 * time.Second)
	b = b.again("alice")
	_, begun := b.call("POST", "/mfa/verify/totp/begin", nil)
	if a, _ := b.call("POST", "/mfa/verify/totp", map[string]any{"ticket": begun["ticket"], "answer": b.code(0),
		"remember": true}); a.status != 200 {
		t.Fatalf("the right code = %d", a.status)
	}
	_, home := b.call("GET", "/mfa/", nil)
	list, _ := home["browsers"].([]any)
	if len(list) != 1 {
		t.Fatalf("browsers = %v, want one", home["browsers"])
	}
	one, _ := list[0].(map[string]any)
	if until := s.clock().Add(mfa.MaxRemember).Format(time.RFC3339); one["this"] != true || one["until"] != until {
		t.Errorf("the browser is %v, want this one until %s", one, until)
	}
	id, _ := one["id"].(string)
	if a, doc := b.call("POST", "/mfa/browsers/"+id+"/rename",
		map[string]string{"label": "Kitchen"}); a.status != 200 || !strings.Contains(a.body, "Kitchen") {
		t.Errorf("renaming = %d %v", a.status, doc)
	}
	if a, doc := b.call("POST", "/mfa/browsers/"+id+"/forget", nil); a.status != 200 ||
		len(doc["browsers"].([]any)) != 0 {
		t.Errorf("forgetting = %d %v", a.status, doc)
	}
	if a, _ := b.call("POST", "/mfa/browsers/"+id+"/forget", nil); a.status != http.StatusNotFound {
		t.Errorf("forgetting again = %d, want 404", a.status)
	}
}

func TestTD1_WhatEndsARememberedBrowser(t *testing.T) {
	s := newSite(t, remembering)
	ctx := t.Context()
	proved := func(user, secret string) *browser {
		b := s.login(user)
		b.secret = secret
		b.prove()
		return b
	}
	for name, end := range map[string]func(b *browser, user string) error{
		"nothing": nil,
		"a new password": func(b *browser, user string) error {
			s.tell(nil, func(w http.ResponseWriter, r *http.Request) error {
				return s.guard.PasswordChanged(w, r, mfa.User{ID: user})
			})
			return nil
		},
		"a new address": func(b *browser, user string) error {
			s.tell(nil, func(w http.ResponseWriter, r *http.Request) error {
				return s.guard.AddressChanged(w, r, mfa.User{ID: user}, mfa.User{ID: user})
			})
			return nil
		},
		"sessions ended by the site": func(b *browser, user string) error {
			return s.guard.EndSessions(ctx,
				mfa.User{ID: user}, "test")
		},
		"another browser's end of sessions": func(b *browser, user string) error {
			proved(user, b.secret).post("/mfa/sessions/end", nil)
			return nil
		},
		"all browsers forgotten": func(b *browser, user string) error {
			proved(user, b.secret).post("/mfa/browsers/forget", nil)
			return nil
		},
		"a factor added": func(b *browser, user string) error {
			owner := proved(user, b.secret)
			page := owner.get("/mfa/enroll/totp")
			owner.secret = secretOf(page)
			owner.fill(page, owner.code(0))
			return nil
		},
		"a factor removed": func(b *browser, user string) error {
			owner := proved(user, b.secret)
			owner.post("/mfa/factors/"+owner.factor("recovery")+"/remove", nil)
			return nil
		},
		"a recovery code used": func(b *browser, user string) error {
			owner := s.login(user)
			owner.recover(b.codes[1])
			return nil
		},
	} {
		user := strings.ReplaceAll(name, " ", "-")
		b := s.trusted(user)
		if !b.isIn("account") {
			t.Errorf("%s: the browser is asked before", name)
		}
		if end != nil {
			if err := end(b, user); err != nil {
				t.Fatal(err)
			}
		}
		s.advance(2 * time.Second)
		if got := b.isIn("account"); got != (end == nil) {
			t.Errorf("after %s the session that a remembered browser opened is in = %v", name, got)
		}
		b.login(user)
		if got := b.isIn("account"); got != (end == nil) {
			t.Errorf("after %s a new login of the browser is in = %v", name, got)
		}
	}
}

func TestTD2_TheCookieOfAnotherUser(t *testing.T) {
	s := newSite(t, remembering)
	alice, bob := s.trusted("alice"), s.enrolled("bob")
	alice.mustBeIn("account")
	thief := bob.again("bob")
	thief.setCookie(deviceCookie, alice.cookie(deviceCookie))
	thief.mustBeOut("account")
	// On one browser both may be remembered.
	alice.secret = bob.secret
	alice.login("bob")
	alice.mustBeOut("account")
	alice.trust()
	for _, user := range []string{"alice", "bob", "alice"} {
		alice.login(user)
		if a := alice.get("/account"); !strings.Contains(a.body, "canary:account:"+user) {
			t.Errorf("GET /account of %s = %d %q", user, a.status, a.body)
		}
	}
}

func TestTD4_ARememberedBrowserEndsOnTheServersClock(t *testing.T) {
	for life, want := range map[time.Duration]bool{mfa.MaxRemember - time.Minute: true, mfa.MaxRemember: false} {
		s := newSite(t, remembering)
		b := s.trusted("alice")
		kept := b.cookie(deviceCookie)
		s.advance(life)
		b.setCookie(deviceCookie, kept)
		b.login("alice")
		if got := b.isIn("account"); got != want {
			t.Errorf("a browser remembered for %v is in = %v, want %v", life, got, want)
		}
	}
}

func TestTD5_ARememberedBrowserChangesNothing(t *testing.T) {
	s := newSite(t, remembering)
	b := s.trusted("alice")
	b.mustBeIn("account")
	for _, page := range []string{"vault", "step-up", "payout", "check"} {
		b.mustBeOut(page)
	}
	for _, path := range []string{"/mfa/", "/mfa/enroll/totp", "/mfa/enroll/recovery", "/mfa/sessions/end",
		"/mfa/recovered"} {
		if a := b.get(path); a.status != http.StatusSeeOther || !strings.HasPrefix(a.next, "/mfa/verify") {
			t.Errorf("GET %s = %d to %q, want the way to a proof", path, a.status, a.next)
		}
	}
	for _, path := range []string{"/mfa/enroll/totp/begin", "/mfa/sessions/end", "/mfa/browsers/forget"} {
		if a, _ := b.call("POST", path, map[string]string{}); a.status != http.StatusUnauthorized {
			t.Errorf("POST %s = %d, want 401", path, a.status)
		}
	}
	b.prove()
	b.mustBeIn("vault")
}

func TestTD7_ABrowserThatIsForgottenIsAskedAtOnceOnAllNodes(t *testing.T) {
	s := newNodes(t, 2, memoryStore(), remembering)
	b := s.trusted("alice")
	b.mustBeIn("account")
	owner := b.again("alice")
	owner.prove()
	page := owner.get("/mfa/")
	link := found(browserLink, page.body)
	ask := owner.get(link + "forget")
	if !strings.Contains(ask.body, "You will be asked again") {
		t.Fatalf("GET %sforget = %d\n%s", link, ask.status, text(ask.body))
	}
	if a := owner.post(found(formAction, ask.body), nil); a.status != http.StatusSeeOther || a.next != "/mfa/" {
		t.Fatalf("forgetting = %d to %q", a.status, a.next)
	}
	s.advance(time.Second) // a cached account may allow for as long
	for range 4 {
		b.mustBeOut("account")
	}
	b.login("alice")
	b.mustBeOut("account")
	if page := owner.get("/mfa/"); browserLink.MatchString(page.body) {
		t.Error("it is still in the list")
	}
}

func TestACopyOfARememberedBrowserIsNoticed(t *testing.T) {
	s := newSite(t, remembering)
	b := s.trusted("alice")
	copied := b.cookie(deviceCookie)
	b.mustBeIn("account")
	b.login("alice")
	b.mustBeIn("account")
	s.advance(time.Minute)
	thief := s.login("alice")
	thief.setCookie(deviceCookie, copied)
	thief.mustBeOut("account")
	if kinds := s.events(); kinds[len(kinds)-1] != mfa.BrowserStolen {
		t.Errorf("the user is told of %v, want of the copy", kinds)
	}
	s.advance(time.Second)
	b.login("alice")
	b.mustBeOut("account")
}

func TestARememberedBrowserIsRotatedByNavigationsAlone(t *testing.T) {
	s := newSite(t, remembering)
	b := s.trusted("alice")
	before := b.cookie(deviceCookie)
	b.do("GET", "/account", "", "", header{"Sec-Fetch-Mode", "cors"}, sameOrigin)
	b.post("/form", nil)
	if b.cookie(deviceCookie) != before {
		t.Error("a request that is no navigation changes the token")
	}
	b.mustBeIn("account")
	if b.cookie(deviceCookie) == before {
		t.Error("the first navigation of a login does not change the token")
	}
	kept := b.cookie(deviceCookie)
	b.mustBeIn("account")
	if b.cookie(deviceCookie) != kept {
		t.Error("the second one does")
	}
}

func TestARememberedBrowserSpeaksForALoginBeforeTheSession(t *testing.T) {
	s := newSite(t, challenging, remembering)
	b := s.trusted("alice")
	b.post("/logout", nil)
	a := b.password("alice")
	if a.status != http.StatusSeeOther || a.next != "/account?a=b&c=d" || len(s.logins) != 1 {
		t.Fatalf("the password on a remembered browser = %d to %q and %d sessions", a.status, a.next, len(s.logins))
	}
	b.mustBeIn("account")
	b.mustBeOut("vault")
	if a := b.again("alice").password("alice"); !strings.HasPrefix(a.next, "/mfa/verify") {
		t.Errorf("the password on another browser = %d to %q, want the way to a proof", a.status, a.next)
	}
}

func TestABrowserIsNamedAfterItsUserAgent(t *testing.T) {
	s := newSite(t, remembering)
	owner := s.enrolled("alice")
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": "Firefox on Linux",
		`<script>alert(1)</script>`: "A browser",
		"":                          "A browser",
		strings.Repeat("x", 900):    "A browser",
	} {
		b := owner.again("alice")
		s.advance(30 * time.Second)
		page := b.get("/mfa/verify/totp")
		action, ticket := found(formAction, page.body), found(ticketField, page.body)
		b.do("POST", action, "application/json", mustJSON(t, map[string]any{"ticket": ticket, "answer": b.code(0),
			"remember": true}),
			header{"User-Agent", agent}, acceptJSON)
		home := b.get("/mfa/")
		if names := browserNames.FindAllStringSubmatch(home.body, -1); len(names) == 0 || names[len(names)-1][1] != want {
			t.Errorf("the browser %q is called %q, want %q", agent, names, want)
		}
	}
}

var browserNames = regexp.MustCompile(`aria-label="Rename ([^"]*)">[^<]*</a>\s*<a class="danger" href="/mfa/browsers`)
