package sallyport_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/mfa"
)

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
	return onlyOurs(t, all)
}

// onlyOurs leaves out what the site itself has answered, and makes sure that each status is among the rest.
func onlyOurs(t *testing.T, all map[string]answer) map[string]answer {
	seen := map[int]bool{}
	for name, a := range all {
		if strings.Contains(a.body, "canary:") {
			delete(all, name)
			continue
		}
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
