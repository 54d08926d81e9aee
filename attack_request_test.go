package sallyport_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/mfa"
)

// hostile are addresses that some browser or some parser reads as another site.
var hostile = []string{
	"https://evil.example/", "//evil.example", "///evil.example", "////evil.example/..", `\\evil.example`,
	`/\evil.example`, `\/evil.example`,
	"/\t/evil.example", "/\n/evil.example", "\t//evil.example", " //evil.example", "/%09/evil.example", "/%5cevil.example",
	"/%2f/evil.example",
	"//evil.example%2f@good.example", "https:evil.example", "https:/evil.example", "javascript:alert(1)",
	"JaVaScRiPt:alert(1)",
	"data:text/html,x", "vbscript:x", "//evil。example", "//xn--evl-0ma.example", "http://[::1]/", "@evil.example",
	".evil.example", "evil.example",
	"/.//evil.example", "/..//evil.example", "/account\r\nSet-Cookie: a=b", "/account\x00", "mailto:x@evil.example",
	"?//evil.example",
}

// where returns the host that a browser goes to from a Location, and whether it stays on the site.
func where(s *site, location string) (host string, stays bool) {
	origin, _ := url.Parse(s.server.URL)
	// A browser strips tabs and line breaks, and reads a backslash as a slash (WHATWG URL, section 4.4).
	cleaned := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(strings.TrimSpace(location))
	u, err := origin.Parse(cleaned)
	if err != nil {
		return cleaned, false
	}
	return u.Host, u.Scheme == "https" && u.Host == origin.Host
}

func TestREDIR2_NoHostileNextIsFollowed(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	control := owner.again("alice")
	s.advance(30 * time.Second)
	if a := control.fill(control.follow(control.get("/account?tab=2")), control.code(0)); a.next != "/account?tab=2" {
		t.Fatalf("the way back = %q, want the page that was asked for", a.next)
	}
	bob := s.enrolled("bob").again("bob")
	foreignBack := found(backField, bob.follow(bob.get("/vault")).body)
	for _, next := range append(hostile, foreignBack, strings.Repeat("/a", 2000)) {
		s.advance(30 * time.Second)
		b := owner.again("alice")
		q := "?next=" + url.QueryEscape(next) + "&back=" + url.QueryEscape(next) + "&url=" + url.QueryEscape(next)
		page := b.get("/mfa/verify/totp" + q)
		form := url.Values{"answer": {b.code(0)}, "ticket": {found(ticketField, page.body)}, "back": {next}}
		a := b.post("/mfa/verify/totp"+q, form, header{"Referer", "https://evil.example/" + url.QueryEscape(next)})
		if a.status != http.StatusSeeOther || a.next != "/" {
			t.Errorf("the way back %q leads to %d %q, want 303 to /", next, a.status, a.next)
		}
	}
}

// A path of the request itself becomes a way back, too, where the site's handlers are no http.ServeMux that cleans it.
func TestREDIR2_NoHostilePathBecomesAWayBack(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	front := s.guard.Require(mfa.Policy{Factors: 1})(http.NotFoundHandler())
	s.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/mfa/") || r.URL.Path == "/login" {
			s.ServeHTTP(w, r)
			return
		}
		front.ServeHTTP(w, r)
	})
	ask := func(line string, more string) answer {
		return s.raw(line + " HTTP/1.1\r\nHost: " + s.host() + "\r\nSec-Fetch-Mode: navigate\r\nConnection: close\r\n" +
			more + "\r\n")
	}
	if a := ask("GET /vault", ""); a.next != "/login?next=%2Fvault" {
		t.Fatalf("a stranger at /vault is sent to %q", a.next)
	}
	for _, path := range []string{"//evil.example", "///evil.example/", "https://evil.example//evil.example",
		"/x//evil.example", `/\evil.example`, "//evil.example/%2f.."} {
		a := ask("GET "+path, "")
		next, err := url.Parse(a.next)
		if a.status == http.StatusBadRequest {
			continue // the server itself refuses to read it
		}
		if err != nil || !strings.HasPrefix(a.next, "/login?next=") {
			t.Errorf("a stranger at %s is sent to %d %q, want the sign-in page", path, a.status, a.next)
			continue
		}
		if host, stays := where(s.site, next.Query().Get("next")); !stays {
			t.Errorf("after the sign-in a stranger at %s goes to %s, want this site", path, host)
		}
		s.advance(30 * time.Second)
		b := owner.again("alice")
		door := ask("GET "+path, "Cookie: "+b.cookies()+"\r\n")
		proved := b.fill(b.get(door.next), b.code(0))
		if host, stays := where(s.site, proved.next); proved.status != http.StatusSeeOther || !stays {
			t.Errorf("after the proof alice at %s goes to %d %s, want this site", path, proved.status, host)
		}
	}
}

// foreign are the headers of requests that pages of other sites cause.
func foreign(origin string) map[string][]header {
	site := func(v string) header { return header{"Sec-Fetch-Site", v} }
	from := func(v string) header { return header{"Origin", v} }
	host := strings.TrimPrefix(origin, "https://")
	return map[string][]header{
		"cross-site":                      {site("cross-site"), from("https://evil.example")},
		"same-site":                       {site("same-site"), from("https://blog.example.com")},
		"another origin":                  {from("https://evil.example")},
		"an opaque origin":                {from("null")},
		"an opaque origin, cross-site":    {from("null"), site("cross-site")},
		"no origin, cross-site":           {site("cross-site")},
		"the origin over http":            {from("http://" + host)},
		"another port":                    {from("https://127.0.0.1:1")},
		"a longer host":                   {from(origin + ".evil.example")},
		"the origin in the path":          {from("https://evil.example/" + origin)},
		"an origin that matches its Host": {from("https://evil.example"), {"Host", "evil.example"}},
		"an unknown word":                 {site("friendly"), from("https://evil.example")},
		"a top-level navigation": {site("cross-site"), from("https://evil.example"), navigate,
			{"Sec-Fetch-Dest", "document"}},
		"no-cors": {site("cross-site"), from("https://evil.example"), {"Sec-Fetch-Mode", "no-cors"}},
	}
}

// changing are the requests that change an account, each with a body that works once.
func (b *browser) changing() map[string]url.Values {
	id := b.factor("totp")
	all := map[string]url.Values{
		"/mfa/factors/" + id + "/rename":                   {"label": {"stolen"}},
		"/mfa/factors/" + id + "/prefer":                   {},
		"/mfa/factors/" + b.factor("recovery") + "/pause":  {},
		"/mfa/factors/" + b.factor("recovery") + "/resume": {},
		"/mfa/factors/" + b.factor("recovery") + "/remove": {},
		"/mfa/sessions/end":                                {},
		"/mfa/verify/totp": {"answer": {b.code(0)},
			"ticket": {found(ticketField, b.get("/mfa/verify/totp").body)}},
		"/mfa/verify/totp/begin": {},
		"/mfa/enroll/totp/begin": {},
	}
	app := *b
	page := b.follow(b.get("/mfa/enroll/totp"))
	app.secret = secretOf(page)
	all["/mfa/enroll/totp"] = url.Values{"answer": {app.code(0)}, "ticket": {found(ticketField, page.body)}}
	page = b.get("/mfa/enroll/recovery")
	all["/mfa/enroll/recovery"] = url.Values{"answer": {found(codeText, page.body)},
		"ticket": {found(ticketField, page.body)}}
	return all
}

func asJSON(form url.Values) string {
	doc := map[string]string{}
	for name := range form {
		doc[name] = form.Get(name)
	}
	text, _ := json.Marshal(doc)
	return string(text)
}

func TestCSRF1_NoOtherSiteChangesAnything(t *testing.T) {
	onStores(t, func(t *testing.T, open func() attackedStore) {
		s := newNodes(t, 1, open)
		owner := s.enrolled("alice")
		s.advance(30 * time.Second)
		before, told := s.record("alice"), len(s.told())
		changing := owner.changing()
		for path, form := range changing {
			for name, headers := range foreign(s.server.URL) {
				for kind, body := range map[string]string{
					"application/x-www-form-urlencoded": form.Encode(), "text/plain": asJSON(form), "application/json": asJSON(form),
					"multipart/form-data; boundary=x": "--x\r\n\r\n--x--\r\n", "": form.Encode(),
				} {
					if a := owner.do("POST", path, kind, body, owner.lying(headers...)...); a.status != http.StatusForbidden ||
						!isCrossOrigin(a) {
						t.Errorf("POST %s of %q by %s = %d, want 403 cross-origin", path, kind, name, a.status)
					}
				}
				for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
					if a := owner.do(method, path+"?"+form.Encode(), "", "",
						owner.lying(headers...)...); a.status == http.StatusSeeOther && method != "GET" && method != "HEAD" {
						t.Errorf("%s %s by %s = %d, want a refusal", method, path, name, a.status)
					}
				}
			}
		}
		s.mustBeUnchanged("alice", before, "requests of other sites")
		if n := len(s.told()); n != told {
			t.Errorf("other sites caused %d notices, want none", n-told)
		}
		owner.mustBeIn("account")
		for _, path := range []string{"/mfa/verify/totp",
			"/mfa/enroll/totp"} { // the control: the same bodies of our own pages
			if a := owner.post(path, changing[path]); a.status != http.StatusSeeOther {
				t.Errorf("POST %s of our own page = %d, want 303\n%s", path, a.status, text(a.body))
			}
		}
		if s.record("alice").Version == before.Version {
			t.Error("our own pages have changed nothing")
		}
	})
}

// isCrossOrigin reports whether an answer is the problem of that name, as a document or as a page.
func isCrossOrigin(a answer) bool {
	return strings.Contains(a.body, "/mfa/problems/cross-origin") ||
		strings.Contains(a.body, "This came from another site")
}

func TestCSRF1_ATicketOfAnotherUserOrAnEarlierLogin(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	alice, bob := s.enrolled("alice"), s.enrolled("bob")
	s.advance(30 * time.Second)
	earlier := alice.again("alice")
	old := found(ticketField, earlier.get("/mfa/verify/totp").body)
	bobs := found(ticketField, bob.again("bob").get("/mfa/verify/totp").body)
	enroll := found(ticketField, bob.follow(bob.get("/mfa/enroll/totp")).body)
	earlier.post("/logout", nil)
	earlier.login("alice")
	before := s.record("alice")
	for name, ticket := range map[string]string{
		"bob's": bobs, "an earlier login's": old, "an enrollment's": enroll, "half a": old[:len(old)/2], "no": "x",
		"a doubled": old + old,
	} {
		for _, b := range []*browser{earlier, alice.again("alice")} {
			form := url.Values{"answer": {alice.code(0)}, "ticket": {ticket}}
			if a := b.post("/mfa/verify/totp", form); a.status != http.StatusConflict {
				t.Errorf("%s ticket = %d, want 409", name, a.status)
			}
			b.mustBeOut("account")
		}
	}
	s.mustBeUnchanged("alice", before, "tickets of others")
	if a := earlier.guess(alice.code(0)); a.status != http.StatusSeeOther {
		t.Errorf("a ticket of this login = %d, want 303", a.status)
	}
}

// A browser fetches links before they are clicked, and so does whoever is sent one.
func TestCSRF1_GetAndHeadChangeNothing(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	changing := owner.changing()
	before, events, told := s.record("alice"), len(s.eventsOf("alice")), len(s.told())
	for _, b := range []*browser{owner, owner.again("alice")} {
		for _, method := range []string{"GET", "HEAD"} {
			for path, form := range changing {
				b.do(method, path+"?"+form.Encode(), "", "", navigate, sameOrigin)
				b.do(method, path, "application/x-www-form-urlencoded", form.Encode(), navigate, sameOrigin)
			}
			for _, view := range mfaViews(owner.factor("totp"))["GET"] {
				b.do(method, view, "", "", navigate, sameOrigin, header{"Accept", "text/html"})
				b.do(method, view, "", "", acceptJSON)
			}
		}
	}
	s.mustBeUnchanged("alice", before, "GET and HEAD of everything")
	if n := len(s.eventsOf("alice")); n != events || len(s.told()) != told {
		t.Errorf("GET and HEAD left %d events and %d notices, want none", n-events, len(s.told())-told)
	}
	owner.mustBeIn("account")
}

func TestCSRF3_NoOtherSiteRenewsCodesOrEndsSessions(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	page := owner.get("/mfa/enroll/recovery")
	form := url.Values{"answer": {found(codeText, page.body)}, "ticket": {found(ticketField, page.body)}}
	old := owner.codes[1]
	for name, headers := range foreign(s.server.URL) {
		for path, body := range map[string]url.Values{"/mfa/enroll/recovery": form, "/mfa/enroll/recovery/begin": {},
			"/mfa/sessions/end": {}} {
			a := owner.do("POST", path, "application/x-www-form-urlencoded", body.Encode(), owner.lying(headers...)...)
			if a.status != http.StatusForbidden || strings.Contains(a.body, "ticket") {
				t.Errorf("POST %s by %s = %d, want 403 without a ticket", path, name, a.status)
			}
		}
	}
	owner.mustBeIn("account")
	b := owner.again("alice")
	if a := b.recover(old); a.status != http.StatusSeeOther {
		t.Errorf("a code of the set that another site wanted replaced = %d, want 303", a.status)
	}
	if a := owner.post("/mfa/enroll/recovery", form); a.status != http.StatusSeeOther {
		t.Errorf("the same form of our own page = %d, want 303", a.status)
	}
}

// lying adds the cookies of a browser to headers that may hold another Host, for which its jar has none.
func (b *browser) lying(headers ...header) []header {
	return append(slices.Clone(headers), header{"Cookie", b.cookies()})
}

func TestHOST1_NothingIsBuiltFromTheHostHeader(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	owner.prove()
	pending := owner.again("alice")
	const evil = "evil.example"
	lies := []header{
		{"X-Forwarded-Host", evil}, {"X-Forwarded-Proto", "http"}, {"X-Forwarded-Port", "81"}, {"X-Forwarded-Prefix",
			"//" + evil},
		{"X-Forwarded-Server", evil}, {"Forwarded", "host=" + evil + ";proto=http"}, {"X-Original-Host",
			evil}, {"X-HTTP-Host-Override", evil},
		{"Referer", "https://" + evil + "/x"}, {"Host", evil},
	}
	look := func(what string, a answer) {
		t.Helper()
		if strings.Contains(a.body, evil) || strings.Contains(fmt.Sprint(a.header), evil) || strings.Contains(a.next, "://") {
			t.Errorf("%s = %d to %q: it names a host of the request", what, a.status, a.next)
		}
	}
	for _, b := range []*browser{owner, pending, s.login("carol"), s.browser()} {
		for _, p := range append(mfaViews(owner.factor("totp"))["GET"], protectedPages...) {
			for _, lie := range append([][]header{lies}, []header{{"Host", evil}}, []header{{"Host", evil + ":443"}}) {
				look("GET "+p, b.do("GET", p, "", "", append(b.lying(lie...), navigate, header{"Accept", "text/html"})...))
				look("GET "+p+" of a program", b.do("GET", p, "", "", append(b.lying(lie...), acceptJSON)...))
			}
		}
	}
	absolute := s.raw("GET https://" + evil + "/vault HTTP/1.1\r\nHost: " + evil + "\r\nCookie: " + pending.cookies() +
		"\r\nSec-Fetch-Mode: navigate\r\nConnection: close\r\n\r\n")
	look("an absolute address", absolute)
	if a := s.raw("GET /vault HTTP/1.1\r\nHost: " + s.host() + "\r\nHost: " + evil +
		"\r\nConnection: close\r\n\r\n"); a.status != http.StatusBadRequest {
		t.Errorf("two Host headers = %d, want 400", a.status)
	}
	page := owner.get("/mfa/enroll/totp", owner.lying(lies...)...)
	uri := found(regexp.MustCompile(`href="(otpauth:[^"]*)"`), page.body)
	if want := "otpauth://totp/Example:alice?"; !strings.HasPrefix(uri, want) || strings.Contains(uri, evil) {
		t.Errorf("the address of the app = %.60q, want %s…", uri, want)
	}
	owner.do("POST", "/mfa/sessions/end", "", "", append(owner.lying(lies...), sameOrigin)...)
	all := s.told()
	if last := all[len(all)-1]; last.Event.Kind != mfa.SessionsEnded ||
		!strings.Contains(last.Text, s.server.URL+"/mfa/") || strings.Contains(last.Text, evil) {
		t.Errorf("the notice = %s\n%s\nwant the link of the configured origin", last.Event.Kind, last.Text)
	}
}
