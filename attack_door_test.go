package sallyport_test

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/mfa"
)

// protectedPages are the pages of the fixture that ask for a proof, whatever their method.
var protectedPages = []string{"/account", "/form", "/vault", "/step-up", "/payout", "/two", "/check", "/api/list"}

// lenient is a router that reads paths as generously as the most generous one that may stand behind a guard.
func lenient(site http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := r.URL.Path
		if again, err := url.PathUnescape(p); err == nil {
			p = again
		}
		p = strings.ReplaceAll(p, `\`, "/")
		segments := strings.Split(p, "/")
		for i, s := range segments {
			segments[i], _, _ = strings.Cut(s, ";")
		}
		p, _, _ = strings.Cut(strings.Join(segments, "/"), "\x00")
		r = r.Clone(r.Context())
		r.URL.Path, r.URL.RawPath = strings.ToLower(path.Clean("/"+p)), ""
		site.ServeHTTP(w, r)
	})
}

// spellings are other ways to write a path that some router reads as the same.
func spellings(p string) []string {
	return []string{
		p, p + "/", strings.ToUpper(p), "/" + p, "/." + p, "/x/.." + p, p + "?next=/open/", p + ";a.js", p + "/;a.css", p +
			"%00", p + "%20",
		"/%" + fmt.Sprintf("%02x", p[1]) + p[2:], "/%25" + fmt.Sprintf("%02x", p[1]) + p[2:],
		"/open/.." + p, "/open/%2e%2e" + p, "/open/..%2f" + p[1:], "/open%2f..%2f" + p[1:], "/open/%252e%252e" + p,
		`/open/..\` + p[1:], "/open/..%5c" + p[1:], "/open/..;" + p, "/open/x/../.." + p, "/open//.." + p, "/login/.." +
			p, "/logout/.." + p,
		"/mfa/.." + p, "/mfa/%2e%2e" + p, "/mfa/static/..%2f.." + p, "/mfa/..;" + p, "/panics/.." +
			p, "https://open.example" + p, "/open/..%00/.." + p,
	}
}

func TestDOOR1_NoSpellingOfAProtectedPageIsOpen(t *testing.T) {
	for name, wrap := range map[string]func(http.Handler) http.Handler{"the standard router": nil,
		"a lenient router": lenient} {
		s := newNodes(t, 1, memoryStore())
		s.wrap = wrap
		s.restart()
		owner := s.enrolled("alice")
		owner.prove()
		pending := owner.again("alice")
		before := s.record("alice")
		for _, p := range protectedPages {
			for _, spelling := range spellings(p) {
				request := func(cookies string) answer {
					return s.raw("GET " + spelling + " HTTP/1.1\r\nHost: " + s.host() + "\r\nCookie: " + cookies +
						"\r\nConnection: close\r\n\r\n")
				}
				if spelling == p && p != "/payout" && p != "/two" && !strings.Contains(request(owner.cookies()).body, "canary:") {
					t.Fatalf("%s: GET %s of a proved browser shows no page", name, p)
				}
				if a := request(pending.cookies()); isProtected(a.body) {
					t.Errorf("%s: GET %s of an unproved browser = %d %q, want no protected page", name, spelling, a.status, a.body)
				}
			}
		}
		s.mustBeUnchanged("alice", before, "a walk over all spellings")
	}
}

// isProtected reports whether a body is that of a page that wants a proof.
func isProtected(body string) bool {
	return slices.ContainsFunc([]string{"account", "form", "vault", "step-up", "payout", "two", "check", "api"},
		func(name string) bool {
			return strings.Contains(body, "canary:"+name+":")
		})
}

func TestDOOR1_NoMethodOrProtocolOpensAPage(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	owner.prove()
	pending := owner.again("alice")
	before := s.record("alice")
	type try struct{ name, line, headers string }
	tries := []try{
		{"HTTP/1.0", "GET %s HTTP/1.0", ""},
		{"a WebSocket upgrade", "GET %s HTTP/1.1",
			"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
				"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"},
		{"server-sent events", "GET %s HTTP/1.1", "Accept: text/event-stream\r\nConnection: close\r\n"},
		{"a prefetch", "GET %s HTTP/1.1", "Sec-Purpose: prefetch\r\nPurpose: prefetch\r\nConnection: close\r\n"},
		{"a method override", "POST %s HTTP/1.1",
			"X-HTTP-Method-Override: GET\r\nContent-Length: 0\r\nConnection: close\r\n"},
		{"another path in a header", "GET /open/ HTTP/1.1",
			"X-Original-URL: %s\r\nX-Rewrite-URL: %s\r\nConnection: close\r\n"},
		{"h2c", "GET %s HTTP/1.1", "Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n" +
			"HTTP2-Settings: AAMAAABkAAQAAP__\r\n"},
	}
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "PROPFIND", "BREW",
		"get"} {
		tries = append(tries, try{method, method + " %s HTTP/1.1", "Content-Length: 0\r\nConnection: close\r\n"})
	}
	for _, p := range protectedPages {
		for _, try := range tries {
			request := try.line + "\r\nHost: " + s.host() + "\r\nCookie: " + pending.cookies() + "\r\n" + try.headers + "\r\n"
			a := s.raw(strings.ReplaceAll(request, "%s", p))
			if isProtected(a.body) || a.status == http.StatusSwitchingProtocols ||
				strings.HasPrefix(a.header.Get("Content-Type"), "text/event-stream") {
				t.Errorf("%s of %s = %d %q, want no protected page", try.name, p, a.status, a.body)
			}
			if try.name == "HEAD" && a.status == http.StatusOK {
				t.Errorf("HEAD %s = 200, want a detour", p)
			}
		}
	}
	if s.posted != 0 {
		t.Errorf("%d forms of an unproved browser reached the site, want 0", s.posted)
	}
	s.mustBeUnchanged("alice", before, "a walk over all methods")
	if a := owner.post("/form", nil); a.status != http.StatusOK || s.posted != 1 {
		t.Errorf("the form of a proved browser = %d, %d reached the site, want 200 and 1", a.status, s.posted)
	}
}

func TestDOOR2_NoAuthorizationHeaderIsAnotherDoor(t *testing.T) {
	other := func(r *http.Request) bool {
		return r.Header.Get("Authorization") == "Bearer made-after-a-second-factor"
	}
	s := newNodes(t, 1, memoryStore(), func(_ *site, c *sallyport.Config) { c.OtherAuth = other })
	owner := s.enrolled("alice")
	stranger, pending := s.browser(), owner.again("alice")
	if a := stranger.get("/api/list", header{"Authorization",
		"Bearer made-after-a-second-factor"}); a.status != http.StatusOK {
		t.Errorf("the token that the site declares proved = %d, want 200", a.status)
	}
	for _, credentials := range []string{
		"Basic YWxpY2U6cGFzc3dvcmQ=", "Bearer abc", "bearer made-after-a-second-factor", "Bearer", "", "Negotiate x",
		"Digest username=alice",
		"Bearer made-after-a-second-factor ", "ApiKey 1",
	} {
		h := header{"Authorization", credentials}
		want := http.StatusUnauthorized
		if credentials == "Bearer made-after-a-second-factor " { // HTTP strips the space
			continue
		}
		if a := stranger.do("GET", "/api/list", "", "", h); a.status != want || strings.Contains(a.body, "canary:") {
			t.Errorf("a stranger with Authorization %q = %d, want 401", credentials, a.status)
		}
		if a := pending.do("GET", "/api/list", "", "", h); a.status != want || strings.Contains(a.body, "canary:") {
			t.Errorf("an unproved browser with Authorization %q = %d, want 401", credentials, a.status)
		}
	}
	pending.client.Jar = nil
	two := pending.do("GET", "/api/list", "", "", header{"Authorization", "Basic eA=="},
		header{"Authorization", "Bearer made-after-a-second-factor"})
	if two.status == http.StatusOK {
		t.Errorf("two Authorization headers = %d, want a refusal", two.status)
	}
}

// A site whose User finds somebody by other means (a magic link, a social sign-in, an impersonation) has an unproved
// login, whatever it was.
func TestDOOR2_EveryFirstFactorIsOnlyTheFirst(t *testing.T) {
	s := newNodes(t, 1, memoryStore(), func(s *site, c *sallyport.Config) {
		site := c.User
		c.User = func(r *http.Request) (mfa.User, error) {
			for _, by := range []string{"Remember-Me", "Magic-Link", "Social-Callback", "Impersonate", "Authorization"} {
				if r.Header.Get(by) != "" {
					return mfa.User{ID: "alice", Session: by, LoginAt: s.clock()}, nil
				}
			}
			return site(r)
		}
	})
	s.enrolled("alice").mustBeIn("account")
	for _, by := range []string{"Remember-Me", "Magic-Link", "Social-Callback", "Impersonate", "Authorization"} {
		a := s.browser().get("/account", header{by, "1"})
		if a.status != http.StatusSeeOther || !strings.HasPrefix(a.next, "/mfa/verify") {
			t.Errorf("a login by %s = %d to %q, want the second door", by, a.status, a.next)
		}
	}
}

// mfaViews are all pages under Config.Path, with a factor's id put in.
func mfaViews(factorID string) map[string][]string {
	return map[string][]string{
		"GET": {
			"/mfa/", "/mfa/status", "/mfa/verify", "/mfa/verify/totp", "/mfa/verify/recovery", "/mfa/verify?choose=1",
			"/mfa/confirmed",
			"/mfa/recovered", "/mfa/enroll", "/mfa/enroll/totp", "/mfa/enroll/recovery", "/mfa/factors/" + factorID + "/rename",
			"/mfa/factors/" + factorID + "/pause", "/mfa/factors/" + factorID + "/remove", "/mfa/sessions/end",
		},
		"POST": {
			"/mfa/verify/totp/begin", "/mfa/verify/totp", "/mfa/verify/recovery/begin", "/mfa/verify/recovery",
			"/mfa/enroll/totp/begin",
			"/mfa/enroll/totp", "/mfa/enroll/recovery/begin", "/mfa/enroll/recovery", "/mfa/factors/" + factorID + "/rename",
			"/mfa/factors/" + factorID + "/pause", "/mfa/factors/" + factorID + "/resume", "/mfa/factors/" + factorID +
				"/prefer",
			"/mfa/factors/" + factorID + "/remove", "/mfa/sessions/end",
		},
	}
}

func TestDOOR3_NoViewWithoutASession(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	before := s.record("alice")
	stranger := s.browser()
	for method, views := range mfaViews(owner.factor("totp")) {
		for _, view := range views {
			page := stranger.do(method, view, "", "", navigate, sameOrigin, header{"Accept", "text/html"})
			if page.status != http.StatusSeeOther || !strings.HasPrefix(page.next, "/login") {
				t.Errorf("%s %s of a stranger = %d to %q, want the sign-in page", method, view, page.status, page.next)
			}
			document := stranger.do(method, view, "", "", acceptJSON)
			if document.status != http.StatusUnauthorized || !strings.Contains(document.body, "/mfa/problems/must-sign-in") {
				t.Errorf("%s %s of a stranger's program = %d, want 401 must-sign-in", method, view, document.status)
			}
		}
	}
	s.mustBeUnchanged("alice", before, "a stranger's walk over our pages")
}

func TestDOOR3_NoViewOfAnotherUsersFactor(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	alice, bob := s.enrolled("alice"), s.enrolled("bob")
	id := alice.factor("totp")
	before, bobs := s.record("alice"), s.record("bob")
	for _, b := range []*browser{bob, bob.again("bob"), s.login("carol")} {
		for method, views := range mfaViews(id) {
			for _, view := range views {
				if !strings.Contains(view, id) {
					continue
				}
				a := b.do(method, view, "application/json", "{}", acceptJSON)
				if a.status == http.StatusOK || strings.Contains(a.body, `"label"`) {
					t.Errorf("%s %s of another user = %d %s, want a refusal", method, view, a.status, a.body)
				}
			}
		}
		if a := b.get("/mfa/verify/totp?factor=" + id); strings.Contains(a.body, `name="ticket"`) {
			t.Errorf("another user is asked for a code of alice's app")
		}
	}
	s.mustBeUnchanged("alice", before, "another user's walk over alice's factor")
	s.mustBeUnchanged("bob", bobs, "a walk that was refused")
}

// A finished session without the needed level: proved, but not lately enough to change factors.
func TestDOOR3_NoManagingWithoutTheLevel(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	id := owner.factor("totp")
	s.advance(5*time.Minute + time.Second)
	owner.mustBeIn("account")
	before := s.record("alice")
	for _, view := range []string{"/mfa/enroll/totp/begin", "/mfa/enroll/recovery/begin", "/mfa/factors/" + id + "/pause",
		"/mfa/factors/" + id + "/remove"} {
		if a, _ := owner.call("POST", view, nil); a.status != http.StatusUnauthorized ||
			!strings.Contains(a.body, "must-verify") {
			t.Errorf("POST %s with a proof of more than 5 minutes = %d, want 401 must-verify", view, a.status)
		}
		if a := owner.post(view, nil); a.status != http.StatusSeeOther || !strings.HasPrefix(a.next, "/mfa/verify") {
			t.Errorf("the form %s with a proof of more than 5 minutes = %d to %q, want the second door", view, a.status, a.next)
		}
	}
	s.mustBeUnchanged("alice", before, "changes without the level")
}

// levels are the places of the matrix, each with a policy of its own.
var levels = map[string]mfa.Policy{
	"zero":     {},
	"one":      {Factors: 1},
	"sent":     {Min: mfa.Sent},
	"typed":    {Min: mfa.Typed},
	"strong":   {Min: mfa.PhishingResistant},
	"verified": {Verified: true},
	"two":      {Factors: 2},
	"fresh":    {Factors: 1, MaxAge: 5 * time.Minute},
	"waived":   {Waived: "a public catalog"},
}

func TestDOOR5_TheLevelOfASessionIsWhatItHasProved(t *testing.T) {
	password := func(b *browser) {}
	app := func(b *browser) { b.prove() }
	code := func(n int) func(b *browser) { return func(b *browser) { b.recover(b.codes[n]) } }
	for name, row := range map[string]struct {
		prove func(b *browser)
		in    string
	}{
		"password":              {password, "waived"},
		"authenticator app":     {app, "fresh one sent typed waived zero"},
		"recovery code":         {code(1), "fresh one sent waived zero"},
		"app and recovery code": {func(b *browser) { app(b); code(2)(b) }, "fresh one sent two typed waived zero"},
		"two recovery codes":    {func(b *browser) { code(3)(b); code(4)(b) }, "fresh one sent waived zero"},
		"app, then six minutes": {func(b *browser) { app(b); b.s.advance(6 * time.Minute) },
			"one sent typed waived zero"},
		"app, then six hours": {func(b *browser) { app(b); b.s.advance(6 * time.Hour) }, "waived"},
		"an app and a wrong recovery": {func(b *browser) { app(b); b.recover(strings.Repeat("0", 25)) },
			"fresh one sent typed waived zero"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newNodes(t, 1, memoryStore(), func(_ *site, c *sallyport.Config) {
				c.Policy = func(r *http.Request) (mfa.Policy, error) { return levels[strings.TrimPrefix(r.URL.Path, "/api/")], nil }
			})
			b := s.enrolled("alice").again("alice")
			row.prove(b)
			var in []string
			for level := range levels {
				if a := b.get("/api/" + level); a.status == http.StatusOK && strings.Contains(a.body, "canary:api:alice") {
					in = append(in, level)
				}
			}
			slices.Sort(in)
			if got := strings.Join(in, " "); got != row.in {
				t.Errorf("a session by %s is in at %q, want %q", name, got, row.in)
			}
		})
	}
}
