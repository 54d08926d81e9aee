package sallyport_test

import (
	"context"
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport"
	"sallyport/mfa"
)

// tray is a courier that keeps what it carries.
type tray struct {
	name    string
	address func(mfa.User) string
	sign    string // that its addresses hold

	mu    sync.Mutex
	mails []mfa.Message
	err   error // of the next deliveries
}

func (c *tray) Name() string { return c.name }

func (c *tray) Address(u mfa.User) string { return c.address(u) }

func (c *tray) Canonical(typed string) (string, bool) {
	typed = strings.ToLower(strings.TrimSpace(typed))
	return typed, strings.Contains(typed, c.sign) && !strings.ContainsAny(typed, " \r\n")
}

func (c *tray) Mask(address string) string { return address[:2] + "…" + address[len(address)-2:] }

func (c *tray) Carry(_ context.Context, m mfa.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	c.mails = append(c.mails, m)
	return nil
}

func (c *tray) sent() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.mails)
}

// last is the newest message that was delivered.
func (c *tray) last(t testing.TB) mfa.Message {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.mails) == 0 {
		t.Fatalf("%s has delivered nothing", c.name)
	}
	return c.mails[len(c.mails)-1]
}

func (c *tray) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// sending is a site whose users get codes by e-mail and on one phone.
type sending struct {
	*site
	mail, sms *tray
}

const alicesPhone = "+447700900123"

// newSending starts one. Its policy is content with a code that was sent, and asks everybody for one.
func newSending(t testing.TB, changes ...func(*site, *sallyport.Config)) *sending {
	t.Helper()
	d := &sending{
		mail: &tray{name: "email", sign: "@", address: func(u mfa.User) string { return u.Email }},
		sms: &tray{name: "sms", sign: "+", address: func(u mfa.User) string {
			if u.ID == "alice" {
				return alicesPhone
			}
			return ""
		}},
	}
	ours := func(_ *site, c *sallyport.Config) {
		c.Methods = []mfa.Method{mfa.TOTP{}, mfa.Recovery{}, mfa.SentCodes{Couriers: []mfa.Courier{d.mail, d.sms}}}
		c.Policy = func(*http.Request) (mfa.Policy, error) { return mfa.Policy{Factors: 1, Min: mfa.Sent}, nil }
	}
	d.site = newSite(t, append([]func(*site, *sallyport.Config){ours}, changes...)...)
	return d
}

// ask has a code sent by the form of our page, and returns the page that asks for it.
func (d *sending) ask(b *browser, back string) answer {
	b.t.Helper()
	page := b.follow(b.get(back))
	action := found(formAction, page.body)
	if !strings.HasSuffix(action, "/begin") {
		b.t.Fatalf("GET %s = %d, no form that sends a code, but %q\n%s", back, page.status, action, text(page.body))
	}
	return b.post(action, url.Values{"factor": {found(factorField, page.body)}, "back": {found(backField, page.body)}})
}

var factorField = regexp.MustCompile(`name="factor" value="([^"]*)"`)

func TestACodeThatWasSentOpensWhatAsksForOne(t *testing.T) {
	d := newSending(t)
	b := d.login("alice")
	b.mustBeOut("account")
	page := d.ask(b, "/account")
	for name, c := range map[string]*tray{"alice@example.com": d.mail, alicesPhone: d.sms} {
		m := c.last(t)
		if c.sent() != 1 || m.To != name || m.Purpose != "verify" || m.User.ID != "alice" || len(m.Code) != 8 {
			t.Errorf("%s delivered %d, the last %+v; want one for verify to %s", c.name, c.sent(), m, name)
		}
		if shown := html.UnescapeString(page.body); strings.Contains(shown, name) || strings.Contains(shown, m.Code) ||
			!strings.Contains(shown, c.Mask(name)) {
			t.Errorf("the page shows the address %s or the code, or not %s:\n%s", name, c.Mask(name), text(page.body))
		}
		host, _ := url.Parse(d.server.URL)
		if lines := strings.Split(m.Short, "\n"); lines[len(lines)-1] != "@"+host.Hostname()+" #"+m.Code {
			t.Errorf("the last line of the text message is %q", lines[len(lines)-1])
		}
	}
	if d.mail.last(t).Code != d.sms.last(t).Code || d.mail.last(t).ID == d.sms.last(t).ID {
		t.Error("the two messages have two codes, or one id")
	}
	if a := b.fill(page, "00000000"); a.status != http.StatusUnprocessableEntity ||
		!strings.Contains(a.body, d.mail.Mask("alice@example.com")) {
		t.Fatalf("a wrong code = %d, want 422 and where the code went\n%s", a.status, text(a.body))
	} else if a = b.fill(a, d.mail.last(t).Code); a.status != http.StatusSeeOther || a.next != "/account" {
		t.Fatalf("the right code = %d to %q\n%s", a.status, a.next, text(a.body))
	}
	b.mustBeIn("account")
	b.mustBeOut("vault")
}

func TestACodeThatWasSentInJSON(t *testing.T) {
	d := newSending(t)
	b := d.login("alice")
	a, begun := b.call("POST", "/mfa/verify/sent/begin", map[string]string{})
	prompt, _ := begun["prompt"].(map[string]any)
	to, _ := prompt["to"].([]any)
	again := d.clock().Add(mfa.SendAgainIn).Format(time.RFC3339)
	if a.status != http.StatusOK || len(to) != 2 || prompt["sent"] != true || prompt["digits"] != 8.0 ||
		prompt["resend_at"] != again {
		t.Fatalf("begin = %d %v, want two addresses, sent, 8 digits, again at %s", a.status, begun, again)
	}
	a, again2 := b.call("POST", "/mfa/verify/sent/begin", map[string]string{})
	if p, _ := again2["prompt"].(map[string]any); a.status != http.StatusOK || p["sent"] != false ||
		p["resend_at"] != again || d.mail.sent() != 1 {
		t.Errorf("begin at once = %d %v and %d mails, want the same code", a.status, again2, d.mail.sent())
	}
	a, done := b.call("POST", "/mfa/verify/sent", map[string]any{"ticket": begun["ticket"],
		"answer": d.mail.last(t).Code})
	if proved, _ := done["proved"].(map[string]any); a.status != http.StatusOK || proved["strength"] != "sent" {
		t.Fatalf("the right code = %d %v", a.status, done)
	}
	b.mustBeIn("account")
}

func TestOOB5_OnlyAFormOfOurOwnSendsACode(t *testing.T) {
	d := newSending(t)
	b := d.login("alice")
	door := b.get("/account").next
	for _, path := range []string{door, "/mfa/verify", "/mfa/verify/sent", "/mfa/verify/sent/begin",
		"/mfa/verify?choose=1",
		"/mfa/enroll/sent", "/mfa/enroll/sent/begin", "/mfa/enroll/sent?address=eve@example.com", "/mfa/"} {
		b.get(path)
		b.get(path, header{"Sec-Purpose", "prefetch"})
		b.do("HEAD", path, "", "")
		b.do("GET", path, "", "", acceptJSON)
	}
	form := "application/x-www-form-urlencoded"
	for _, place := range []string{"/mfa/verify/sent/begin", "/mfa/enroll/sent/begin"} {
		for _, from := range []header{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}, {"Origin",
			"null"}} {
			if a := b.do("POST", place, form, "address=eve@example.com", from); a.status != http.StatusForbidden {
				t.Errorf("POST %s with %v = %d, want 403", place, from, a.status)
			}
		}
	}
	if n := d.mail.sent() + d.sms.sent(); n != 0 {
		t.Errorf("%d messages were sent, want none", n)
	}
	d.ask(b, "/account")
	if d.mail.sent() != 1 {
		t.Errorf("our form sent %d mails, want 1", d.mail.sent())
	}
}

func TestOOB5_AnHourHasFiveCodesAndTheRefusalSaysWhen(t *testing.T) {
	d := newSending(t)
	for i := range mfa.SendsAnHour {
		d.ask(d.login("alice"), "/account") // a new login each time
		d.advance(2 * time.Minute)
		if d.mail.sent() != i+1 {
			t.Fatalf("%d mails after %d forms", d.mail.sent(), i+1)
		}
	}
	b := d.login("alice")
	page := d.ask(b, "/account")
	if page.status != http.StatusTooManyRequests || page.header.Get("Retry-After") != "3000" ||
		d.mail.sent() != mfa.SendsAnHour {
		t.Errorf("the sixth = %d, Retry-After %q, %d mails; want 429 for 50 minutes", page.status,
			page.header.Get("Retry-After"), d.mail.sent())
	}
	d.advance(50*time.Minute + time.Second)
	if page := d.ask(b, "/account"); page.status != http.StatusOK || d.mail.sent() != mfa.SendsAnHour+1 {
		t.Errorf("after the wait = %d, %d mails", page.status, d.mail.sent())
	}
}

func TestOOB1_ACodeIsDeadAfterFiveWrongOnes(t *testing.T) {
	for wrong, want := range map[int]bool{4: true, 5: false} {
		d := newSending(t)
		b := d.login("alice")
		page := d.ask(b, "/account")
		code := d.mail.last(t).Code
		for range wrong {
			page = b.fill(page, "00000000")
		}
		d.advance(5 * time.Minute) // longer than any wait of so few
		if found(formAction, page.body) == "" {
			page = d.ask(b, "/account")
			code = d.mail.mails[0].Code
		}
		b.fill(page, code)
		if got := b.isIn("account"); got != want {
			t.Errorf("the code after %d wrong ones opens = %v, want %v", wrong, got, want)
		}
	}
}

func TestOOB2_ACodeIsGoodOnceInItsOwnLoginForItsOwnPurpose(t *testing.T) {
	d := newSending(t)
	b := d.login("alice")
	page := d.ask(b, "/account")
	code := d.mail.last(t).Code

	other := d.login("alice")
	stranger := d.ask(other, "/account") // at once, so that nothing is sent for it
	other.fill(stranger, code)
	other.mustBeOut("account")
	b.fill(page, code)
	b.mustBeIn("account")
	if other.fill(d.ask(other, "/account"), code); other.isIn("account") {
		t.Error("a used code opens another login")
	}

	d.advance(2 * time.Minute)
	late := d.login("alice")
	d.ask(late, "/account")
	first := d.mail.last(t).Code
	d.advance(2 * time.Minute)
	page = d.ask(late, "/account")
	late.fill(page, first)
	late.mustBeOut("account")
	page = d.ask(late, "/account")
	late.fill(page, d.mail.last(t).Code)
	late.mustBeIn("account")
}

func TestOOB2_ACodeLivesForTenMinutes(t *testing.T) {
	for life, want := range map[time.Duration]bool{9*time.Minute + 59*time.Second: true,
		10*time.Minute + time.Second: false} {
		d := newSending(t)
		b := d.login("alice")
		d.ask(b, "/account")
		code := d.mail.last(t).Code
		d.advance(life - 30*time.Second)
		page := d.login("alice")
		page.get("/account")
		_, begun := b.call("POST", "/mfa/verify/sent/begin", nil)
		fresh := d.mail.last(t).Code
		d.advance(30 * time.Second)
		// What was sent meanwhile has taken its place, so that only the newest is good.
		b.call("POST", "/mfa/verify/sent", map[string]any{"ticket": begun["ticket"], "answer": code})
		b.mustBeOut("account")
		_, begun = b.call("POST", "/mfa/verify/sent/begin", nil)
		b.call("POST", "/mfa/verify/sent", map[string]any{"ticket": begun["ticket"], "answer": fresh})
		b.mustBeIn("account")

		alone := d.login("bob")
		_, begun = alone.call("POST", "/mfa/verify/sent/begin", nil)
		code = d.mail.last(t).Code
		d.advance(life)
		alone.call("POST", "/mfa/verify/sent", map[string]any{"ticket": begun["ticket"], "answer": code})
		if got := alone.isIn("account"); got != want {
			t.Errorf("a code after %v opens = %v, want %v", life, got, want)
		}
	}
}

func TestWhatCouldNotBeDeliveredIsTold(t *testing.T) {
	d := newSending(t)
	d.sms.fail(errors.New("451 no route"))
	b := d.login("alice")
	page := d.ask(b, "/account")
	if !strings.Contains(page.body, "1 of 2 messages could not be delivered") || strings.Contains(page.body, "451") {
		t.Errorf("the page does not say that one of two failed, or says why:\n%s", text(page.body))
	}
	b.fill(page, d.mail.last(t).Code)
	b.mustBeIn("account")
	d.mail.fail(errors.New("gone"))
	if page = d.ask(d.login("bob"), "/account"); !strings.Contains(page.body, "could not be delivered. Wait a moment") {
		t.Errorf("the page does not say that none was delivered:\n%s", text(page.body))
	}
	if log := d.log.String(); !strings.Contains(log, "451 no route") || strings.Contains(log, d.mail.last(t).Code) {
		t.Error("the log does not say why, or holds the code")
	}
}

func TestENUM1_NobodyLearnsThatADestinationIsFull(t *testing.T) {
	d := newSending(t)
	shape := func(user string) string {
		_, begun := d.login(user).call("POST", "/mfa/verify/sent/begin", nil)
		prompt, _ := begun["prompt"].(map[string]any)
		prompt["resend_at"], prompt["factor"] = "", ""
		return strings.ReplaceAll(mustJSON(t, prompt), user[:2]+"…", "xx…")
	}
	fresh := shape("bob")
	for _, user := range []string{"carol", "dave", "erin", "fred", "gina", "hugo"} {
		b := d.enrolledBySent(user)
		b.call("POST", "/mfa/enroll/sent/begin", map[string]string{"address": "ruth@example.com"})
	}
	before := d.mail.sent()
	if full := shape("ruth"); full != fresh {
		t.Errorf("begin for a full address = %s, want as for a fresh one %s", full, fresh)
	}
	if d.mail.sent() != before {
		t.Error("a mail was sent to an address that had its five of this hour")
	}
}

// enrolledBySent returns a browser in which a user has proved a code that was sent, and nothing else.
func (d *sending) enrolledBySent(user string) *browser {
	d.t.Helper()
	b := d.login(user)
	b.fill(d.ask(b, "/account"), d.mail.last(d.t).Code)
	b.mustBeIn("account")
	d.advance(mfa.SendAgainIn + time.Second)
	return b
}

func TestHOST1_NoHeaderChangesWhatAMessageSays(t *testing.T) {
	d := newSending(t)
	b := d.login("alice")
	a := b.do("POST", "/mfa/verify/sent/begin", "application/json", "{}", header{"Host", "evil.example"},
		acceptJSON, header{"Cookie", b.cookies()},
		header{"X-Forwarded-Host", "evil.example"}, header{"X-Forwarded-Proto", "http"}, header{"Forwarded",
			"host=evil.example"})
	if a.status != http.StatusOK {
		t.Fatalf("begin = %d %s", a.status, a.body)
	}
	for _, c := range []*tray{d.mail, d.sms} {
		m := c.last(t)
		for part, said := range map[string]string{"subject": m.Subject, "text": m.Text, "HTML": m.HTML,
			"short": m.Short, "spoken": m.Spoken} {
			if said == "" || strings.Contains(said, "evil") {
				t.Errorf("the %s of the message is %q", part, said)
			}
		}
	}
}

func TestAnAddressIsEnrolledByTheCodeThatWentThere(t *testing.T) {
	d := newSending(t)
	b := d.enrolledBySent("alice")
	page := b.get("/mfa/enroll/sent")
	bad := b.post(found(formAction, page.body), url.Values{"address": {"nowhere"}})
	if bad.status != http.StatusBadRequest || !strings.Contains(bad.body, `value="nowhere"`) ||
		!strings.Contains(bad.body, `id="error"`) {
		t.Fatalf("a bad address = %d, want 400 and the form\n%s", bad.status, text(bad.body))
	}
	before := d.mail.sent()
	page = b.post(found(formAction, bad.body), url.Values{"address": {" Other@Example.com "}})
	m := d.mail.last(t)
	if d.mail.sent() != before+1 || m.To != "other@example.com" || m.Purpose != "enroll" {
		t.Fatalf("the code went to %q for %q, %d mails; want one more", m.To, m.Purpose, d.mail.sent()-before)
	}
	if a := b.fill(page, "00000000"); a.status != http.StatusUnprocessableEntity {
		t.Fatalf("a wrong code = %d", a.status)
	} else if a = b.fill(a, m.Code, "label", "Work"); a.status != http.StatusSeeOther {
		t.Fatalf("the right code = %d\n%s", a.status, text(a.body))
	}
	if home := b.get("/mfa/"); !strings.Contains(home.body, "Work") || strings.Contains(home.body, "other@example.com") {
		t.Errorf("the list does not name it, or shows the whole address:\n%s", text(home.body))
	}
	d.advance(2 * time.Minute)
	again := d.login("alice")
	id := b.factor("sent")
	_, begun := again.call("POST", "/mfa/verify/sent/begin", map[string]string{"factor": id})
	if m := d.mail.last(t); m.To != "other@example.com" {
		t.Fatalf("the code of the factor went to %q", m.To)
	}
	again.call("POST", "/mfa/verify/sent", map[string]any{"ticket": begun["ticket"], "answer": d.mail.last(t).Code})
	again.mustBeIn("account")
}

func TestSTEP1_TheMailboxComesBeforeAFirstFactor(t *testing.T) {
	d := newSending(t)
	owner := d.enrolledBySent("alice")
	owner.enroll() // who has the mailbox may
	eve := d.login("bob")
	for _, path := range []string{"/mfa/enroll", "/mfa/enroll/totp", "/mfa/enroll/sent"} {
		if a := eve.get(path); a.status != http.StatusSeeOther || !strings.HasPrefix(a.next, "/mfa/verify") {
			t.Errorf("GET %s with the password alone = %d to %q, want the way to a code\n%s", path, a.status, a.next,
				text(a.body))
		}
	}
	for _, path := range []string{"/mfa/enroll/totp/begin", "/mfa/enroll/sent/begin"} {
		body := map[string]string{}
		if strings.Contains(path, "sent") {
			body["address"] = "eve@example.com"
		}
		if a, doc := eve.call("POST", path, body); a.status != http.StatusUnauthorized || doc["ticket"] != nil {
			t.Errorf("POST %s with the password alone = %d %v, want 401", path, a.status, doc)
		}
	}
	if d.mail.last(t).To == "eve@example.com" {
		t.Error("a code was sent to an address of somebody who knows the password alone")
	}
	eve.mustBeOut("account")
}

func TestAMutedCourierIsLeftOut(t *testing.T) {
	d := newSending(t)
	b := d.enrolledBySent("alice")
	b.enroll()
	home := b.get("/mfa/")
	if !strings.Contains(home.body, "/mfa/couriers/sms/mute") ||
		!strings.Contains(home.body, "/mfa/couriers/email/mute") {
		t.Fatalf("the security home does not offer to switch couriers off:\n%s", text(home.body))
	}
	if a := b.post("/mfa/couriers/sms/mute", nil); a.status != http.StatusSeeOther || a.next != "/mfa/" {
		t.Fatalf("switching SMS off = %d to %q\n%s", a.status, a.next, text(a.body))
	}
	if kind := d.events()[len(d.events())-1]; kind != mfa.CourierMuted {
		t.Errorf("the user is told of %s, want of the courier", kind)
	}
	if a, _ := b.call("POST", "/mfa/couriers/email/mute", nil); a.status != http.StatusConflict {
		t.Errorf("switching the last one off = %d, want 409", a.status)
	}
	if a, _ := b.call("POST", "/mfa/couriers/pigeon/mute", nil); a.status != http.StatusNotFound {
		t.Errorf("switching off what there is not = %d, want 404", a.status)
	}
	mails, texts := d.mail.sent(), d.sms.sent()
	d.advance(2 * time.Minute)
	if page := d.ask(d.login("alice"), "/mfa/verify/sent"); strings.Contains(page.body, d.sms.Mask(alicesPhone)) {
		t.Error("the page says that a text message was sent")
	}
	if d.mail.sent() != mails+1 || d.sms.sent() != texts {
		t.Errorf("%d mails and %d text messages, want one and none", d.mail.sent()-mails, d.sms.sent()-texts)
	}
	d.advance(10 * time.Minute)
	a := b.post("/mfa/couriers/sms/unmute", nil)
	if a.status != http.StatusSeeOther || !strings.HasPrefix(a.next, "/mfa/verify") {
		t.Fatalf("switching on with an old proof = %d to %q, want the way to a proof", a.status, a.next)
	}
	page := b.get(a.next)
	if a = b.fill(page, b.code(0)); a.next == "" || b.follow(a).status != http.StatusOK {
		t.Errorf("after the proof = %d to %q, then %d; want a page", a.status, a.next, b.follow(a).status)
	}
	if a := b.post("/mfa/couriers/sms/unmute", nil); a.next != "/mfa/" {
		t.Errorf("switching on = %d to %q", a.status, a.next)
	}
}
