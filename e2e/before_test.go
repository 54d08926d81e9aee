package e2e_test

import (
	"testing"

	"github.com/chromedp/cdproto/network"
)

// before is the demo whose sessions are made when the second factor was proved.
func before(t *testing.T) *demo {
	t.Helper()
	return startDemo(t, "--login=before")
}

func TestTheSecondFactorComesBeforeTheSession(t *testing.T) {
	eachWay(t, func(t *testing.T, h hands, scripts bool) {
		v := before(t).visitor(t, "alice", h)
		v.scripts(scripts)
		v.enrolled() // who has no factor is signed in at once
		v.signOut()
		v.open(v.d.url + "/vault")
		v.givesPassword()
		v.asks()
		v.isOut()
		v.open(v.d.url + "/vault")
		v.givesPassword()
		v.enter("Code from Phone", v.wrong())
		v.complains(v.use("Confirm"))
		v.use("Try another way")
		v.use("Phone")
		v.proves("Phone")
		v.isIn("vault")
		v.open(v.d.url + "/account")
		v.isIn("account")
	})
}

// isOut fails the test if the browser has a session.
func (v *visitor) isOut() {
	v.t.Helper()
	for _, c := range call(v.tab, network.GetCookies, network.GetCookiesParams{}).Cookies {
		if c.Name == "demo_session" {
			v.t.Error("there is a session before the second factor")
		}
	}
}

// A login that is pending can be given up, and another user's takes its place.
func TestAPendingLoginIsGivenUp(t *testing.T) {
	eachWay(t, func(t *testing.T, h hands, scripts bool) {
		v := before(t).visitor(t, "alice", h)
		v.scripts(scripts)
		v.enrolled()
		v.signOut()
		v.signIn()
		v.asks()
		v.says("Signed in as Alice Archer")
		v.use("Sign in as somebody else")
		if got := v.path(); got != "/login" {
			t.Errorf("giving up leads to %s, want /login", got)
		}
		v.isOut()
		v.signIn()
		v.asks()
		bob := v.inTab(v.tab)
		bob.name = "bob"
		bob.signIn()
		bob.isIn("account") // without factors
		bob.open(v.d.url + "/mfa/")
		bob.says("You have not added any yet.")
	})
}

func TestARememberedBrowserIsSignedInAtOnce(t *testing.T) {
	v := before(t).remembered(t, "alice", mouse{}, true)
	v.signOut()
	v.signIn()
	v.isIn("account")
	v.open(v.d.url + "/vault")
	v.proves("Phone")
	v.isIn("vault")
}
