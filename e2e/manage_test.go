package e2e_test

import "testing"

func TestFactorsAreManaged(t *testing.T) {
	eachWay(t, func(t *testing.T, h hands, scripts bool) {
		v := startDemo(t).visitor(t, "bob", h)
		v.scripts(scripts)
		v.enrolled()
		v.open(v.d.url + "/mfa/")
		v.use("Add: Authenticator app")
		v.addApp("Old phone")
		v.open(v.d.url + "/mfa/")

		v.use("Rename Old phone")
		v.enter("Name (optional)", `<b>"Drawer" phone</b>`)
		v.use("Rename")
		v.says(`<b>"Drawer" phone</b>`)
		v.apps[`<b>"Drawer" phone</b>`] = v.apps["Old phone"]

		v.use("Ask for Phone first")
		v.says("Asked for first")
		v.signOut()
		v.signIn()
		v.enter("Code from Phone", v.code("Phone"))
		v.use("Confirm")
		v.isIn("account")

		v.open(v.d.url + "/mfa/")
		v.use("Pause Phone")
		v.use("Pause it")
		v.says("Paused by you")
		v.signOut()
		v.signIn()
		v.enter(`Code from <b>"Drawer" phone</b>`, v.code("Old phone"))
		v.use("Confirm")
		v.isIn("account")

		v.open(v.d.url + "/mfa/")
		if status := v.refused(`Pause <b>"Drawer" phone</b>`, "Pause it"); status != 409 {
			t.Errorf("pausing the last factor in use is answered %d, want 409", status)
		}
		v.open(v.d.url + "/mfa/")
		v.use("Use Phone again")
		v.use(`Remove <b>"Drawer" phone</b>`)
		v.use("Cancel")
		v.says("Drawer")
		v.use(`Remove <b>"Drawer" phone</b>`)
		v.use("Remove it")
		if n := v.count(".factors > li"); n != 1 {
			t.Errorf("%d factors are left, want 1: %s", n, v.where())
		}
		v.use("Remove Phone")
		v.use("Remove it")
		v.says("You have not added any yet.")
		v.signOut()
		v.signIn()
		v.isIn("account")
		v.open(v.d.url + "/outbox")
		v.says("a way to sign in was removed")
	})
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
	v := startDemo(t).visitor(t, "carol", mouse{})
	v.enrolled()
	other := v.elsewhere()
	other.signIn()
	other.enter("Code from Phone", other.code("Phone"))
	other.use("Confirm")
	other.isIn("account")

	v.open(v.d.url + "/mfa/")
	v.use("End other sessions")
	v.use("End other sessions")
	v.open(v.d.url + "/account")
	v.isIn("account")
	other.open(v.d.url + "/account")
	other.asks()
	other.enter("Code from Phone", other.code("Phone"))
	other.use("Confirm")
	other.isIn("account")
}

// Whoever adds a first factor on the way to a page ends on that page.
func TestTheWayBackIsKept(t *testing.T) {
	v := startDemo(t).visitor(t, "sam", mouse{})
	v.open(v.d.url + "/vault")
	v.enter("Name", "sam")
	v.enter("Password", "demo")
	v.use("Sign in")
	v.addApp("Phone")
	v.keepCodes()
	v.isIn("vault")
	v.signOut()
	v.open(v.d.url + "/vault")
	v.enter("Name", "sam")
	v.enter("Password", "demo")
	v.use("Sign in")
	v.asks()
	v.enter("Code from Phone", v.code("Phone"))
	v.use("Confirm")
	v.isIn("vault")
}
