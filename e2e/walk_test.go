package e2e_test

import (
	"fmt"
	"slices"
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
	walkHome(v, at, both)
	walkVerification(v, at, both)
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
	at("demo-login-wrong")
	v.signIn()
	v.isIn("account")
	at("demo-account", "light")
	v.open(v.d.url + "/mfa/")
	at("home-empty", "light")
	v.open(v.d.url + "/payout")
	at("problem-no-method", "light")
}

func walkEnrollment(v *visitor, at seer, both []string) {
	v.t.Helper()
	v.open(v.d.url + "/vault")
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
}

func walkHome(v *visitor, at seer, both []string) {
	v.t.Helper()
	home := func() { v.t.Helper(); v.open(v.d.url + "/mfa/") }
	home()
	v.use("Pause Work phone")
	v.use("Pause it")
	at("problem-last-factor", "light")
	home()
	v.use("Add: Authenticator app")
	v.addApp("An old tablet that lies in the drawer of the desk at home, second from above")
	home()
	v.use("Ask for Work phone first")
	at("home", both...)
	v.use("Rename Work phone")
	at("rename", "light")
	v.use("Cancel")
	v.use("Pause An old tablet")
	at("pause", "light")
	v.use("Pause it")
	at("home-paused", "dark")
	v.use("Use An old tablet")
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
	v.open(v.d.url + "/outbox")
	at("demo-outbox", "dark")
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
	v.use("Recovery codes")
	at("verify-recovery", both...)
	v.enter("Recovery code", "AAAAA")
	v.use("Confirm")
	at("verify-recovery-wrong")
	v.enter("Recovery code", v.spend())
	v.use("Confirm")
	at("recovered", both...)
	v.signOut()
	v.signIn()
	eval[bool](v.tab, `{ const f = document.createElement("form"); f.method = "post"; f.action = "/notes"; f.id = "again";
f.append(document.createElement("button")); f.lastChild.textContent = "Post a note"; document.body.append(f) ?? true }`)
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

func walkProblems(v *visitor, at seer) {
	v.t.Helper()
	v.open(v.d.url + "/mfa/nothing")
	at("problem-not-found", "light")
	for _, name := range []string{"wrong-answer", "no-ticket", "too-many", "unknown-method", "must-verify", "cross-origin", "unavailable"} {
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
	})
}
