package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// door is a small site with a login form of its own, and the two endpoints that the script calls.
type door struct {
	*small
	begins atomic.Int64
	next   string // of a right answer
	refuse func(w http.ResponseWriter) bool
}

func newDoor(t testing.TB) *door {
	t.Helper()
	d := &door{small: newSmall(t), next: "/inside"}
	d.takes("/auth/mfa/signin/begin", func(w http.ResponseWriter, body string) {
		n := d.begins.Add(1)
		writeJSON(w, http.StatusOK, object{
			"ticket": fmt.Sprint("ticket ", n), "expires": time.Now().Add(10 * time.Minute).Format(time.RFC3339),
			"prompt": request().with("userVerification", "required"),
		})
	})
	d.takes("/auth/mfa/signin", func(w http.ResponseWriter, body string) {
		if d.refuse == nil || !d.refuse(w) {
			writeJSON(w, http.StatusOK, object{"next": d.next})
		}
	})
	d.takes("/login", func(w http.ResponseWriter, body string) {
		writePage(w, http.StatusOK, `<p id="in">In by password</p>`)
	})
	d.page("/inside", `<p id="in">In by passkey</p>`)
	d.page("/", `<p id="in">At the front</p>`)
	d.page("/enroll", ceremony("enroll", creation()))
	d.takesAnswers()
	d.page("/login", loginForm(`data-sallyport-signin="/inside?a=b"`, `autocomplete="username"`))
	return d
}

func loginForm(form, input string) string {
	return `<form method="post" action="/login" ` + form + ` data-sallyport-text-failed="said: failed">
<label>Name <input id="name" name="username" ` + input + `></label>
<label>Password <input id="password" name="password" type="password" autocomplete="current-password"></label>
<button id="go">Sign in</button>
<button type="button" id="passkey" data-sallyport-signin-button hidden>Sign in with a passkey</button></form>`
}

// enrolled returns a tab whose authenticator has a passkey, and nobody is touching it.
func (d *door) enrolled() (*tab, authenticator) {
	d.t.Helper()
	b := newTab(d.t)
	b.before(counted)
	a := b.add(passkeys())
	b.open(d.url + "/enroll")
	b.follow("#go")
	d.answer()
	a.present(false)
	return b, a
}

// counted tells in window.calls which calls to authenticators were made.
const counted = `{ const get = navigator.credentials.get.bind(navigator.credentials);
window.calls = [];
navigator.credentials.get = (o) => { window.calls.push(o.mediation ?? "modal"); return get(o); }; }`

// signedIn returns what the page has sent to sign in.
func (d *door) signedIn() (ticket, back string, a answered) {
	d.t.Helper()
	posts := d.posted("/auth/mfa/signin")
	if len(posts) == 0 {
		d.t.Fatal("nothing was sent to sign in")
	}
	var body struct {
		Ticket, Back string
		Answer       answered
	}
	last := []byte(posts[len(posts)-1])
	var fields map[string]json.RawMessage // the server knows these three
	if err := json.Unmarshal(last, &fields); err != nil || len(fields) != 3 {
		d.t.Fatalf("sent to sign in: %s, %v", last, err)
	}
	if err := json.Unmarshal(last, &body); err != nil {
		d.t.Fatal(err)
	}
	return body.Ticket, body.Back, body.Answer
}

func TestScriptSignsInByAutofill(t *testing.T) {
	d := newDoor(t)
	b, a := d.enrolled()
	a.present(true)
	b.open(d.url + "/login")
	b.until(`document.querySelector("#in")`)
	if got, want := b.text("#in"), "In by passkey"; got != want {
		t.Errorf("the page says %q, want %q", got, want)
	}
	ticket, back, answer := d.signedIn()
	handle := string(decode(t, answer.Response.UserHandle))
	if ticket != "ticket 1" || back != "/inside?a=b" || handle != "handle of alice" {
		t.Errorf("sent: %q, %q, %+v", ticket, back, answer)
	}
	checkSignature(t, answer, a.credentials()[0])
}

func TestScriptSignsInByItsButton(t *testing.T) {
	d := newDoor(t)
	b, a := d.enrolled()
	b.open(d.url + "/login")
	b.until(`window.calls.length === 1`) // autofill waits
	a.present(true)                      // for calls that begin from here on
	b.tryClick("#passkey")               // not refused: the open call is ended before
	b.until(`document.querySelector("#in")`)
	if got, want := b.text("#in"), "In by passkey"; got != want {
		t.Errorf("the page says %q, want %q", got, want)
	}
	if n := d.begins.Load(); n != 1 {
		t.Errorf("%d tickets were taken, want 1", n)
	}
}

func TestScriptLeadsNowhereElse(t *testing.T) {
	for _, next := range []string{"https://example.org/", "//example.org/", "javascript:alert(1)", "data:text/html,x"} {
		t.Run(next, func(t *testing.T) {
			d := newDoor(t)
			d.next = next
			b, a := d.enrolled()
			a.present(true)
			b.open(d.url + "/login")
			b.until(`document.querySelector("#in")`)
			if got, want := b.text("#in"), "At the front"; got != want {
				t.Errorf("the page says %q, want %q", got, want)
			}
		})
	}
}

func TestScriptLeavesThePasswordAlone(t *testing.T) {
	for name, set := range map[string]func(*tab){
		"while autofill waits": func(b *tab) { b.until(`window.calls.length === 1`) },
		"while a passkey is asked for": func(b *tab) {
			b.until(`window.calls.length === 1`)
			b.click("#passkey")
			b.until(`window.calls.length === 2`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			b, _ := d.enrolled()
			b.open(d.url + "/login")
			set(b)
			b.fill("#name", "alice")
			b.fill("#password", "demo")
			b.follow("#go")
			if got, want := b.text("#in"), "In by password"; got != want {
				t.Errorf("the page says %q, want %q", got, want)
			}
			if posts := d.posted("/login"); len(posts) != 1 || posts[0] != "username=alice&password=demo" {
				t.Errorf("the form sent %q", posts)
			}
			b.do(chromedp.NavigateBack())
			b.until(`document.querySelector("#passkey") && window.calls.at(-1) === "conditional"`) // it waits again
		})
	}
	for name, before := range map[string]string{
		"without passkeys in the browser":  "delete window.PublicKeyCredential",
		"without conditional calls":        "delete PublicKeyCredential.isConditionalMediationAvailable",
		"where the server is out of reach": `window.fetch = async () => { throw new TypeError("Failed to fetch"); }`,
	} {
		t.Run(name, func(t *testing.T) {
			d, b := newDoor(t), newTab(t)
			b.before(before)
			b.open(d.url + "/login")
			b.fill("#name", "alice")
			b.press("\r")
			b.until(`document.querySelector("#in")`)
			if n := len(d.posted("/login")); n != 1 {
				t.Errorf("the form was sent %d times", n)
			}
		})
	}
}

func TestScriptHidesItsButtonWithoutPasskeys(t *testing.T) {
	d, b := newDoor(t), newTab(t)
	b.before("delete window.PublicKeyCredential")
	b.open(d.url + "/login")
	if !eval[bool](b, `document.querySelector("#passkey").hidden`) {
		t.Error("a button is shown that cannot work")
	}
}

func TestScriptIsSilentAboutWhatNobodyWanted(t *testing.T) {
	d, b := newDoor(t), newTab(t)
	b.before(counted)
	b.add(passkeys()) // without any passkey: the browser refuses at once
	b.open(d.url + "/login")
	b.until(`window.calls.length === 1`)
	b.click("#passkey")
	b.until(`window.calls.join() === "conditional,modal,conditional"`)
	if n := b.count("[role=alert]"); n != 0 {
		t.Errorf("the page says %q", b.text("[role=alert]"))
	}
}

func TestScriptTellsWhatTheServerRefuses(t *testing.T) {
	d := newDoor(t)
	d.refuse = func(w http.ResponseWriter) bool {
		if len(d.posted("/auth/mfa/signin")) > 1 {
			return false
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		io.WriteString(w, `{"type":"/mfa/problems/wrong-answer","title":"That didn't work",
"detail":"This site does not know the passkey.",
"signal":{"unknownCredential":{"rpId":"localhost","credentialId":"AAAA"}}}`)
		return true
	}
	b, a := d.enrolled()
	b.expect("answer: 422")
	b.before(`PublicKeyCredential.signalUnknownCredential = async (v) => { window.signaled = JSON.stringify(v); };`)
	b.before(quiet)
	a.present(true)
	b.open(d.url + "/login")
	b.click("#passkey")
	b.until(`document.querySelector("[role=alert]")?.textContent`)
	if got, want := b.text("[role=alert]"), "This site does not know the passkey."; got != want {
		t.Errorf("the page says %q, want %q", got, want)
	}
	if got, want := eval[string](b, `window.signaled`), `{"rpId":"localhost","credentialId":"AAAA"}`; got != want {
		t.Errorf("the browser was told %s, want %s", got, want)
	}
	b.click("#passkey")
	b.until(`document.querySelector("#in")`)
	if ticket, _, _ := d.signedIn(); ticket != "ticket 2" {
		t.Errorf("the second answer came with %q, want a new ticket", ticket)
	}
}

func TestScriptStopsWhereSignInIsNotOffered(t *testing.T) {
	s, b := newSmall(t), newTab(t)
	b.expect("answer: 404")
	s.takes("/auth/mfa/signin/begin", func(w http.ResponseWriter, body string) {
		writeJSON(w, http.StatusNotFound, object{"title": "Nothing is here"})
	})
	s.page("/login", loginForm("data-sallyport-signin", ""))
	b.open(s.url + "/login")
	b.until(`document.querySelector("#passkey").hidden`)
	b.until(`performance.getEntriesByName(location.origin + "/auth/mfa/signin/begin").length === 1`)
	if n := b.count("[role=alert]"); n != 0 {
		t.Errorf("the page says %q", b.text("[role=alert]"))
	}
}

// Tickets end. A page that was left open takes a new one before that, and only while somebody can see it.
func TestScriptRenewsItsTicket(t *testing.T) {
	d := newDoor(t)
	b, a := d.enrolled()
	b.before(`{ const now = Date.now; let skipped = 0;
Date.now = () => now() + skipped;
window.setInterval = (f) => { window.tick = f; };
window.skip = (ms) => { skipped += ms; window.tick(); }; }`)
	b.open(d.url + "/login")
	b.until(`window.calls.length === 1`)
	eval[bool](b, `window.skip(7 * 60e3) ?? true`)
	if n := d.begins.Load(); n != 1 {
		t.Errorf("%d tickets after 7 minutes, want 1", n)
	}
	eval[bool](b, `window.skip(2 * 60e3) ?? true`)
	b.until(`window.calls.join() === "conditional,conditional"`)
	if n := d.begins.Load(); n != 2 {
		t.Errorf("%d tickets after 9 minutes, want 2", n)
	}
	eval[bool](b, `Object.defineProperty(document, "hidden", { value: true, configurable: true }) &&
(window.skip(60 * 60e3) ?? true)`)
	if n := d.begins.Load(); n != 2 {
		t.Errorf("%d tickets for a page that nobody sees, want 2", n)
	}
	eval[bool](b, `delete document.hidden && document.dispatchEvent(new Event("visibilitychange"))`)
	b.until(`window.calls.length === 3`)
	a.present(true)
	b.tryClick("#passkey")
	b.until(`document.querySelector("#in")`)
	if ticket, _, _ := d.signedIn(); ticket != "ticket 3" {
		t.Errorf("answered with %q, want the newest ticket", ticket)
	}
}

// A second tab of one browser asks on its own.
func TestScriptWorksInTwoTabs(t *testing.T) {
	d := newDoor(t)
	b, a := d.enrolled()
	b.open(d.url + "/login")
	b.until(`window.calls.length === 1`)
	second := b.beside()
	second.open(d.url + "/login")
	second.until(`document.querySelector("#passkey") && !document.querySelector("#passkey").hidden`)
	a.present(true)
	b.tryClick("#passkey")
	b.until(`document.querySelector("#in")`)
	second.fill("#name", "alice")
	second.follow("#go")
	if got, want := second.text("#in"), "In by password"; got != want {
		t.Errorf("the second tab says %q, want %q", got, want)
	}
}

func TestScriptMakesFieldsOfferPasskeys(t *testing.T) {
	for name, c := range map[string]struct{ form, input, want string }{
		"a field that says nothing":        {"data-sallyport-signin", ``, "username webauthn"},
		"a field for names":                {"data-sallyport-signin", `autocomplete="username"`, "username webauthn"},
		"a field for addresses":            {"data-sallyport-signin", `autocomplete="home email"`, "home email webauthn"},
		"a field that offers nothing":      {"data-sallyport-signin", `autocomplete="off"`, "username webauthn"},
		"a field that offers them already": {"data-sallyport-signin", `autocomplete="email webauthn"`, "email webauthn"},
		"the field itself is marked":       {"", `data-sallyport-signin`, "username webauthn"},
	} {
		t.Run(name, func(t *testing.T) {
			d, b := newDoor(t), newTab(t)
			b.webauthn()
			d.page("/form", loginForm(c.form, c.input))
			b.open(d.url + "/form")
			b.until(`!document.querySelector("#passkey").hidden`)
			if got := eval[string](b, `document.querySelector("#name").getAttribute("autocomplete")`); got != c.want {
				t.Errorf("autocomplete is %q, want %q", got, c.want)
			}
		})
	}
}
