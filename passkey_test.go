package sallyport_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/mfatest"
)

// atExample puts a site where browsers have passkeys. The server's client finds it there.
func atExample(s *site, c *sallyport.Config) {
	s.server.URL = "https://example.com"
	c.Origin = s.server.URL
}

func newPasskeySite(t testing.TB, changes ...func(*site, *sallyport.Config)) *site {
	t.Helper()
	return newSite(t, append([]func(*site, *sallyport.Config){atExample}, changes...)...)
}

// holder is a browser with an authenticator.
type holder struct {
	*browser
	device *mfatest.Authenticator
}

func (b *browser) holding(device *mfatest.Authenticator) *holder { return &holder{b, device} }

func (s *site) phone() *mfatest.Authenticator { return mfatest.NewAuthenticator(s.server.URL) }

// holder returns a new browser in which a user is signed in and has just registered a passkey.
func (s *site) holder(user string) *holder {
	s.t.Helper()
	h := s.login(user).holding(s.phone())
	h.register("")
	return h
}

// elsewhere is the same person and authenticator in another browser, signed in with the password alone.
func (h *holder) elsewhere(user string) *holder { return h.s.login(user).holding(h.device) }

// begun is the first half of a ceremony.
type begun struct {
	Ticket string
	Prompt json.RawMessage
	Title  string
}

func (b *browser) begin(path string, body any) begun {
	b.t.Helper()
	a, _ := b.call("POST", path, body)
	if a.status != http.StatusOK {
		b.t.Fatalf("POST %s = %d %s", path, a.status, a.body)
	}
	return begunOf(b.t, a)
}

func begunOf(t testing.TB, a answer) (begin begun) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &begin); err != nil || begin.Ticket == "" {
		t.Fatalf("no ticket in %d %q: %v", a.status, a.body, err)
	}
	return begin
}

// create answers a prompt of enrollment.
func (h *holder) create(b begun) json.RawMessage {
	h.t.Helper()
	reply, err := h.device.Create(b.Prompt)
	if err != nil {
		h.t.Fatal(err)
	}
	return reply
}

// sign answers a prompt of a proof.
func (h *holder) sign(b begun) json.RawMessage {
	h.t.Helper()
	reply, err := h.device.Get(b.Prompt)
	if err != nil {
		h.t.Fatal(err)
	}
	return reply
}

// finish sends the second half of a ceremony.
func (h *holder) finish(path, ticket string, reply json.RawMessage, more ...string) (answer, map[string]any) {
	h.t.Helper()
	body := map[string]any{"ticket": ticket, "answer": reply}
	for i := 0; i+1 < len(more); i += 2 {
		body[more[i]] = more[i+1]
	}
	return h.call("POST", path, body)
}

// register adds a passkey and returns its document.
func (h *holder) register(label string) map[string]any {
	h.t.Helper()
	b := h.begin("/mfa/enroll/passkey/begin", nil)
	a, doc := h.finish("/mfa/enroll/passkey", b.Ticket, h.create(b), "label", label)
	if a.status != http.StatusCreated {
		h.t.Fatalf("registering a passkey = %d %s", a.status, a.body)
	}
	return doc["factor"].(map[string]any)
}

// tap confirms with the passkey and returns the answer.
func (h *holder) tap() answer {
	h.t.Helper()
	b := h.begin("/mfa/verify/passkey/begin", nil)
	a, _ := h.finish("/mfa/verify/passkey", b.Ticket, h.sign(b))
	return a
}

func (h *holder) prove() {
	h.t.Helper()
	if a := h.tap(); a.status != http.StatusOK {
		h.t.Fatalf("confirming with a passkey = %d %s", a.status, a.body)
	}
}

var (
	passkeyForm   = regexp.MustCompile(`<form method="post" action="([^"]*)" data-sallyport="(?:verify|enroll)"`)
	passkeyPrompt = regexp.MustCompile(`data-sallyport-prompt="([^"]*)"`)
)

// press sends the form of a page as the script does, with what the authenticator answers.
func (h *holder) press(page answer, reply func(begun) json.RawMessage, more ...string) answer {
	h.t.Helper()
	action, prompt := found(passkeyForm, page.body), found(passkeyPrompt, page.body)
	if action == "" || prompt == "" {
		h.t.Fatalf("status %d to %q: no form of a passkey on the page:\n%s", page.status, page.next, text(page.body))
	}
	b := begun{Ticket: found(ticketField, page.body), Prompt: json.RawMessage(prompt)}
	form := url.Values{"ticket": {b.Ticket}, "answer": {string(reply(b))}}
	if back := found(backField, page.body); back != "" {
		form.Set("back", back)
	}
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return h.post(action, form)
}

func TestPasskeysAreOfferedByDefault(t *testing.T) {
	s := newPasskeySite(t)
	b := s.login("alice")
	_, doc := b.call("GET", "/mfa/enroll", nil)
	if got, want := mustJSON(t, doc["methods"]), `["passkey","totp"]`; got != want {
		t.Errorf("methods to add = %s, want %s", got, want)
	}
	if strings.Contains(s.log.String(), "passkeys are left out") {
		t.Errorf("the log says that passkeys are left out: %s", s.log)
	}
	page := b.get("/mfa/enroll")
	if first, second := strings.Index(page.body, "/mfa/enroll/passkey"), strings.Index(page.body, "/mfa/enroll/totp"); first < 0 || second < first {
		t.Errorf("the page does not offer passkeys before apps:\n%s", text(page.body))
	}
	begin := b.begin("/mfa/enroll/passkey/begin", nil)
	var o struct {
		PublicKey struct {
			RP struct{ ID, Name string }
		}
	}
	if err := json.Unmarshal(begin.Prompt, &o); err != nil || o.PublicKey.RP.ID != "example.com" || o.PublicKey.RP.Name != "Example" {
		t.Errorf("the RP is %+v, %v, want example.com, Example", o.PublicKey.RP, err)
	}
}

func TestPasskeysAreLeftOutWhereBrowsersHaveNone(t *testing.T) {
	s := newSite(t) // at an IP address
	_, doc := s.login("alice").call("GET", "/mfa/enroll", nil)
	if got, want := mustJSON(t, doc["methods"]), `["totp"]`; got != want {
		t.Errorf("methods to add = %s, want %s", got, want)
	}
	if n := strings.Count(s.log.String(), "level=INFO msg=\"sallyport: passkeys are left out"); n != 1 {
		t.Errorf("the log says %d times that passkeys are left out, want once:\n%s", n, s.log)
	}
}

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAPasskeyIsRegisteredAndProvedByPages(t *testing.T) {
	s := newPasskeySite(t)
	h := s.login("alice").holding(s.phone())
	h.mustBeOut("payout")
	page := h.follow(h.get("/payout"))
	if !strings.Contains(page.body, "fingerprint") || !strings.Contains(page.body, "Passkeys need JavaScript") {
		t.Errorf("the page does not say what to do:\n%s", text(page.body))
	}
	a := h.press(page, h.create, "label", "Work phone")
	if a.status != http.StatusSeeOther || !strings.HasPrefix(a.next, "/mfa/enroll/recovery") {
		t.Fatalf("registering = %d to %q, want a redirect to recovery codes\n%s", a.status, a.next, text(a.body))
	}
	h.saveCodes(h.get(a.next))
	h.mustBeIn("payout")
	if home := h.get("/mfa/"); !strings.Contains(text(home.body), "Work phone") {
		t.Errorf("the security home does not show the passkey:\n%s", text(home.body))
	}

	other := h.elsewhere("alice")
	other.mustBeOut("account")
	page = other.follow(other.get("/payout"))
	a = other.press(page, other.sign)
	if a.status != http.StatusSeeOther || a.next != "/payout" {
		t.Fatalf("proving = %d to %q, want a redirect to /payout\n%s", a.status, a.next, text(a.body))
	}
	other.mustBeIn("payout")
	s.advance(5*time.Minute + time.Second)
	other.mustBeOut("payout")
	other.mustBeIn("account")
	other.prove()
	other.mustBeIn("payout")
}

func TestAPasskeyIsNamedByItsProviderUnlessItsOwnerDoes(t *testing.T) {
	s := newPasskeySite(t)
	h := s.login("alice").holding(s.phone())
	h.device.AAGUID = [16]byte{0xea, 0x9b, 0x8d, 0x66, 0x4d, 0x01, 0x1d, 0x21, 0x3c, 0xe4, 0xb6, 0xb4, 0x8c, 0xb5, 0x75, 0xd4}
	first := h.register("")
	if got, want := first["label"], "Google Password Manager"; got != want {
		t.Errorf("label = %v, want %v", got, want)
	}
	h.device = s.phone()
	if got, want := h.register("  My key ")["label"], "My key"; got != want {
		t.Errorf("label = %v, want %v", got, want)
	}
	id := first["id"].(string)
	if a, _ := h.call("POST", "/mfa/factors/"+id+"/rename", map[string]string{"label": "Laptop"}); a.status != http.StatusOK {
		t.Fatalf("renaming = %d %s", a.status, a.body)
	}
	_, home := h.call("GET", "/mfa/", nil)
	if got := mustJSON(t, home["factors"]); !strings.Contains(got, `"label":"Laptop"`) {
		t.Errorf("factors = %s, want one called Laptop", got)
	}
}

// A ticket of passkeys offers all that the account can use, and the answer names its own.
func TestAnyUsablePasskeyAnswersOneTicket(t *testing.T) {
	s := newPasskeySite(t)
	h := s.holder("alice")
	second, third := s.phone(), mfatest.NewSecurityKey(s.server.URL)
	for _, device := range []*mfatest.Authenticator{second, third} {
		h.holding(device).register("")
	}
	devices := []*mfatest.Authenticator{h.device, second, third}
	for i, device := range devices {
		other := s.login("alice").holding(device)
		b := other.begin("/mfa/verify/passkey/begin", nil)
		if got := len(allowed(t, b)); got != 3 {
			t.Errorf("%d credentials are offered, want 3", got)
		}
		if a, _ := other.finish("/mfa/verify/passkey", b.Ticket, other.sign(b)); a.status != http.StatusOK {
			t.Errorf("passkey %d = %d %s", i, a.status, a.body)
		}
	}
	page := s.login("alice").get("/mfa/verify?choose=1")
	if n := strings.Count(page.body, "/mfa/verify/passkey?"); n != 1 {
		t.Errorf("a page offers %d choices of passkeys, want one for all:\n%s", n, text(page.body))
	}

	_, home := h.call("GET", "/mfa/", nil)
	id := home["factors"].([]any)[1].(map[string]any)["id"].(string)
	if a, _ := h.call("POST", "/mfa/factors/"+id+"/pause", nil); a.status != http.StatusOK {
		t.Fatalf("pausing = %d %s", a.status, a.body)
	}
	other := s.login("alice").holding(second)
	b := other.begin("/mfa/verify/passkey/begin", nil)
	if got := allowed(t, b); len(got) != 2 || slices.Contains(got, encode(second.Credentials[0].ID)) {
		t.Errorf("offered are %v, want two without the paused one", got)
	}
	second.Use = second.Credentials[0].ID
	if a, _ := other.finish("/mfa/verify/passkey", b.Ticket, other.sign(b)); a.status != http.StatusUnprocessableEntity {
		t.Errorf("the paused passkey = %d %s, want 422", a.status, a.body)
	}
	other.mustBeOut("account")
}

// allowed returns the ids in a prompt's allowCredentials.
func allowed(t testing.TB, b begun) []string {
	t.Helper()
	var o struct {
		PublicKey struct {
			AllowCredentials, ExcludeCredentials []struct{ ID string }
		}
	}
	if err := json.Unmarshal(b.Prompt, &o); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, c := range append(o.PublicKey.AllowCredentials, o.PublicKey.ExcludeCredentials...) {
		ids = append(ids, c.ID)
	}
	return ids
}

func TestAnAuthenticatorIsRegisteredOnce(t *testing.T) {
	s := newPasskeySite(t)
	h := s.holder("alice")
	b := h.begin("/mfa/enroll/passkey/begin", nil)
	id := h.device.Credentials[0].ID
	if got := allowed(t, b); len(got) != 1 || got[0] != encode(id) {
		t.Errorf("excluded are %v, want the passkey that is there", got)
	}
	if _, err := h.device.Create(b.Prompt); err != mfatest.ErrInvalidState {
		t.Errorf("Create = %v, want %v", err, mfatest.ErrInvalidState)
	}
	for name, user := range map[string]string{"the same user": "alice", "another user": "bob"} {
		t.Run("the same credential for "+name, func(t *testing.T) {
			liar := s.login(user).holding(s.phone())
			if user == "alice" {
				liar = h.holding(s.phone())
			}
			liar.device.Edit.CredentialID = bytes.Clone(id)
			b := liar.begin("/mfa/enroll/passkey/begin", nil)
			a, doc := liar.finish("/mfa/enroll/passkey", b.Ticket, liar.create(b))
			if a.status != http.StatusConflict || !strings.Contains(doc["detail"].(string), "registered") {
				t.Errorf("registering = %d %s, want 409 that says so", a.status, a.body)
			}
		})
	}
}

func TestAnotherFactorDoesNotOpenWhatAsksForAPasskey(t *testing.T) {
	s := newPasskeySite(t)
	h := s.holder("alice")
	h.enroll()
	other := h.again("alice")
	s.advance(30 * time.Second)
	if a := other.fill(other.get("/mfa/verify/totp"), other.code(0)); a.status != http.StatusSeeOther {
		t.Fatalf("the right code = %d\n%s", a.status, text(a.body))
	}
	other.mustBeIn("account")
	other.mustBeOut("payout")
	a := other.do("GET", "/payout", "", "", acceptJSON)
	var doc struct{ Methods []string }
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || !slices.Equal(doc.Methods, []string{"passkey"}) {
		t.Errorf("the problem names %v, %v, want passkeys only", doc.Methods, err)
	}
	page := other.follow(other.get("/payout"))
	if strings.Contains(text(page.body), "Try another way") {
		t.Errorf("step-up offers another way:\n%s", text(page.body))
	}
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Without JavaScript a page says so and leads on; a form that is sent all the same is told, and costs nothing.
func TestAPageWithoutScriptsOffersAnotherWay(t *testing.T) {
	s := newPasskeySite(t)
	h := s.holder("alice")
	h.enroll()
	other := h.again("alice")
	page := other.get("/mfa/verify/passkey")
	for range 2 {
		if !strings.Contains(page.body, "<noscript>") || !strings.Contains(page.body, `href="/mfa/verify?choose=1`) {
			t.Fatalf("the page does not offer another way:\n%s", text(page.body))
		}
		page = other.post("/mfa/verify/passkey", url.Values{"ticket": {found(ticketField, page.body)}, "answer": {""}})
		if page.status != http.StatusUnprocessableEntity {
			t.Fatalf("an empty answer = %d, want 422", page.status)
		}
	}
	device := other.holding(h.device)
	if a := device.press(page, device.sign); a.status != http.StatusSeeOther {
		t.Errorf("the passkey afterwards = %d\n%s", a.status, text(a.body))
	}
}

// Who has a passkey changes factors with it, not with a code that can be phished.
func TestSTEP2_FactorsAreChangedByTheStrongest(t *testing.T) {
	s := newPasskeySite(t)
	h := s.holder("alice")
	h.enroll()
	s.advance(time.Hour)
	other := h.again("alice")
	if a := other.fill(other.get("/mfa/verify/totp"), other.code(0)); a.status != http.StatusSeeOther {
		t.Fatalf("the right code = %d\n%s", a.status, text(a.body))
	}
	other.mustBeIn("account")
	for _, place := range []string{"/mfa/enroll/totp", "/mfa/enroll/passkey", "/mfa/enroll/recovery"} {
		if a := other.get(place); a.status != http.StatusSeeOther || !strings.HasPrefix(a.next, "/mfa/verify") {
			t.Errorf("GET %s = %d to %q, want a proof first", place, a.status, a.next)
		}
	}
	_, doc := other.call("GET", "/mfa/", nil)
	id := doc["factors"].([]any)[0].(map[string]any)["id"].(string)
	for _, change := range []string{"pause", "remove"} {
		a, problem := other.call("POST", "/mfa/factors/"+id+"/"+change, nil)
		if methods := mustJSON(t, problem["methods"]); a.status != http.StatusUnauthorized || strings.Contains(methods, "totp") {
			t.Errorf("%s = %d %s, want 401 without the app among the methods", change, a.status, a.body)
		}
	}
	device := other.holding(h.device)
	device.prove()
	if a, _ := device.call("POST", "/mfa/factors/"+id+"/pause", nil); a.status != http.StatusOK {
		t.Errorf("pausing after the passkey = %d %s", a.status, a.body)
	}
}
