package sallyport_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"reflect"
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

// docs is an app that speaks documents: no page, no redirect, no header of a browser.
type docs struct {
	*browser
	t *testing.T
}

// expect sends a request and checks status, type and the names in the answer.
func (d docs) expect(method, path string, body any, status int, want string) map[string]any {
	d.t.Helper()
	a, doc := d.call(method, path, body)
	if a.status != status || names(doc) != want || a.header.Get("Content-Type") != "application/json" {
		d.t.Fatalf("%s %s = %d %s %s, want %d with %q",
			method, path, a.status, a.header.Get("Content-Type"), a.body, status, want)
	}
	return doc
}

// values checks fields of a document.
func (d docs) values(what string, doc map[string]any, want map[string]any) {
	d.t.Helper()
	for name, value := range want {
		if !reflect.DeepEqual(doc[name], value) {
			d.t.Errorf("%s: %s = %v, want %v", what, name, doc[name], value)
		}
	}
}

func (d docs) begins(path string, body any) (doc, prompt map[string]any) {
	d.t.Helper()
	doc = d.expect("POST", path+"/begin", body, 200, "expires prompt ticket")
	at, err := time.Parse(time.RFC3339, doc["expires"].(string))
	if want := d.s.clock().Add(10 * time.Minute); err != nil || !at.Equal(want) {
		d.t.Errorf("expires = %v, want %v", doc["expires"], want)
	}
	return doc, inner(doc, "prompt")
}

const (
	statusNames = "due_at factors must proved_at strength user"
	factorNames = "created id label last_used method strength"
)

// The whole life of an account in documents.
func TestTheWholeWayInDocuments(t *testing.T) {
	s := newSite(t)
	d := docs{s.login("alice"), t}
	d.values("status", d.expect("GET", "/mfa/status", nil, 200, statusNames), map[string]any{
		"user": "alice", "factors": 0.0, "must": "", "strength": nil, "proved_at": nil, "due_at": nil,
	})
	d.values("home", d.expect("GET", "/mfa/", nil, 200, "browsers factors methods user"), map[string]any{
		"user": "alice", "factors": []any{}, "methods": []any{"totp"},
	})
	id := d.addsAnApp()
	codes := d.savesCodes()
	other := docs{d.again("alice"), t}
	other.proves(id)
	other.manages(id)
	d.mustBeOut("account") // other ended all sessions but its own
	if len(codes) != 10 {
		t.Errorf("%d recovery codes, want ten", len(codes))
	}
	other.expect("POST", "/mfa/factors/"+id+"/remove", nil, 200, "factor next")
	d.values("home", other.expect("GET", "/mfa/", nil, 200, "browsers factors methods user"), map[string]any{"factors": []any{}})
}

func (d docs) addsAnApp() (id string) {
	d.t.Helper()
	d.values("enroll", d.expect("GET", "/mfa/enroll", nil, 200, "methods"), map[string]any{"methods": []any{"totp"}})
	d.values("method", d.expect("GET", "/mfa/enroll/totp", nil, 200, "enrollable method strength"), map[string]any{
		"method": "totp", "strength": "typed", "enrollable": true,
	})
	doc, prompt := d.begins("/mfa/enroll/totp", map[string]string{})
	if names(prompt) != "qr secret uri" || !strings.HasPrefix(prompt["qr"].(string), "<svg ") {
		d.t.Errorf("prompt = %v", prompt)
	}
	uri, err := url.Parse(prompt["uri"].(string))
	if err != nil || uri.Scheme != "otpauth" || uri.Query().Get("secret") != prompt["secret"] ||
		uri.Query().Get("issuer") != "Example" {
		d.t.Errorf("uri = %v", prompt["uri"])
	}
	d.secret = prompt["secret"].(string)
	doc = d.expect("POST", "/mfa/enroll/totp", map[string]any{
		"ticket": doc["ticket"], "answer": d.code(0), "label": "Work phone",
	}, 201, "factor next")
	d.values("enrolled", doc, map[string]any{"next": "/mfa/enroll/recovery"})
	factor := inner(doc, "factor")
	d.values("factor", factor, map[string]any{"label": "Work phone", "method": "totp", "strength": "typed"})
	if names(factor) != factorNames {
		d.t.Errorf("factor = %v", factor)
	}
	return factor["id"].(string)
}

func (d docs) savesCodes() []any {
	d.t.Helper()
	doc, prompt := d.begins("/mfa/enroll/recovery", nil)
	codes, _ := prompt["codes"].([]any)
	if len(codes) == 0 || names(prompt) != "codes" {
		d.t.Fatalf("prompt = %v, want codes", prompt)
	}
	answer := map[string]any{"ticket": doc["ticket"], "answer": codes[3]}
	doc = d.expect("POST", "/mfa/enroll/recovery", answer, 201, "factor next")
	d.values("factor", inner(doc, "factor"), map[string]any{"method": "recovery", "strength": "recovered", "left": 10.0})
	return codes
}

func (d docs) proves(id string) {
	d.t.Helper()
	d.values("status", d.expect("GET", "/mfa/status", nil, 200, statusNames), map[string]any{
		"must": "verify", "factors": 0.0,
	})
	choices := d.expect("GET", "/mfa/verify", nil, 200, "choices")["choices"].([]any)
	first := choices[0].(map[string]any)
	if len(choices) != 2 || names(first) != "factor label method strength url" {
		d.t.Fatalf("choices = %v, want the app and the recovery codes", choices)
	}
	d.values("first choice", first, map[string]any{"factor": id, "method": "totp", "label": "Work phone"})
	choices = d.expect("GET", "/mfa/verify/recovery", nil, 200, "choices")["choices"].([]any)
	if len(choices) != 1 || choices[0].(map[string]any)["method"] != "recovery" {
		d.t.Errorf("choices of one method = %v", choices)
	}
	d.s.advance(time.Minute)
	doc, prompt := d.begins("/mfa/verify/totp", map[string]any{"factor": id})
	if !reflect.DeepEqual(prompt, map[string]any{"digits": 6.0, "factor": id}) {
		d.t.Errorf("prompt = %v", prompt)
	}
	answer := map[string]any{"ticket": doc["ticket"], "answer": d.code(0)}
	doc = d.expect("POST", "/mfa/verify/totp", answer, 200, "next proved")
	proved := inner(doc, "proved")
	d.values("proof", proved, map[string]any{
		"factor": id, "method": "totp", "strength": "typed", "at": d.s.clock().Format(time.RFC3339),
	})
	until, err := time.Parse(time.RFC3339, proved["until"].(string))
	span := until.Sub(d.s.clock())
	if names(proved) != "at factor method strength until" || err != nil || span < 3*time.Hour-time.Second ||
		span > 6*time.Hour {
		d.t.Errorf("proved = %v, %v from now, want from 3 to 6 hours", proved, span)
	}
	d.values("answer", doc, map[string]any{"next": "/"})
	d.values("status", d.expect("GET", "/mfa/status", nil, 200, statusNames), map[string]any{
		"must": "", "factors": 1.0, "strength": "typed", "due_at": proved["until"], "proved_at": proved["at"],
	})
}

func (d docs) manages(id string) {
	d.t.Helper()
	change := func(id, change string, body any) map[string]any {
		d.t.Helper()
		doc := d.expect("POST", "/mfa/factors/"+id+"/"+change, body, 200, "factor next")
		d.values(change, doc, map[string]any{"next": "/mfa/"})
		return inner(doc, "factor")
	}
	home := d.expect("GET", "/mfa/", nil, 200, "browsers factors methods user")
	d.values("home", home, map[string]any{"methods": []any{"totp", "recovery"}})
	d.values("renamed", change(id, "rename", map[string]any{"label": "Old phone"}), map[string]any{"label": "Old phone"})
	d.values("preferred", change(id, "prefer", nil), map[string]any{"preferred": true})
	recovery := d.factor("recovery")
	d.values("paused", change(recovery, "pause", nil), map[string]any{"off": []any{"paused"}})
	d.values("resumed", change(recovery, "resume", nil), map[string]any{"off": nil})
	for _, ask := range []string{"rename", "pause", "remove"} {
		d.expect("GET", "/mfa/factors/"+id+"/"+ask, nil, 200, "factor")
	}
	d.expect("GET", "/mfa/sessions/end", nil, 200, "next")
	d.expect("POST", "/mfa/sessions/end", nil, 200, "next")
	d.mustBeIn("account")
}

// hands is a browser without JavaScript: it loads pages, follows links and sends forms.
type hands struct {
	*browser
	t *testing.T
}

func (h hands) sees(path, title string) answer {
	h.t.Helper()
	page := h.get(path)
	kind := page.header.Get("Content-Type")
	if page.status != http.StatusOK || kind != "text/html; charset=utf-8" || heading(page) != title {
		h.t.Fatalf("GET %s = %d %q to %q, want %q", path, page.status, heading(page), page.next, title)
	}
	return page
}

func (h hands) led(a answer, want string) {
	h.t.Helper()
	if a.status != http.StatusSeeOther || withoutQuery(a.next) != want {
		h.t.Fatalf("the answer = %d to %q, want to %q\n%s", a.status, a.next, want, text(a.body))
	}
}

// sends sends the form of a page with these fields.
func (h hands) sends(page answer, form url.Values) answer {
	h.t.Helper()
	return h.post(found(formAction, page.body), form)
}

// The same in pages with forms alone, as a browser without JavaScript goes it.
func TestTheWholeWayInPagesWithoutJavaScript(t *testing.T) {
	s := newSite(t)
	h := hands{s.login("alice"), t}
	h.addsAnApp()
	id := h.factor("totp")
	home := h.sees("/mfa/", "Your security settings")
	if !strings.Contains(home.body, "My phone") || !strings.Contains(text(home.body), "10 unused codes are left") {
		t.Errorf("the security home:\n%s", text(home.body))
	}
	page := h.sees("/mfa/factors/"+id+"/rename", "Rename My phone")
	h.led(h.sends(page, url.Values{"label": {"Old phone"}}), "/mfa/")
	h.sees("/mfa/factors/"+id+"/pause", "Pause Old phone?")
	h.led(h.sends(h.sees("/mfa/sessions/end", "End other sessions?"), nil), "/mfa/")
	h.led(h.post("/mfa/factors/"+id+"/prefer", nil), "/mfa/")

	h = hands{h.again("alice"), t}
	h.losesThePhone()
	h.led(h.sends(h.sees("/mfa/factors/"+id+"/remove", "Remove Old phone?"), nil), "/mfa/")
	home = h.sees("/mfa/", "Your security settings")
	if !strings.Contains(text(home.body), "You have not added any yet") {
		t.Errorf("the security home after the last was removed:\n%s", text(home.body))
	}
	h.sees("/mfa/status", "Where you stand")
}

// addsAnApp goes from a page that asks for a factor to the app, the codes and back to that page.
func (h hands) addsAnApp() {
	h.t.Helper()
	a := h.get("/vault")
	h.led(a, "/mfa/enroll")
	a = h.get(a.next)
	h.led(a, "/mfa/enroll/totp")
	page := h.get(a.next)
	h.secret = secretOf(page)
	page = h.fill(page, h.wrong(), "label", "My phone")
	if page.status != 422 || !strings.Contains(page.body, `value="My phone"`) || secretOf(page) != h.secret ||
		!strings.Contains(page.body, `role="alert"`) {
		h.t.Fatalf("a wrong code = %d, want the same page with what was typed\n%s", page.status, text(page.body))
	}
	a = h.fill(page, h.code(0), "label", "My phone")
	h.led(a, "/mfa/enroll/recovery")
	page = h.get(a.next)
	h.saveCodesFrom(page)
	h.led(h.fill(page, h.codes[9]), "/vault")
	h.mustBeIn("vault")
}

// losesThePhone goes in with a recovery code and makes new ones.
func (h hands) losesThePhone() {
	h.t.Helper()
	h.s.advance(time.Minute)
	page := h.get(h.get("/vault").next)
	choose := h.get(found(othersLink, page.body))
	if choose.status != http.StatusOK || !strings.Contains(choose.body, "Recovery codes") {
		h.t.Fatalf("another way = %d\n%s", choose.status, text(choose.body))
	}
	a := h.fill(h.get(found(recoveryLink, choose.body)), strings.ToLower(h.codes[0]))
	h.led(a, "/mfa/recovered")
	page = h.get(a.next)
	if !strings.Contains(text(page.body), "9 unused codes are left") || !strings.Contains(page.body, `href="/vault"`) {
		h.t.Errorf("after a recovery code:\n%s", text(page.body))
	}
	h.mustBeIn("vault")
	page = h.get(found(renewLink, page.body))
	if !strings.Contains(text(page.body), "take the place of the codes you have") {
		h.t.Errorf("new codes = %d, and nothing says that the old ones end:\n%s", page.status, text(page.body))
	}
	old, recovered := h.codes, h.s.clock()
	h.saveCodesFrom(page)
	h.s.advance(time.Minute)
	h.led(h.fill(page, h.codes[0]), "/vault")
	if slices.Contains(h.codes, old[1]) {
		h.t.Error("a new set holds a code of the old one")
	}
	h.mustBeIn("vault") // the code that was used still counts, from when it was used
	_, doc := h.call("GET", "/mfa/status", nil)
	if doc["proved_at"] != recovered.Format(time.RFC3339) || doc["strength"] != "recovered" {
		h.t.Errorf("after new codes were made the status = %v, want a proof of %v", doc, recovered)
	}
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
	if a := other.post("/mfa/verify/totp", url.Values{"ticket": {found(ticketField, page.body)},
		"answer": {code}}); a.status != http.StatusConflict {
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
	if first.status != http.StatusSeeOther || second.status != http.StatusSeeOther ||
		withoutQuery(first.next) != withoutQuery(second.next) {
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
	}{{"a stranger", s.browser()}, {"without a factor", s.login("bob")}, {"unproved", alice.again("alice")},
		{"proved", alice}}
	for _, c := range []struct {
		request string
		pages   [4]string // by people: status, and where to
		docs    [4]string // by people: status, and the name of a problem
	}{
		{"GET /mfa/", [4]string{"303 /login", "200", "303 /mfa/verify", "200"},
			[4]string{"401 must-sign-in", "200", "401 must-verify", "200"}},
		{"GET /mfa/status", [4]string{"303 /login", "200", "200", "200"}, [4]string{"401 must-sign-in", "200", "200", "200"}},
		{"GET /mfa/verify", [4]string{"303 /login", "303 /mfa/enroll", "200", "200"},
			[4]string{"401 must-sign-in", "401 must-enroll", "200", "200"}},
		{"GET /mfa/verify/totp", [4]string{"303 /login", "303 /mfa/enroll", "200", "200"},
			[4]string{"401 must-sign-in", "401 must-enroll", "200", "200"}},
		{"GET /mfa/verify/recovery", [4]string{"303 /login", "303 /mfa/enroll", "200", "200"},
			[4]string{"401 must-sign-in", "401 must-enroll", "200", "200"}},
		{"GET /mfa/verify/sent", [4]string{"303 /login", "404", "404", "404"},
			[4]string{"401 must-sign-in", "404 unknown-method", "404 unknown-method", "404 unknown-method"}},
		{"GET /mfa/confirmed", [4]string{"303 /login", "200", "200", "200"},
			[4]string{"401 must-sign-in", "200", "200", "200"}},
		{"GET /mfa/recovered", [4]string{"303 /login", "200", "303 /mfa/verify", "200"},
			[4]string{"401 must-sign-in", "200", "401 must-verify", "200"}},
		{"GET /mfa/enroll", [4]string{"303 /login", "303 /mfa/enroll/totp", "303 /mfa/verify", "303 /mfa/enroll/totp"},
			[4]string{"401 must-sign-in", "200", "401 must-verify", "200"}},
		{"GET /mfa/enroll/totp", [4]string{"303 /login", "200", "303 /mfa/verify", "200"},
			[4]string{"401 must-sign-in", "200", "401 must-verify", "200"}},
		{"GET /mfa/enroll/recovery", [4]string{"303 /login", "303 /mfa/enroll", "303 /mfa/verify", "200"},
			[4]string{"401 must-sign-in", "200", "401 must-verify", "200"}},
		{"GET /mfa/enroll/sent", [4]string{"303 /login", "404", "404", "404"},
			[4]string{"401 must-sign-in", "404 unknown-method", "404 unknown-method", "404 unknown-method"}},
		{"GET /mfa/factors/" + id + "/rename", [4]string{"303 /login", "404", "303 /mfa/verify", "200"},
			[4]string{"401 must-sign-in", "404 not-found", "401 must-verify", "200"}},
		{"GET /mfa/factors/" + id + "/pause", [4]string{"303 /login", "404", "303 /mfa/verify", "200"},
			[4]string{"401 must-sign-in", "404 not-found", "401 must-verify", "200"}},
		{"GET /mfa/factors/" + id + "/remove", [4]string{"303 /login", "404", "303 /mfa/verify", "200"},
			[4]string{"401 must-sign-in", "404 not-found", "401 must-verify", "200"}},
		{"GET /mfa/factors/" + id + "/resume", [4]string{"303 /login", "405", "405", "405"},
			[4]string{"401 must-sign-in", "405 invalid-request", "405 invalid-request", "405 invalid-request"}},
		{"GET /mfa/factors/" + id + "/steal", [4]string{"303 /login", "404", "404", "404"},
			[4]string{"401 must-sign-in", "404 not-found", "404 not-found", "404 not-found"}},
		{"GET /mfa/factors/none/rename", [4]string{"303 /login", "404", "303 /mfa/verify", "404"},
			[4]string{"401 must-sign-in", "404 not-found", "401 must-verify", "404 not-found"}},
		{"GET /mfa/sessions/end", [4]string{"303 /login", "200", "303 /mfa/verify", "200"},
			[4]string{"401 must-sign-in", "200", "401 must-verify", "200"}},
		{"GET /mfa/problems/denied", [4]string{"200", "200", "200", "200"}, [4]string{"200", "200", "200", "200"}},
		{"GET /mfa/problems/other", [4]string{"404", "404", "404", "404"},
			[4]string{"404 not-found", "404 not-found", "404 not-found", "404 not-found"}},
		{"GET /mfa/static/other.js", [4]string{"404", "404", "404", "404"},
			[4]string{"404 not-found", "404 not-found", "404 not-found", "404 not-found"}},
		{"GET /mfa", [4]string{"303 /mfa/", "303 /mfa/", "303 /mfa/", "303 /mfa/"},
			[4]string{"303 /mfa/", "303 /mfa/", "303 /mfa/", "303 /mfa/"}},

		{"POST /mfa/verify/totp/begin", [4]string{"303 /login", "303 /mfa/enroll", "200", "200"},
			[4]string{"401 must-sign-in", "401 must-enroll", "200", "200"}},
		{"POST /mfa/verify/totp", [4]string{"303 /login", "400", "400", "400"},
			[4]string{"401 must-sign-in", "400 invalid-request", "400 invalid-request", "400 invalid-request"}},
		{"POST /mfa/verify/sent", [4]string{"303 /login", "404", "404", "404"},
			[4]string{"401 must-sign-in", "404 unknown-method", "404 unknown-method", "404 unknown-method"}},
		{"POST /mfa/enroll/totp/begin", [4]string{"303 /login", "200", "303 /mfa/verify", "200"},
			[4]string{"401 must-sign-in", "200", "401 must-verify", "200"}},
		{"POST /mfa/enroll/totp", [4]string{"303 /login", "400", "400", "400"},
			[4]string{"401 must-sign-in", "400 invalid-request", "400 invalid-request", "400 invalid-request"}},
		{"POST /mfa/factors/none/pause", [4]string{"303 /login", "404", "303 /mfa/verify", "404"},
			[4]string{"401 must-sign-in", "404 not-found", "401 must-verify", "404 not-found"}},
		{"POST /mfa/factors/" + id + "/rename", [4]string{"303 /login", "400", "400", "400"},
			[4]string{"401 must-sign-in", "400 invalid-request", "400 invalid-request", "400 invalid-request"}},
		{"POST /mfa/factors/" + id + "/steal", [4]string{"303 /login", "404", "404", "404"},
			[4]string{"401 must-sign-in", "404 not-found", "404 not-found", "404 not-found"}},
	} {
		method, path, _ := strings.Cut(c.request, " ")
		for i, who := range people {
			var page answer
			if method == "GET" {
				page = who.get(path)
				head := who.do("HEAD", path, "", "", navigating...)
				if head.status != page.status || head.body != "" || withoutQuery(head.next) != withoutQuery(page.next) {
					t.Errorf("%s, HEAD %s = %d to %q, want as GET: %d to %q", who.name, path, head.status, head.next, page.status,
						page.next)
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
	types := map[string]string{"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8",
		"svg": "image/svg+xml"}
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
	if !strings.HasPrefix(doc["url"].(string), "/account/second/verify?back=") ||
		doc["type"] != "/account/second/problems/must-verify" {
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
