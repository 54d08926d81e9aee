package sallyport_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/mfa"
)

// names returns the names in a document, in their order.
func names(doc map[string]any) string { return strings.Join(slices.Sorted(maps.Keys(doc)), " ") }

// inner is an object within a document.
func inner(doc map[string]any, name string) map[string]any {
	m, _ := doc[name].(map[string]any)
	return m
}

// The whole life of an account in documents, as an app of a phone goes it: no page, no redirect, no header of a browser.
func TestTheWholeWayInDocuments(t *testing.T) {
	s := newSite(t)
	b := s.login("alice")
	expect := func(a answer, doc map[string]any, status int, want string) {
		t.Helper()
		if a.status != status || names(doc) != want || a.header.Get("Content-Type") != "application/json" {
			t.Fatalf("%d %s %s, want %d with %q", a.status, a.header.Get("Content-Type"), a.body, status, want)
		}
	}
	expires := func(doc map[string]any, after time.Duration) {
		t.Helper()
		at, err := time.Parse(time.RFC3339, doc["expires"].(string))
		if want := s.clock().Add(after); err != nil || !at.Equal(want) {
			t.Errorf("expires = %v, want %v", doc["expires"], want)
		}
	}

	a, doc := b.call("GET", "/mfa/status", nil)
	expect(a, doc, 200, "due_at factors must proved_at strength user")
	if doc["user"] != "alice" || doc["factors"] != 0.0 || doc["must"] != "" || doc["strength"] != nil || doc["proved_at"] != nil || doc["due_at"] != nil {
		t.Errorf("status of somebody without factors = %s", a.body)
	}
	a, doc = b.call("GET", "/mfa/", nil)
	expect(a, doc, 200, "browsers factors methods user")
	if list, ok := doc["factors"].([]any); !ok || len(list) != 0 {
		t.Errorf("factors = %v, want an empty list", doc["factors"])
	}
	a, doc = b.call("GET", "/mfa/enroll", nil)
	expect(a, doc, 200, "methods")
	if want := []any{"totp"}; !slices.Equal(doc["methods"].([]any), want) {
		t.Errorf("methods = %v, want %v", doc["methods"], want)
	}
	a, doc = b.call("GET", "/mfa/enroll/totp", nil)
	expect(a, doc, 200, "enrollable method strength")
	if doc["method"] != "totp" || doc["strength"] != "typed" || doc["enrollable"] != true {
		t.Errorf("the method = %s", a.body)
	}

	a, doc = b.call("POST", "/mfa/enroll/totp/begin", map[string]string{})
	expect(a, doc, 200, "expires prompt ticket")
	expires(doc, 10*time.Minute)
	prompt := inner(doc, "prompt")
	if names(prompt) != "qr secret uri" || !strings.HasPrefix(prompt["qr"].(string), "<svg ") {
		t.Errorf("prompt = %v", prompt)
	}
	uri, err := url.Parse(prompt["uri"].(string))
	if err != nil || uri.Scheme != "otpauth" || uri.Query().Get("secret") != prompt["secret"] || uri.Query().Get("issuer") != "Example" {
		t.Errorf("uri = %v", prompt["uri"])
	}
	b.secret = prompt["secret"].(string)
	a, doc = b.call("POST", "/mfa/enroll/totp", map[string]any{"ticket": doc["ticket"], "answer": b.code(0), "label": "Work phone"})
	expect(a, doc, 201, "factor next")
	factor := inner(doc, "factor")
	if names(factor) != "created id label last_used method strength" || factor["label"] != "Work phone" || factor["method"] != "totp" || factor["strength"] != "typed" {
		t.Errorf("factor = %v", factor)
	}
	if doc["next"] != "/mfa/enroll/recovery" {
		t.Errorf("next = %v, want the recovery codes", doc["next"])
	}
	id := factor["id"].(string)

	a, doc = b.call("POST", "/mfa/enroll/recovery/begin", nil)
	expect(a, doc, 200, "expires prompt ticket")
	codes, ok := inner(doc, "prompt")["codes"].([]any)
	if !ok || len(codes) != 10 || names(inner(doc, "prompt")) != "codes" {
		t.Fatalf("prompt = %v, want ten codes", doc["prompt"])
	}
	a, doc = b.call("POST", "/mfa/enroll/recovery", map[string]any{"ticket": doc["ticket"], "answer": codes[3]})
	expect(a, doc, 201, "factor next")
	if f := inner(doc, "factor"); f["method"] != "recovery" || f["strength"] != "recovered" || f["left"] != 10.0 {
		t.Errorf("factor = %v", f)
	}

	other := b.again("alice")
	a, doc = other.call("GET", "/mfa/status", nil)
	expect(a, doc, 200, "due_at factors must proved_at strength user")
	if doc["must"] != "verify" || doc["factors"] != 0.0 {
		t.Errorf("status of somebody unproved = %s", a.body)
	}
	a, doc = other.call("GET", "/mfa/verify", nil)
	expect(a, doc, 200, "choices")
	choices := doc["choices"].([]any)
	if len(choices) != 2 {
		t.Fatalf("choices = %v, want the app and the recovery codes", choices)
	}
	first := choices[0].(map[string]any)
	if names(first) != "factor label method strength url" || first["factor"] != id || first["method"] != "totp" || first["label"] != "Work phone" {
		t.Errorf("the first choice = %v", first)
	}
	a, doc = other.call("GET", "/mfa/verify/recovery", nil)
	expect(a, doc, 200, "choices")
	if list := doc["choices"].([]any); len(list) != 1 || list[0].(map[string]any)["method"] != "recovery" {
		t.Errorf("choices of one method = %v", list)
	}
	s.advance(time.Minute)
	a, doc = other.call("POST", "/mfa/verify/totp/begin", map[string]any{"factor": id})
	expect(a, doc, 200, "expires prompt ticket")
	expires(doc, 10*time.Minute)
	if p := inner(doc, "prompt"); names(p) != "digits factor" || p["digits"] != 6.0 || p["factor"] != id {
		t.Errorf("prompt = %v", p)
	}
	a, doc = other.call("POST", "/mfa/verify/totp", map[string]any{"ticket": doc["ticket"], "answer": other.code(0)})
	expect(a, doc, 200, "next proved")
	proved := inner(doc, "proved")
	if names(proved) != "at factor method strength until" || proved["factor"] != id || proved["method"] != "totp" || proved["strength"] != "typed" {
		t.Errorf("proved = %v", proved)
	}
	until, err := time.Parse(time.RFC3339, proved["until"].(string))
	if span := until.Sub(s.clock()); err != nil || span < 3*time.Hour-time.Second || span > 6*time.Hour {
		t.Errorf("until = %v, %v after now, want from 3 to 6 hours", proved["until"], span)
	}
	if doc["next"] != "/" {
		t.Errorf("next = %v", doc["next"])
	}
	a, doc = other.call("GET", "/mfa/status", nil)
	expect(a, doc, 200, "due_at factors must proved_at strength user")
	if doc["must"] != "" || doc["factors"] != 1.0 || doc["strength"] != "typed" || doc["due_at"] != proved["until"] {
		t.Errorf("status of somebody proved = %s", a.body)
	}

	a, doc = other.call("GET", "/mfa/", nil)
	expect(a, doc, 200, "browsers factors methods user")
	if list := doc["factors"].([]any); len(list) != 2 || !slices.Equal(doc["methods"].([]any), []any{"totp", "recovery"}) {
		t.Errorf("the security home = %s", a.body)
	}
	a, doc = other.call("POST", "/mfa/factors/"+id+"/rename", map[string]any{"label": "Old phone"})
	expect(a, doc, 200, "factor next")
	if inner(doc, "factor")["label"] != "Old phone" || doc["next"] != "/mfa/" {
		t.Errorf("renamed = %s", a.body)
	}
	a, doc = other.call("POST", "/mfa/factors/"+id+"/prefer", nil)
	expect(a, doc, 200, "factor next")
	if inner(doc, "factor")["preferred"] != true {
		t.Errorf("preferred = %s", a.body)
	}
	recovery := other.factor("recovery")
	a, doc = other.call("POST", "/mfa/factors/"+recovery+"/pause", nil)
	expect(a, doc, 200, "factor next")
	if off, _ := inner(doc, "factor")["off"].([]any); !slices.Equal(off, []any{"paused"}) {
		t.Errorf("paused = %s", a.body)
	}
	a, doc = other.call("POST", "/mfa/factors/"+recovery+"/resume", nil)
	expect(a, doc, 200, "factor next")
	if inner(doc, "factor")["off"] != nil {
		t.Errorf("resumed = %s", a.body)
	}
	for _, ask := range []string{"rename", "pause", "remove"} {
		a, doc = other.call("GET", "/mfa/factors/"+id+"/"+ask, nil)
		expect(a, doc, 200, "factor")
	}
	a, doc = other.call("GET", "/mfa/sessions/end", nil)
	expect(a, doc, 200, "next")
	a, doc = other.call("POST", "/mfa/sessions/end", nil)
	expect(a, doc, 200, "next")
	other.mustBeIn("account")
	b.mustBeOut("account")
	a, doc = other.call("POST", "/mfa/factors/"+id+"/remove", nil)
	expect(a, doc, 200, "factor next")
	a, doc = other.call("GET", "/mfa/", nil)
	if list := doc["factors"].([]any); len(list) != 0 {
		t.Errorf("factors after the last was removed = %s", a.body)
	}
}

// The same in pages with forms alone, as a browser without JavaScript goes it.
func TestTheWholeWayInPagesWithoutJavaScript(t *testing.T) {
	s := newSite(t)
	b := s.login("alice")
	show := func(path, title string) answer {
		t.Helper()
		page := b.get(path)
		if page.status != http.StatusOK || page.header.Get("Content-Type") != "text/html; charset=utf-8" || heading(page) != title {
			t.Fatalf("GET %s = %d %q to %q, want %q", path, page.status, heading(page), page.next, title)
		}
		return page
	}
	leads := func(a answer, want string) {
		t.Helper()
		if place, _, _ := strings.Cut(a.next, "?"); a.status != http.StatusSeeOther || place != want {
			t.Fatalf("the answer = %d to %q, want to %q\n%s", a.status, a.next, want, text(a.body))
		}
	}
	send := func(page answer) answer { t.Helper(); return b.post(found(formAction, page.body), nil) }

	leads(b.get("/vault"), "/mfa/enroll")
	leads(b.get(b.get("/vault").next), "/mfa/enroll/totp")
	page := b.follow(b.get("/vault"))
	b.secret = secretOf(page)
	if wrong := b.fill(page, b.wrong(), "label", "My phone"); wrong.status != 422 || !strings.Contains(wrong.body, `value="My phone"`) ||
		secretOf(wrong) != b.secret || !strings.Contains(wrong.body, `role="alert"`) {
		t.Fatalf("a wrong code = %d, want the same page with what was typed", wrong.status)
	} else {
		page = wrong
	}
	a := b.fill(page, b.code(0), "label", "My phone")
	leads(a, "/mfa/enroll/recovery")
	page = b.get(a.next)
	b.saveCodesFrom(page)
	leads(b.fill(page, b.codes[9]), "/vault")
	b.mustBeIn("vault")

	home := show("/mfa/", "Your security settings")
	if !strings.Contains(home.body, "My phone") || !strings.Contains(text(home.body), "10 unused codes are left") {
		t.Errorf("the security home:\n%s", text(home.body))
	}
	id := b.factor("totp")
	page = show("/mfa/factors/"+id+"/rename", "Rename My phone")
	leads(b.post(found(formAction, page.body), url.Values{"label": {"Old phone"}}), "/mfa/")
	show("/mfa/factors/"+id+"/pause", "Pause Old phone?")
	page = show("/mfa/sessions/end", "End other sessions?")
	leads(send(page), "/mfa/")
	leads(b.post("/mfa/factors/"+id+"/prefer", nil), "/mfa/")

	other := b.again("alice")
	s.advance(time.Minute)
	page = other.get(other.get("/vault").next)
	choose := other.get(found(othersLink, page.body))
	if choose.status != http.StatusOK || !strings.Contains(choose.body, "Recovery codes") {
		t.Fatalf("another way = %d\n%s", choose.status, text(choose.body))
	}
	a = other.fill(other.get(found(recoveryLink, choose.body)), strings.ToLower(b.codes[0]))
	leads(a, "/mfa/recovered")
	page = other.get(a.next)
	if !strings.Contains(text(page.body), "9 unused codes are left") || !strings.Contains(page.body, `href="/vault"`) {
		t.Errorf("after a recovery code:\n%s", text(page.body))
	}
	other.mustBeIn("vault")
	b = other
	page = b.get(found(renewLink, page.body))
	if !strings.Contains(text(page.body), "take the place of the codes you have") {
		t.Errorf("new codes = %d, and nothing says that the old ones end:\n%s", page.status, text(page.body))
	}
	old, recovered := b.codes, s.clock()
	b.saveCodesFrom(page)
	s.advance(time.Minute)
	leads(b.fill(page, b.codes[0]), "/vault")
	b.mustBeIn("vault") // the code that was used still counts, from when it was used
	_, doc := b.call("GET", "/mfa/status", nil)
	if doc["proved_at"] != recovered.Format(time.RFC3339) || doc["strength"] != "recovered" {
		t.Errorf("after new codes were made the status = %v, want a proof of %v", doc, recovered)
	}
	if slices.Contains(b.codes, old[1]) {
		t.Error("a new set holds a code of the old one")
	}
	page = show("/mfa/factors/"+id+"/remove", "Remove Old phone?")
	leads(send(page), "/mfa/")
	if home := show("/mfa/", "Your security settings"); !strings.Contains(text(home.body), "You have not added any yet") {
		t.Errorf("the security home after the last was removed:\n%s", text(home.body))
	}
	show("/mfa/status", "Where you stand")
}

// saveCodesFrom reads the recovery codes of a page.
func (b *browser) saveCodesFrom(page answer) {
	b.t.Helper()
	b.codes = nil
	for _, m := range codeText.FindAllStringSubmatch(page.body, -1) {
		b.codes = append(b.codes, m[1])
	}
	if len(b.codes) != 10 {
		b.t.Fatalf("status %d to %q, %d codes on the page, want 10", page.status, page.next, len(b.codes))
	}
}

func TestASecondClickLeadsOnAsTheFirst(t *testing.T) {
	s := newSite(t)
	b := s.enrolled("alice").again("alice")
	s.advance(time.Minute)
	page := b.get(b.get("/account?x=1").next)
	code := b.code(0)
	for i, want := range []string{"/account?x=1", "/account?x=1", "/account?x=1"} {
		if a := b.fill(page, code); a.status != http.StatusSeeOther || a.next != want {
			t.Errorf("click %d = %d to %q, want to %q", i+1, a.status, a.next, want)
		}
	}
	a, doc := b.call("POST", "/mfa/verify/totp", map[string]any{"ticket": found(ticketField, page.body), "answer": code})
	if a.status != http.StatusOK || doc["next"] != "/" || doc["proved"] != nil {
		t.Errorf("a second call = %d %s, want 200 with next and without a second proof", a.status, a.body)
	}
	// It is the proof that leads on, not the ticket: another login of hers has none.
	other := b.again("alice")
	if a := other.post("/mfa/verify/totp", url.Values{"ticket": {found(ticketField, page.body)}, "answer": {code}}); a.status != http.StatusConflict {
		t.Errorf("the ticket in another login = %d, want 409", a.status)
	}
	other.mustBeOut("account")
}

// Where more is asked than was proved, an old ticket does not lead on.
func TestASecondClickDoesNotStandInForAFreshProof(t *testing.T) {
	s := newSite(t)
	b := s.enrolled("alice")
	s.advance(10 * time.Minute)
	page := b.get(b.get("/step-up").next)
	s.advance(11 * time.Minute) // the ticket has ended
	if a := b.fill(page, b.code(0)); a.status != http.StatusConflict {
		t.Errorf("a ticket that has ended = %d to %q, want 409", a.status, a.next)
	}
	b.mustBeOut("step-up")
}

func TestASecondClickOfAnEnrollmentLeadsOnAsTheFirst(t *testing.T) {
	s := newSite(t)
	b := s.login("alice")
	page := b.follow(b.get("/vault"))
	b.secret = secretOf(page)
	first, second := b.fill(page, b.code(0)), b.fill(page, b.code(0))
	if first.status != http.StatusSeeOther || second.status != http.StatusSeeOther || withoutQuery(first.next) != withoutQuery(second.next) {
		t.Errorf("the clicks = %d to %q and %d to %q, want the same", first.status, first.next, second.status, second.next)
	}
	if n := len(b.factors()); n != 1 {
		t.Errorf("%d factors, want one", n)
	}
}

// An enrollment that was open for too long has added nothing, and nobody is told otherwise.
func TestAnEnrollmentThatHasEndedIsNotTakenForASecondClick(t *testing.T) {
	s := newSite(t)
	b := s.enrolled("alice")
	home := b.get("/mfa/")
	page := b.get(found(addLink, home.body))
	b.secret = secretOf(page)
	s.advance(11 * time.Minute)
	b.again("alice")
	if a := b.fill(page, b.code(0)); a.status == http.StatusSeeOther && !strings.HasPrefix(a.next, "/mfa/verify") {
		t.Errorf("an enrollment that has ended = %d to %q, as if it had worked", a.status, a.next)
	}
	if a, _ := b.call("POST", "/mfa/enroll/totp", map[string]any{
		"ticket": found(ticketField, page.body), "answer": b.code(0), "back": found(backField, page.body),
	}); a.status < 400 {
		t.Errorf("an enrollment that has ended = %d %s, as if it had worked", a.status, a.body)
	}
}

func TestWhoMeetsWhichPage(t *testing.T) {
	s := newSite(t)
	alice := s.enrolled("alice")
	id := alice.factor("totp")
	people := []struct {
		name string
		*browser
	}{{"a stranger", s.browser()}, {"without a factor", s.login("bob")}, {"unproved", alice.again("alice")}, {"proved", alice}}
	for _, c := range []struct {
		request string
		pages   [4]string // by people: status, and where to
		docs    [4]string // by people: status, and the name of a problem
	}{
		{"GET /mfa/", [4]string{"303 /login", "200", "303 /mfa/verify", "200"}, [4]string{"401 must-sign-in", "200", "401 must-verify", "200"}},
		{"GET /mfa/status", [4]string{"303 /login", "200", "200", "200"}, [4]string{"401 must-sign-in", "200", "200", "200"}},
		{"GET /mfa/verify", [4]string{"303 /login", "303 /mfa/enroll", "200", "200"}, [4]string{"401 must-sign-in", "401 must-enroll", "200", "200"}},
		{"GET /mfa/verify/totp", [4]string{"303 /login", "303 /mfa/enroll", "200", "200"}, [4]string{"401 must-sign-in", "401 must-enroll", "200", "200"}},
		{"GET /mfa/verify/recovery", [4]string{"303 /login", "303 /mfa/enroll", "200", "200"}, [4]string{"401 must-sign-in", "401 must-enroll", "200", "200"}},
		{"GET /mfa/verify/sent", [4]string{"303 /login", "404", "404", "404"}, [4]string{"401 must-sign-in", "404 unknown-method", "404 unknown-method", "404 unknown-method"}},
		{"GET /mfa/confirmed", [4]string{"303 /login", "200", "200", "200"}, [4]string{"401 must-sign-in", "200", "200", "200"}},
		{"GET /mfa/recovered", [4]string{"303 /login", "200", "303 /mfa/verify", "200"}, [4]string{"401 must-sign-in", "200", "401 must-verify", "200"}},
		{"GET /mfa/enroll", [4]string{"303 /login", "303 /mfa/enroll/totp", "303 /mfa/verify", "303 /mfa/enroll/totp"}, [4]string{"401 must-sign-in", "200", "401 must-verify", "200"}},
		{"GET /mfa/enroll/totp", [4]string{"303 /login", "200", "303 /mfa/verify", "200"}, [4]string{"401 must-sign-in", "200", "401 must-verify", "200"}},
		{"GET /mfa/enroll/recovery", [4]string{"303 /login", "303 /mfa/enroll", "303 /mfa/verify", "200"}, [4]string{"401 must-sign-in", "200", "401 must-verify", "200"}},
		{"GET /mfa/enroll/sent", [4]string{"303 /login", "404", "404", "404"}, [4]string{"401 must-sign-in", "404 unknown-method", "404 unknown-method", "404 unknown-method"}},
		{"GET /mfa/factors/" + id + "/rename", [4]string{"303 /login", "404", "303 /mfa/verify", "200"}, [4]string{"401 must-sign-in", "404 not-found", "401 must-verify", "200"}},
		{"GET /mfa/factors/" + id + "/pause", [4]string{"303 /login", "404", "303 /mfa/verify", "200"}, [4]string{"401 must-sign-in", "404 not-found", "401 must-verify", "200"}},
		{"GET /mfa/factors/" + id + "/remove", [4]string{"303 /login", "404", "303 /mfa/verify", "200"}, [4]string{"401 must-sign-in", "404 not-found", "401 must-verify", "200"}},
		{"GET /mfa/factors/" + id + "/resume", [4]string{"303 /login", "405", "405", "405"}, [4]string{"401 must-sign-in", "405 invalid-request", "405 invalid-request", "405 invalid-request"}},
		{"GET /mfa/factors/" + id + "/steal", [4]string{"303 /login", "404", "404", "404"}, [4]string{"401 must-sign-in", "404 not-found", "404 not-found", "404 not-found"}},
		{"GET /mfa/factors/none/rename", [4]string{"303 /login", "404", "303 /mfa/verify", "404"}, [4]string{"401 must-sign-in", "404 not-found", "401 must-verify", "404 not-found"}},
		{"GET /mfa/sessions/end", [4]string{"303 /login", "200", "303 /mfa/verify", "200"}, [4]string{"401 must-sign-in", "200", "401 must-verify", "200"}},
		{"GET /mfa/problems/denied", [4]string{"200", "200", "200", "200"}, [4]string{"200", "200", "200", "200"}},
		{"GET /mfa/problems/other", [4]string{"404", "404", "404", "404"}, [4]string{"404 not-found", "404 not-found", "404 not-found", "404 not-found"}},
		{"GET /mfa/static/other.js", [4]string{"404", "404", "404", "404"}, [4]string{"404 not-found", "404 not-found", "404 not-found", "404 not-found"}},
		{"GET /mfa", [4]string{"303 /mfa/", "303 /mfa/", "303 /mfa/", "303 /mfa/"}, [4]string{"303 /mfa/", "303 /mfa/", "303 /mfa/", "303 /mfa/"}},

		{"POST /mfa/verify/totp/begin", [4]string{"303 /login", "303 /mfa/enroll", "200", "200"}, [4]string{"401 must-sign-in", "401 must-enroll", "200", "200"}},
		{"POST /mfa/verify/totp", [4]string{"303 /login", "400", "400", "400"}, [4]string{"401 must-sign-in", "400 invalid-request", "400 invalid-request", "400 invalid-request"}},
		{"POST /mfa/verify/sent", [4]string{"303 /login", "404", "404", "404"}, [4]string{"401 must-sign-in", "404 unknown-method", "404 unknown-method", "404 unknown-method"}},
		{"POST /mfa/enroll/totp/begin", [4]string{"303 /login", "200", "303 /mfa/verify", "200"}, [4]string{"401 must-sign-in", "200", "401 must-verify", "200"}},
		{"POST /mfa/enroll/totp", [4]string{"303 /login", "400", "400", "400"}, [4]string{"401 must-sign-in", "400 invalid-request", "400 invalid-request", "400 invalid-request"}},
		{"POST /mfa/factors/none/pause", [4]string{"303 /login", "404", "303 /mfa/verify", "404"}, [4]string{"401 must-sign-in", "404 not-found", "401 must-verify", "404 not-found"}},
		{"POST /mfa/factors/" + id + "/rename", [4]string{"303 /login", "400", "400", "400"}, [4]string{"401 must-sign-in", "400 invalid-request", "400 invalid-request", "400 invalid-request"}},
		{"POST /mfa/factors/" + id + "/steal", [4]string{"303 /login", "404", "404", "404"}, [4]string{"401 must-sign-in", "404 not-found", "404 not-found", "404 not-found"}},
	} {
		method, path, _ := strings.Cut(c.request, " ")
		for i, who := range people {
			var page answer
			if method == "GET" {
				page = who.get(path)
				head := who.do("HEAD", path, "", "", navigating...)
				if head.status != page.status || head.body != "" || withoutQuery(head.next) != withoutQuery(page.next) {
					t.Errorf("%s, HEAD %s = %d to %q, want as GET: %d to %q", who.name, path, head.status, head.next, page.status, page.next)
				}
			} else {
				page = who.post(path, nil)
			}
			if got := strings.TrimSpace(http.StatusText(page.status) + " " + withoutQuery(page.next)); got != word(c.pages[i]) {
				t.Errorf("%s, %s as a page = %q, want %q", who.name, c.request, got, word(c.pages[i]))
			}
			if page.status != http.StatusSeeOther && page.header.Get("Content-Type") != "text/html; charset=utf-8" {
				t.Errorf("%s, %s as a page is %s", who.name, c.request, page.header.Get("Content-Type"))
			}
			doc := who.do(method, path, "", "", acceptJSON)
			if got := docWord(t, doc); got != c.docs[i] {
				t.Errorf("%s, %s as a document = %q, want %q", who.name, c.request, got, c.docs[i])
			}
		}
	}
}

// word puts a status of a table into words, for messages.
func word(want string) string {
	status, place, _ := strings.Cut(want, " ")
	for _, known := range []int{200, 303, 400, 404, 405} {
		if status == itoa(known) {
			return strings.TrimSpace(http.StatusText(known) + " " + place)
		}
	}
	return want
}

// docWord is the status of a document, and the name of a problem.
func docWord(t *testing.T, a answer) string {
	t.Helper()
	switch {
	case a.status == http.StatusSeeOther:
		return "303 " + withoutQuery(a.next)
	case a.status < 400:
		if !json.Valid([]byte(a.body)) || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %.80q, want JSON", a.header.Get("Content-Type"), a.body)
		}
		return itoa(a.status)
	}
	return itoa(a.status) + " " + strings.TrimPrefix(problemOf(t, a).Type, "/mfa/problems/")
}

func withoutQuery(u string) string {
	place, _, _ := strings.Cut(u, "?")
	return place
}

func TestAnotherMethodIsToldApartFromAnotherPlace(t *testing.T) {
	b := newSite(t).enrolled("alice")
	for _, c := range []struct{ request, want, allow string }{
		{"POST /mfa/", "405 invalid-request", "GET, HEAD"},
		{"PUT /mfa/verify", "405 invalid-request", "GET, HEAD"},
		{"DELETE /mfa/factors/x/remove", "405 invalid-request", "GET, HEAD, POST"},
		{"GET /mfa/verify/totp/begin", "405 invalid-request", "POST"},
		{"OPTIONS /mfa/status", "405 invalid-request", "GET, HEAD"},
		{"PROPFIND /mfa/enroll/totp", "405 invalid-request", "GET, HEAD, POST"},
		{"TRACE /mfa/static/x", "405 invalid-request", "GET, HEAD"},
		{"GET /mfa/factors/x/prefer", "405 invalid-request", "POST"},
		{"GET /mfa/nowhere", "404 not-found", ""},
		{"POST /mfa", "404 not-found", ""},
		{"GET /mfa/verify/", "404 not-found", ""},
		{"GET /mfa/verify/totp/", "404 not-found", ""},
		{"GET /mfa//verify", "404 not-found", ""},
		{"GET /mfa/./verify", "404 not-found", ""},
		{"GET /mfa/x/../verify", "404 not-found", ""},
		{"GET /mfa/%76erify", "404 not-found", ""},
		{"GET /mfa/verify%2Ftotp", "404 not-found", ""},
		{"GET /mfa/verify/totp%00", "404 not-found", ""},
		{"GET /mfa/verify;x=y", "404 not-found", ""},
		{"GET /mfa/Verify", "404 not-found", ""},
		{"GET /mfa/static/", "404 not-found", ""},
		{"GET /mfa/static/../verify", "404 not-found", ""},
	} {
		a := b.s.raw(c.request + " HTTP/1.1\r\nHost: " + b.s.host() + "\r\nCookie: " + b.cookies() +
			"\r\nAccept: application/json\r\nConnection: close\r\n\r\n")
		if got := docWord(t, a); got != c.want || a.header.Get("Allow") != c.allow {
			t.Errorf("%s = %q with Allow %q, want %q with %q", c.request, got, a.header.Get("Allow"), c.want, c.allow)
		}
	}
}

func TestDocumentsAreForThoseWhoAskForThem(t *testing.T) {
	b := newSite(t).enrolled("alice")
	const form, jsonType = "application/x-www-form-urlencoded", "application/json"
	for _, c := range []struct {
		name, method, contentType, body string
		headers                         []header
		json                            bool
	}{
		{"Accept says so", "GET", "", "", []header{acceptJSON}, true},
		{"Accept says so among others", "GET", "", "", []header{{"Accept", "text/plain, Application/JSON;q=0.5"}}, true},
		{"Accept says so on a second line", "GET", "", "", []header{{"Accept", "text/html"}, acceptJSON}, true},
		{"Accept says anything", "GET", "", "", []header{{"Accept", "*/*"}}, false},
		{"Accept says nothing", "GET", "", "", nil, false},
		{"Accept says a problem", "GET", "", "", []header{{"Accept", "application/problem+json"}}, false},
		{"Accept says what begins like JSON", "GET", "", "", []header{{"Accept", "application/json-seq"}}, false},
		{"a fetch that does not say so", "GET", "", "", fetching, false},
		{"a document is sent", "POST", jsonType, "{}", nil, true},
		{"a document is sent with a charset", "POST", "Application/JSON; charset=utf-8", "{}", nil, true},
		{"a form is sent", "POST", form, "", nil, false},
		{"a form is sent, and Accept says so", "POST", form, "", []header{acceptJSON}, true},
	} {
		path := "/mfa/status"
		if c.method == "POST" {
			path = "/mfa/enroll/totp/begin"
		}
		a := b.do(c.method, path, c.contentType, c.body, c.headers...)
		if got := a.header.Get("Content-Type") == "application/json"; got != c.json || a.status != http.StatusOK {
			t.Errorf("%s = %d %s, want JSON: %v", c.name, a.status, a.header.Get("Content-Type"), c.json)
		}
	}
}

func TestStaticFilesAreKeptForEverUnderHashedNames(t *testing.T) {
	s := newSite(t)
	page := s.login("alice").get("/mfa/enroll/totp")
	links := staticLink.FindAllStringSubmatch(page.body, -1)
	if len(links) != 3 {
		t.Fatalf("%d static files on the page, want script, style and icon", len(links))
	}
	types := map[string]string{"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
	for _, l := range links {
		a := s.browser().get(l[1])
		if a.status != http.StatusOK || a.body == "" || a.header.Get("Content-Type") != types[l[2]] {
			t.Errorf("GET %s = %d %s", l[1], a.status, a.header.Get("Content-Type"))
		}
		if got := a.header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("Cache-Control of %s = %q", l[1], got)
		}
		if a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Set-Cookie") != "" {
			t.Errorf("headers of %s = %v", l[1], a.header)
		}
		plain := hashInName.ReplaceAllString(l[1], ".")
		for _, path := range []string{plain, strings.Replace(l[1], ".", ".0", 1), l[1] + "x", plain + ".d.ts"} {
			a := s.browser().get(path)
			if a.status != http.StatusNotFound || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("GET %s = %d %s, want a 404 that nobody keeps", path, a.status, a.header.Get("Cache-Control"))
			}
		}
	}
}

// Everything works as well under another path, and nothing leads to the usual one.
func TestAnotherPathAndSignInPage(t *testing.T) {
	s := newSite(t, func(_ *site, c *sallyport.Config) { c.Path, c.Login = "/account/second/", "/id/sign-in" })
	b := s.login("alice")
	page := b.follow(b.get("/vault"))
	b.secret = secretOf(page)
	a := b.fill(page, b.code(0))
	if !strings.HasPrefix(a.next, "/account/second/enroll/recovery?back=") {
		t.Fatalf("enrolling = %d to %q", a.status, a.next)
	}
	page = b.get(a.next)
	b.saveCodesFrom(page)
	if done := b.fill(page, b.codes[0]); done.next != "/vault" {
		t.Errorf("the codes lead to %q", done.next)
	}
	home := b.get("/account/second/")
	if home.status != http.StatusOK || strings.Contains(home.body, "/mfa/") {
		t.Errorf("GET /account/second/ = %d, links to /mfa/: %v", home.status, strings.Contains(home.body, "/mfa/"))
	}
	doc := problemOf2(b.again("alice").asks("call", "/vault"))
	if !strings.HasPrefix(doc["url"].(string), "/account/second/verify?back=") || doc["type"] != "/account/second/problems/must-verify" {
		t.Errorf("problem = %v", doc)
	}
	if a := s.browser().get("/vault"); a.next != "/id/sign-in?next=%2Fvault" {
		t.Errorf("a stranger is led to %q", a.next)
	}
	if a := b.get("/mfa/"); a.status != http.StatusNotFound || strings.Contains(a.body, "security settings") {
		t.Errorf("GET /mfa/ = %d, want the site's own 404", a.status)
	}
}

func problemOf2(a answer) map[string]any {
	doc := map[string]any{}
	_ = json.Unmarshal([]byte(a.body), &doc)
	return doc
}

// A method of the site's own needs no page of its own.
func TestAMethodOfTheSitesOwnHasPages(t *testing.T) {
	s := newSite(t, func(_ *site, c *sallyport.Config) {
		c.Methods = []mfa.Method{password2{}, mfa.Recovery{}}
	})
	b := s.login("alice")
	page := b.follow(b.get("/vault"))
	if heading(page) != "Add: second-password" {
		t.Fatalf("enrolling = %d %q\n%s", page.status, heading(page), text(page.body))
	}
	if wrong := b.fill(page, "wrong"); wrong.status != 422 || !strings.Contains(text(wrong.body), "That didn't work") {
		t.Errorf("a wrong answer = %d", wrong.status)
	}
	page = b.follow(b.get("/vault"))
	if a := b.fill(page, "open sesame"); withoutQuery(a.next) != "/mfa/enroll/recovery" {
		t.Fatalf("the right answer = %d to %q", a.status, a.next)
	}
	b.mustBeIn("vault")
	other := b.again("alice")
	page = other.follow(other.get("/vault"))
	if a := other.fill(page, "open sesame"); a.next != "/vault" {
		t.Errorf("the right answer = %d to %q", a.status, a.next)
	}
}
