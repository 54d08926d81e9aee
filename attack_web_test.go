package sallyport_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"sallyport"
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

// everyAnswer collects an answer of each kind that the guard gives.
func everyAnswer(t *testing.T) map[string]answer {
	broken, panics := false, false
	s := newNodes(t, 1, memoryStore(), func(s *site, c *sallyport.Config) {
		site := c.User
		c.User = func(r *http.Request) (mfa.User, error) {
			switch {
			case broken:
				return mfa.User{}, errors.New("the session store is away")
			case panics:
				panic("a bug of the site")
			}
			return site(r)
		}
	})
	all := map[string]answer{}
	owner := s.enrolled("alice")
	owner.prove()
	id := owner.factor("totp")
	visitors := map[string]*browser{"proved": owner, "pending": owner.again("alice"), "a stranger": s.browser(),
		"unenrolled": s.login("carol")}
	views := append(mfaViews(id)["GET"], "/mfa", "/mfa/x.css", "/mfa/manage/;a.js", "/mfa/static/none.css", "/mfa/static/",
		"/mfa//", "/mfa/%2e%2e/account",
		"/mfa/problems/wrong-answer", "/mfa/problems/none", "/mfa/verify/none", "/mfa/enroll/none",
		"/mfa/factors/none/remove", "/mfa/openapi.yaml")
	for who, b := range visitors {
		for _, view := range views {
			for _, method := range []string{"GET", "HEAD", "POST", "DELETE", "BREW", "OPTIONS"} {
				if who == "proved" && method == "POST" && strings.Contains(view, id) {
					continue // it would be done
				}
				all[method+" "+view+" by "+who] = b.do(method, view, "", "", navigate, sameOrigin, header{"Accept", "text/html"})
			}
			all["JSON GET "+view+" by "+who] = b.do("GET", view, "", "", acceptJSON)
		}
		all["a foreign form by "+who] = b.do("POST", "/mfa/sessions/end", "", "", header{"Sec-Fetch-Site", "cross-site"})
		all["a large body by "+who] = b.do("POST", "/mfa/sessions/end", "application/json", strings.Repeat(" ", 70_000),
			acceptJSON)
		all["a strange body by "+who] = b.do("POST", "/mfa/sessions/end", "text/xml", "<a/>", acceptJSON)
	}
	pending := visitors["pending"]
	for _, p := range protectedPages {
		all["GET "+p+" too early"] = pending.get(p)
		all["POST "+p+" too early"] = pending.post(p, nil)
		all["JSON "+p+" too early"] = pending.do("GET", p, "", "", acceptJSON)
	}
	all["a wrong answer"] = pending.guess(pending.wrong())
	all["an old ticket"] = pending.post("/mfa/verify/totp", url.Values{"answer": {"123456"}, "ticket": {"x"}})
	for range freeTries {
		all["too many"] = pending.guess(pending.wrong())
	}
	broken = true
	all["no sessions, a page of ours"], all["no sessions, a page of the site"] = owner.get("/mfa/"), owner.get("/account")
	broken, panics = false, true
	all["a panic, a page of ours"], all["a panic, a page of the site"] = owner.get("/mfa/"), owner.get("/account")
	for name, a := range all {
		if strings.Contains(a.body, "canary:") {
			delete(all, name) // the site's own
		}
	}
	seen := map[int]bool{}
	for _, a := range all {
		seen[a.status] = true
	}
	for _, status := range []int{200, 303, 400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503} {
		if !seen[status] {
			t.Errorf("no answer with status %d was looked at", status)
		}
	}
	return all
}

func TestCACHE1_NoAnswerIsKept(t *testing.T) {
	for name, a := range everyAnswer(t) {
		if got := a.header.Values("Cache-Control"); len(got) != 1 || got[0] != "no-store" {
			t.Errorf("%s = %d: Cache-Control %q, want no-store", name, a.status, got)
		}
		for _, h := range []string{"Etag", "Last-Modified", "Expires"} {
			if v := a.header.Get(h); v != "" {
				t.Errorf("%s = %d: %s %q, want none", name, a.status, h, v)
			}
		}
		vary := strings.ToLower(strings.Join(a.header.Values("Vary"), ","))
		for _, want := range []string{"accept", "cookie", "content-type", "sec-fetch-mode"} {
			if !strings.Contains(vary, want) {
				t.Errorf("%s = %d: Vary %q, want %s in it", name, a.status, vary, want)
			}
		}
	}
	s := newNodes(t, 1, memoryStore())
	b := s.login("alice")
	sheet := found(regexp.MustCompile(`<link rel="stylesheet" href="([^"]*)">`), b.get("/mfa/enroll/totp").body)
	if a := b.get(sheet); a.status != http.StatusOK || !strings.Contains(a.header.Get("Cache-Control"), "immutable") ||
		len(a.header.Values("Set-Cookie")) != 0 {
		t.Errorf("GET %s = %d, Cache-Control %q, want a file for ever and without cookies", sheet, a.status,
			a.header.Get("Cache-Control"))
	}
}

func TestFRAME1_NoAnswerCanBeFramed(t *testing.T) {
	policy := "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	for name, a := range everyAnswer(t) {
		for h, want := range map[string]string{
			"Content-Security-Policy": policy, "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy":            "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
			"Permissions-Policy": "publickey-credentials-get=(self), publickey-credentials-create=(self)",
		} {
			if got := a.header.Values(h); len(got) != 1 || got[0] != want {
				t.Errorf("%s = %d: %s %q, want %q", name, a.status, h, got, want)
			}
		}
		if strings.Contains(a.body, "<script>") || strings.Contains(a.body, " style=") ||
			regexp.MustCompile(`(?i)<[^>]*\son[a-z]+=`).MatchString(a.body) {
			t.Errorf("%s = %d: a script or style of the page's own, which its policy blocks", name, a.status)
		}
	}
}

var nonce = regexp.MustCompile(`[A-Za-z0-9_-]{40,}`)

// shape is what an observer sees of an answer, without what is new each time.
func shape(a answer) string {
	h := a.header.Clone()
	for _, name := range []string{"Date", "Content-Length"} {
		h.Del(name)
	}
	mask := func(text string) string {
		return nonce.ReplaceAllStringFunc(text, func(n string) string { return fmt.Sprintf("<%d>", len(n)) })
	}
	return fmt.Sprintf("%d %s %s %s", a.status, mask(a.next), mask(fmt.Sprint(h)), mask(a.body))
}

func TestENUM1_AStrangerSeesTheSameForEverybody(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	ids := []string{owner.factor("totp"), strings.Repeat("x", len(owner.factor("totp")))}
	stranger := s.browser()
	for method, views := range mfaViews("ID") {
		for _, view := range views {
			ask := func(id, user string) string {
				p := strings.ReplaceAll(view, "ID", id)
				a := stranger.do(method, p, "", "", navigate, sameOrigin, header{"Accept", "text/html"}, header{"X-User", user})
				return strings.ReplaceAll(shape(a), id, "ID")
			}
			if known, unknown := ask(ids[0], "alice"), ask(ids[1], "nobody"); known != unknown {
				t.Errorf("%s %s of a stranger differs for a factor that exists:\n%s\n%s", method, view, known, unknown)
			}
		}
	}
}

// Before a proof a login learns which ways it may prove, and nothing else: no labels of changes, no times, no ids that
// exist, no codes left.
func TestENUM1_AnUnprovedLoginLearnsNothingOfTheAccount(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	id, other := owner.factor("totp"), strings.Repeat("x", len(owner.factor("totp")))
	pending := owner.again("alice")
	for method, views := range mfaViews("ID") {
		for _, view := range views {
			if !strings.Contains(view, "ID") {
				continue
			}
			for _, accept := range []header{{"Accept", "text/html"}, acceptJSON} {
				ask := func(id string) string {
					a := pending.do(method, strings.ReplaceAll(view, "ID", id), "", "", navigate, sameOrigin, accept)
					return strings.ReplaceAll(shape(a), id, "ID")
				}
				if known, unknown := ask(id), ask(other); known != unknown {
					t.Errorf("%s %s before a proof tells whether a factor exists:\n%s\n%s", method, view, known, unknown)
				}
			}
		}
	}
	_, status := pending.call("GET", "/mfa/status", nil)
	want := map[string]any{"user": "alice", "factors": 0.0, "strength": nil, "proved_at": nil, "due_at": nil,
		"must": "verify"}
	if !reflect.DeepEqual(status, want) {
		t.Errorf("the status before a proof = %v, want %v", status, want)
	}
	for _, view := range []string{"/mfa/", "/mfa/recovered", "/mfa/enroll"} {
		a, _ := pending.call("GET", view, nil)
		if a.status != http.StatusUnauthorized || strings.Contains(a.body, id) || strings.Contains(a.body, "left") {
			t.Errorf("GET %s before a proof = %d %s, want 401 and nothing of the account", view, a.status, a.body)
		}
	}
}

// A wrong code and a used one look the same, so nobody learns that a code was right a moment ago.
func TestENUM1_AUsedCodeLooksLikeAWrongOne(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	s.advance(30 * time.Second)
	owner.guess(owner.code(0))
	a, b := owner.again("alice"), owner.again("alice")
	used, wrong := shape(a.guess(owner.code(0))), shape(b.guess(owner.wrong()))
	if used != wrong {
		t.Errorf("a used code and a wrong one differ:\n%s\n%s", used, wrong)
	}
	usedCode := owner.codes[4]
	owner.again("alice").recover(usedCode)
	bob := s.enrolled("bob")
	if used, wrong := shape(a.recover(usedCode)), shape(b.recover(bob.codes[4])); used != wrong {
		t.Errorf("a used recovery code and a wrong one differ:\n%s\n%s", used, wrong)
	}
}

// payloads run in a browser that reads them as markup, in one place or another.
var payloads = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'><svg/onload=alert(1)>`,
	`</title><script>alert(1)</script>`,
	`</textarea></form><form action=//evil.example>`, `" autofocus onfocus=alert(1) x="`, `javascript:alert(1)`,
	`{{.Main}}{{print 1}}`, `<!--`, `]]><x>`,
	`&lt;script&gt;`, `<a href="javascript:alert(1)">x</a>`, `\u003cscript\u003e`, `=cmd|' /C calc'!A0`,
	`{name}{site}{url}`, "`${alert(1)}`", `--><x y=`,
}

// markup returns the tags of a page with the names of their attributes, as a browser's tokenizer splits them (HTML
// Living Standard, section 13.2.5): what a text must not be able to add to.
func markup(page string) []string {
	var all []string
	for {
		i := strings.IndexByte(page, '<')
		if i < 0 {
			return all
		}
		page = page[i+1:]
		tag, rest := tagOf(page)
		all, page = append(all, tag), rest
	}
}

// tagOf reads one tag up to the ">" that ends it, which is none within quotes.
func tagOf(page string) (tag, rest string) {
	var b strings.Builder
	var quote rune
	for i, r := range page {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '>':
			return b.String(), page[i+1:]
		case r == '"' || r == '\'':
			quote = r
		default:
			b.WriteRune(r)
		}
	}
	return b.String(), ""
}

// named returns every page on which the names of a user, a factor and a browser stand.
func named(t *testing.T, name string) (pages map[string]answer, notices []sallyport.Notice) {
	s := newNodes(t, 1, memoryStore(), func(s *site, c *sallyport.Config) {
		site := c.User
		c.User = func(r *http.Request) (mfa.User, error) {
			u, err := site(r)
			u.DisplayName = u.Name
			return u, err
		}
	})
	pages = map[string]answer{}
	b := s.login(name).sending("User-Agent", name).sending("Accept-Language", name)
	first := b.follow(b.get("/mfa/enroll/totp"))
	b.secret = secretOf(first)
	pages["enroll"] = first
	pages["a wrong confirmation"] = b.fill(first, b.wrong(), "label", name)
	b.fill(pages["a wrong confirmation"], b.code(0), "label", name)
	b.saveCodes(b.get("/mfa/enroll/recovery"))
	id := b.factor("totp")
	for _, view := range mfaViews(id)["GET"] {
		pages[strings.ReplaceAll(view, id, "ID")] = b.get(view)
		pages[strings.ReplaceAll(view, id, "ID")+" as JSON"] = b.do("GET", view, "", "", acceptJSON)
	}
	q := url.QueryEscape(name)
	for what, a := range map[string]answer{
		"a method": b.get("/mfa/verify/" + url.PathEscape(name)), "a problem": b.get("/mfa/problems/" + url.PathEscape(name)),
		"a factor": b.get("/mfa/verify/totp?factor=" + q), "a way back": b.get("/mfa/verify/totp?back=" + q + "&next=" + q +
			"&error=" + q),
		"a field": b.do("POST", "/mfa/sessions/end", "application/x-www-form-urlencoded", q+"=1", navigate,
			sameOrigin, header{"Accept", "text/html"}),
		"a field of JSON": b.do("POST", "/mfa/sessions/end", "application/json", asJSON(url.Values{name: {name}}),
			acceptJSON),
		"a wrong answer": b.fill(b.get("/mfa/verify/totp"), name, "back", name),
	} {
		pages[what] = a
	}
	b.post("/mfa/factors/"+b.factor("totp")+"/pause", nil)
	b.post("/mfa/sessions/end", nil)
	return pages, s.told()
}

func TestXSS1_NamesAreText(t *testing.T) {
	var innocent []map[string]answer
	for _, name := range []string{"Innocent name", "Innocent/name", "{Innocent} name"} {
		pages, _ := named(t, name)
		innocent = append(innocent, pages)
	}
	for _, payload := range payloads {
		pages, notices := named(t, payload)
		shown := 0
		for name, a := range pages {
			if kind := a.header.Get("Content-Type"); kind != "text/html; charset=utf-8" {
				if a.status != http.StatusSeeOther && !strings.HasPrefix(kind, "application/") ||
					strings.ContainsAny(a.body, "<>") {
					t.Errorf("%s with %q: %s %q, want a document without markup", name, payload, kind, a.body)
				}
				continue
			}
			got := withoutNonces(markup(a.body))
			if !slices.ContainsFunc(innocent, func(plain map[string]answer) bool {
				return slices.Equal(got, withoutNonces(markup(plain[name].body)))
			}) {
				t.Errorf("%s with %q has other markup than with an innocent name:\n%q", name, payload, got)
			}
			if strings.Contains(html.UnescapeString(a.body), payload) {
				shown++
			}
		}
		if shown < 8 {
			t.Errorf("%q stands on %d pages, want at least 8", payload, shown)
		}
		for _, n := range notices {
			if strings.ContainsAny(n.Subject, "\r\n<") {
				t.Errorf("the subject %q of a notice has a line break or markup", n.Subject)
			}
		}
	}
}

func withoutNonces(tags []string) []string {
	clean := make([]string, len(tags))
	for i, tag := range tags {
		clean[i] = nonce.ReplaceAllString(tag, "")
	}
	return clean
}

func TestLOGINJ1_NoFieldAddsALine(t *testing.T) {
	s := newNodes(t, 1, memoryStore(), func(s *site, c *sallyport.Config) {
		c.OnEvent = nil
	})
	// What no header may carry (CR, LF, ESC) the server refuses by itself; what is left are the line breaks and the
	// controls of Unicode.
	const forged = "x\u0085level=ERROR msg=forged\u2028time=now\u009b31mred\u202egnp"
	b := s.login("alice").sending("User-Agent", forged).sending("X-Request-Id", forged)
	page := b.follow(b.get("/mfa/enroll/totp"))
	b.secret = secretOf(page)
	b.fill(page, b.code(0), "label", "my\r\nphone\x1b[31m\u0085\u009b")
	owner := *b
	for range freeTries {
		other := b.s.login("alice").sending("User-Agent", forged)
		other.secret = owner.secret
		other.guess(other.wrong())
	}
	b.get("/mfa/verify/%0d%0aforged?back=%0d%0aforged&factor=%1b[31m")
	b.do("POST", "/mfa/sessions/end", "application/json", `{"a\r\nlevel=ERROR msg=forged":"b"}`, acceptJSON)
	for _, line := range strings.Split(strings.TrimSpace(s.log.String()), "\n") {
		if line != "" && !strings.HasPrefix(line, "time=") {
			t.Errorf("a line of the log that is none of ours: %q", line)
		}
		if i := strings.IndexFunc(line, unicode.IsControl); i >= 0 {
			t.Errorf("a control character in the log: %q", line[i:])
		}
	}
	label := b.factors()[0].label
	if strings.ContainsFunc(label, unicode.IsControl) || !strings.HasPrefix(label, "myphone") {
		t.Errorf("the label = %q, want it without control characters", label)
	}
	for _, n := range s.told() {
		lines := strings.ReplaceAll(n.Text, "\n", "")
		if i := strings.IndexFunc(lines, breaksLine); i >= 0 {
			t.Errorf("a notice with %q, which breaks its line:\n%q", lines[i:i+3], n.Text)
		}
		if strings.ContainsFunc(n.Subject, breaksLine) {
			t.Errorf("the subject %q breaks its line", n.Subject)
		}
	}
	for _, ev := range s.eventsOf("alice") {
		if strings.ContainsFunc(ev.Browser+ev.Address+ev.Reason, breaksLine) {
			t.Errorf("event %s holds %q, which breaks its line", ev.Kind, ev.Browser)
		}
	}
}

// breaksLine reports a character that some viewer reads as the end of a line, or that turns text around it.
func breaksLine(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}
