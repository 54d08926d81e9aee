package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// state is a page as somebody meets it.
type state struct {
	name  string
	shots []look // to be drawn; the checks are made in all looks
}

// look is how a page is shown.
type look struct {
	name   string // part of a file's name
	width  int64
	height int64
	dark   bool
}

// looks are a desk by day and night, and the narrowest phone that pages must fit.
func looks() []look {
	return []look{
		{"light", 1000, 700, false}, {"dark", 1000, 700, true},
		{"light.phone", 320, 640, false}, {"dark.phone", 320, 640, true},
	}
}

// wear shows the page in a look.
func (b *tab) wear(l look) {
	b.t.Helper()
	b.size(l.width, l.height)
	b.dark(l.dark)
}

// walk leads a visitor of the demo through every page and state, and calls see in each.
func walk(t testing.TB, see func(v *visitor, s state)) {
	t.Helper()
	v := startDemo(t).visitor(t, "alice", mouse{})
	v.tab = newTabFor(t, 6*time.Minute)
	key := v.add(passkeys())
	key.present(false)
	at := func(name string, shots ...string) {
		t.Helper()
		s := state{name: name}
		for _, l := range looks() {
			if slices.Contains(shots, l.name) {
				s.shots = append(s.shots, l)
			}
		}
		see(v, s)
		v.wear(looks()[0])
	}
	both := []string{"light", "dark.phone"}
	walkSite(v, at)
	walkEnrollment(v, at, both)
	walkHome(v, at, both, key)
	walkVerification(v, at, both)
	walkWaiting(v, at, both)
	walkSent(v, at, both)
	walkProblems(v, at)
}

type seer func(name string, shots ...string)

// walkSite is the demo's own pages, which are not the product's.
func walkSite(v *visitor, at seer) {
	v.t.Helper()
	v.open(v.d.url + "/")
	at("demo-start", "light", "dark.phone")
	v.open(v.d.url + "/login")
	at("demo-login", "light")
	v.enter("Name", "alice")
	v.enter("Password", "wrong")
	v.use("Sign in")
	at("demo-login-wrong", "dark.phone")
	v.signIn()
	v.isIn("account")
	at("demo-account", "light")
	v.open(v.d.url + "/mfa/")
	at("home-empty", "light")
	v.open(v.d.url + "/help")
	at("demo-help")
}

func walkEnrollment(v *visitor, at seer, both []string) {
	v.t.Helper()
	v.open(v.d.url + "/payout")
	at("enroll-passkey", both...)
	eval[bool](v.tab, `navigator.credentials.create = async () => {
throw new DOMException("", "NotAllowedError"); }; true`)
	v.hands.press(v.tab, "Add a passkey")
	v.until(`document.querySelector("[role=alert]")?.textContent`)
	at("enroll-passkey-none", "light")
	v.open(v.d.url + "/vault")
	at("enroll", both...)
	v.use("Authenticator app")
	at("enroll-totp", both...)
	v.enter("Name (optional)", "Work phone")
	v.enter("Code from the app", "000000")
	v.use("Add the app")
	at("enroll-totp-wrong", "dark")
	v.addApp("Work phone")
	at("enroll-recovery", both...)
	v.enter("Type one of the codes", "AAAAA")
	v.use("I have saved them")
	at("enroll-recovery-wrong", "dark.phone")
	v.keepCodes()
	v.isIn("vault")
	at("demo-vault")
	v.open(v.d.url + "/outbox")
	at("demo-outbox", "dark")
}

func walkHome(v *visitor, at seer, both []string, key authenticator) {
	v.t.Helper()
	home := func() { v.t.Helper(); v.open(v.d.url + "/mfa/") }
	home()
	v.use("Pause Work phone")
	v.use("Pause it")
	at("problem-last-factor", "light")
	home()
	v.use("Add: Passkey")
	v.enter("Name (optional)", "Laptop")
	key.present(true)
	v.use("Add a passkey")
	key.present(false)
	home()
	v.use("Ask for it first: Work phone")
	at("home", both...)
	v.use("Add: Authenticator app")
	v.addApp("An old tablet that lies in the drawer of the desk at home, second from above")
	home()
	at("home-long", "light.phone")
	v.use("Rename Work phone")
	at("rename", "light")
	v.use("Cancel")
	v.use("Pause An old tablet")
	at("pause", "light")
	v.use("Pause it")
	at("home-paused", "dark")
	v.use("Use it again: An old tablet")
	v.use("Remove An old tablet")
	at("remove", "dark.phone")
	v.use("Remove it")
	v.use("End other sessions")
	at("end-sessions", "light")
	home()
	v.use("Make new codes")
	at("enroll-recovery-replaces", "light")
	v.open(v.d.url + "/mfa/status")
	at("status")
}

func walkVerification(v *visitor, at seer, both []string) {
	v.t.Helper()
	v.signOut()
	v.signIn()
	v.asks()
	at("verify-totp", both...)
	v.enter("Code from Work phone", v.wrong())
	v.use("Confirm")
	at("verify-totp-wrong", "light", "dark.phone")
	v.use("Try another way")
	at("choose", both...)
	v.use("Laptop")
	at("verify-passkey", both...)
	eval[bool](v.tab, `navigator.credentials.get = async () => { throw new DOMException("", "NotAllowedError"); }; true`)
	v.hands.press(v.tab, "Use your passkey")
	v.until(`document.querySelector("[role=alert]")?.textContent`)
	at("verify-passkey-none", "dark.phone")
	v.use("Try another way")
	v.use("Recovery codes")
	at("verify-recovery", both...)
	v.enter("Recovery code", "AAAAA")
	v.use("Confirm")
	at("verify-recovery-wrong")
	v.enter("Recovery code", v.spend())
	v.use("Confirm")
	at("recovered", both...)
}

func walkWaiting(v *visitor, at seer, both []string) {
	v.t.Helper()
	v.signOut()
	v.open(v.d.url + "/mfa/signin")
	at("signin", "light")
	v.signIn()
	v.open(v.d.url + "/")
	v.offersForm()
	v.use("Post a note")
	at("again", "light")
	v.open(v.d.url + "/mfa/confirmed")
	at("confirmed")
	for range 5 {
		v.open(v.d.url + "/account")
		v.enterIfAsked("Code from Work phone", v.wrong())
	}
	at("verify-totp-fifth", "light")
	v.open(v.d.url + "/account")
	at("too-many", both...)
	v.d.advance(2 * time.Minute)
}

// walkSent adds an address, has the browser remembered, and goes by a code that is sent.
func walkSent(v *visitor, at seer, both []string) {
	v.t.Helper()
	v.open(v.d.url + "/mfa/enroll/sent")
	v.recovers()
	at("enroll-sent", "light")
	v.enter("E-mail address or phone number", "nothing of the kind")
	v.use("Send the code")
	at("enroll-sent-wrong")
	v.enter("E-mail address or phone number", "archer@example.org")
	v.use("Send the code")
	at("enroll-sent-code", "dark.phone")
	code, _ := v.received()
	v.enter("The code", other(code))
	v.use("Add it")
	at("enroll-sent-code-wrong")
	v.enter("Name (optional)", "Private mail")
	v.enter("The code", code)
	v.use("Add it")
	v.open(v.d.url + "/mfa/")
	v.use("Switch off: Text message")
	v.use("Remove Laptop") // so that the app is the strongest, and is enough here
	v.use("Remove it")
	v.signOut()
	v.signIn()
	v.tick("Don't ask on this browser for ")
	v.proves("Work phone")
	v.open(v.d.url + "/mfa/")
	at("home-remembered", both...)
	v.use("Rename Headless Chrome")
	at("rename-browser")
	v.use("Cancel")
	v.use("Forget Headless Chrome")
	at("forget-browser")
	v.open(v.d.url + "/mfa/enroll/hotp")
	at("enroll-hotp")
	v.signOut()
	v.name = "carol"
	v.open(v.d.url + "/notes")
	v.givesPassword()
	at("verify-sent", "light")
	v.use("Send the code")
	at("verify-sent-code", both...)
	code, _ = v.received()
	v.enter("The code", other(code))
	v.use("Confirm")
	at("verify-sent-code-wrong")
	v.enter("The code", code)
	v.use("Confirm")
	v.isIn("notes")
}

// recovers answers a page that asks, with a recovery code.
func (v *visitor) recovers() {
	v.t.Helper()
	v.asks()
	v.use("Try another way")
	v.use("Recovery codes")
	v.enter("Recovery code", v.spend())
	v.use("Confirm")
	v.use("Continue")
}

func walkProblems(v *visitor, at seer) {
	v.t.Helper()
	v.open(v.d.url + "/mfa/nothing")
	at("problem-not-found", "light")
	for _, name := range []string{
		"wrong-answer", "no-ticket", "too-many", "unknown-method", "must-verify", "cross-origin", "unavailable",
	} {
		v.open(v.d.url + "/mfa/problems/" + name)
		at("problem-" + name)
	}
	v.open(v.d.url + "/nothing")
	at("demo-not-found")
}

// Every page and state, by day and night, on a desk and on a phone: no rule of accessibility is broken and nothing
// needs scrolling sideways.
func TestPagesAreAccessible(t *testing.T) {
	seen := map[string]bool{}
	walk(t, func(v *visitor, s state) {
		if seen[s.name] {
			t.Errorf("two states are called %s", s.name)
		}
		seen[s.name] = true
		for _, l := range looks() {
			v.wear(l)
			name := fmt.Sprintf("%s in %s", s.name, l.name)
			v.accessible(name)
			v.fits(name)
		}
		v.stands(s.name)
	})
}

// stands fails the test where the page does not stand what its reader needs: twice the size on a usual screen, letters
// of twice the size on a phone, nothing that moves.
func (v *visitor) stands(name string) {
	v.t.Helper()
	v.size(640, 400)
	v.fits(name + " zoomed to 200 percent")
	v.size(360, 640)
	eval[bool](v.tab, `document.documentElement.style.fontSize = "200%"; true`)
	v.fits(name + " with letters of twice the size")
	eval[bool](v.tab, `document.documentElement.style.fontSize = ""; true`)
	moving := eval[[]string](v.tab, `[...document.querySelectorAll("*")].filter((e) => { const s = getComputedStyle(e);
return s.animationName !== "none" || s.transitionDuration !== "0s"; }).map((e) => e.outerHTML.slice(0, 120))`)
	if len(moving) > 0 {
		v.t.Errorf("%s: moves, though its reader has asked for stillness: %v", name, moving)
	}
}

// Whoever has chosen colors sees them everywhere, also in the lines of pictures, and still sees what is a button, a
// field and an error.
func TestPagesKeepTheColorsOfTheirReader(t *testing.T) {
	v := startDemo(t).visitor(t, "alice", mouse{})
	v.enrolled()
	v.signOut()
	v.signIn()
	v.forcedColors()
	v.enter("Code from Phone", v.wrong())
	v.complains(v.use("Confirm"))
	v.hasEdges("button", "input[type=text]", "[role=alert]")
	v.use("Try another way")
	v.hasEdges(".choices a")
	strange := eval[[]string](v.tab, `(() => { const p = document.body.appendChild(document.createElement("p"));
const system = ["CanvasText", "LinkText"].map((c) => { p.style.color = c; return getComputedStyle(p).color; });
p.remove();
return [...document.querySelectorAll(".icon")].map((e) => getComputedStyle(e).stroke)
.filter((c) => !system.includes(c)); })()`)
	if v.count(".icon") < 3 || len(strange) > 0 {
		t.Errorf("pictures are drawn in %v", strange)
	}
}

// hasEdges fails the test unless the first element of each selector has a border that can be seen.
func (v *visitor) hasEdges(selectors ...string) {
	v.t.Helper()
	for _, s := range selectors {
		edge := eval[string](v.tab, `(({ borderInlineStartStyle, borderInlineStartWidth }) =>
borderInlineStartStyle + " " + borderInlineStartWidth)(getComputedStyle(document.querySelector("`+s+`")))`)
		if !strings.HasPrefix(edge, "solid ") || edge == "solid 0px" {
			v.t.Errorf("the edge of %s is %s", s, edge)
		}
	}
}
