package e2e_test

import (
	"testing"

	"github.com/chromedp/chromedp"
)

func TestFactorsAreManaged(t *testing.T) {
	eachWay(t, func(t *testing.T, h hands, scripts bool) {
		v := startDemo(t).visitor(t, "bob", h)
		v.scripts(scripts)
		v.enrolled()
		v.open(v.d.url + "/mfa/")
		v.use("Add: Authenticator app")
		v.addApp("Old phone")
		v.renamesAndPrefers()
		v.pausesAndResumes()
		v.removesAll()
		v.open(v.d.url + "/outbox")
		v.says("a way to sign in was removed")
	})
}

// drawer is a name that would be more than a name where it is not taken as text.
const drawer = `<b>"Drawer" phone</b>`

func (v *visitor) renamesAndPrefers() {
	v.t.Helper()
	v.open(v.d.url + "/mfa/")
	v.use("Rename Old phone")
	v.enter("Name", drawer)
	v.use("Rename")
	v.says(drawer)
	v.apps[drawer] = v.apps["Old phone"]
	v.use("Ask for it first: Phone")
	v.says("Asked for first")
	v.signOut()
	v.signIn()
	v.proves("Phone")
	v.isIn("account")
}

// pausesAndResumes pauses the app that was proved: from then on that proves nothing, so the other one is asked for.
func (v *visitor) pausesAndResumes() {
	v.t.Helper()
	v.open(v.d.url + "/mfa/")
	v.use("Pause Phone")
	v.use("Pause it")
	v.proves(drawer)
	v.says("Paused by you")
	v.signOut()
	v.signIn()
	v.proves(drawer)
	v.isIn("account")
	v.open(v.d.url + "/mfa/")
	if status := v.refused("Pause "+drawer, "Pause it"); status != 409 {
		v.t.Errorf("pausing the last factor in use is answered %d, want 409", status)
	}
	v.open(v.d.url + "/mfa/")
	v.use("Use it again: Phone")
}

func (v *visitor) removesAll() {
	v.t.Helper()
	v.use("Remove " + drawer)
	v.use("Cancel")
	v.says("Drawer")
	v.use("Remove " + drawer)
	v.use("Remove it")
	v.proves("Phone")
	if n := v.count(".factor h2"); n != 1 {
		v.t.Errorf("%d factors are left, want 1: %s", n, v.where())
	}
	v.use("Remove Phone")
	v.use("Remove it")
	v.says("You have not added any yet.")
	v.signOut()
	v.signIn()
	v.isIn("account")
}

// refused asks for a change that the site may refuse at once or when it is confirmed.
func (v *visitor) refused(link, button string) int {
	v.t.Helper()
	status := v.use(link)
	if status == 200 {
		status = v.use(button)
	}
	return status
}

func TestEndingOtherSessions(t *testing.T) {
	eachWay(t, func(t *testing.T, h hands, scripts bool) {
		v := startDemo(t).visitor(t, "carol", h)
		v.scripts(scripts)
		v.enrolled()
		other := v.elsewhere()
		other.signIn()
		other.proves("Phone")
		other.isIn("account")

		v.open(v.d.url + "/mfa/")
		v.use("End other sessions")
		v.use("End other sessions")
		v.open(v.d.url + "/account")
		v.isIn("account")
		other.open(v.d.url + "/account")
		other.proves("Phone")
		other.isIn("account")
	})
}

// Whoever adds a first factor on the way to a page ends on that page.
func TestTheWayBackIsKept(t *testing.T) {
	eachWay(t, func(t *testing.T, h hands, scripts bool) {
		v := startDemo(t).visitor(t, "sam", h)
		v.scripts(scripts)
		v.open(v.d.url + "/vault")
		v.givesPassword()
		v.says("Protect your account")
		v.use("Authenticator app")
		v.addApp("Phone")
		v.keepCodes()
		v.isIn("vault")
		v.signOut()
		v.open(v.d.url + "/vault")
		v.givesPassword()
		v.proves("Phone")
		v.isIn("vault")
	})
}

// A form that meets the door is not lost: the proof is given in another tab, then the form is sent again.
func TestAFormThatMeetsTheDoorIsSentAgain(t *testing.T) {
	eachWay(t, func(t *testing.T, h hands, scripts bool) {
		v := startDemo(t).visitor(t, "alice", h)
		v.scripts(scripts)
		v.enrolled()
		v.signOut()
		v.signIn()
		v.asks()
		v.open(v.d.url + "/")
		v.offersForm()
		if status := v.use("Post a note"); status != 401 {
			t.Errorf("the form is answered %d, want 401", status)
		}
		v.says("Leave this tab as it is")
		beside := v.inTab(v.opens(func() { h.press(v.tab, "Confirm in a new tab") }))
		beside.until(`document.readyState === "complete" && ` + named("Code from Phone"))
		beside.proves("Phone")
		beside.says("go back to the other one and reload it")
		if status := v.leads(chromedp.Reload()); status != 404 { // the site itself says that it has nothing of the kind
			t.Errorf("after the proof the form is answered %d, want the site's own 404", status)
		}
		v.says("there is no such page")
	})
}

// offersForm puts a form of the site on the page, which has none of its own behind the door.
func (v *visitor) offersForm() {
	v.t.Helper()
	eval[bool](v.tab, `{ const f = document.createElement("form"); f.method = "post"; f.action = "/note";
f.append(document.createElement("button")); f.lastChild.textContent = "Post a note"; document.body.append(f) ?? true }`)
}
