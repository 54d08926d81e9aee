package e2e_test

import "testing"

// remembered is a visitor with an app whose browser is not to be asked again.
func (d *demo) remembered(t *testing.T, name string, h hands, scripts bool) *visitor {
	t.Helper()
	v := d.visitor(t, name, h)
	v.scripts(scripts)
	v.enrolled()
	v.signOut()
	v.signIn()
	v.asks()
	v.tick("Don't ask on this browser for ")
	v.proves("Phone")
	v.isIn("account")
	return v
}

// tick ticks a box, by mouse or with the space bar.
func (v *visitor) tick(name string) {
	v.t.Helper()
	v.hands.reach(v.tab, name)
	if _, ok := v.hands.(keyboard); ok {
		v.press(" ")
	} else {
		v.click("[data-test-here]")
	}
	if !eval[bool](v.tab, named(name)+`.checked`) {
		v.t.Fatalf("%q is not ticked", name)
	}
}

func TestARememberedBrowserIsAskedLess(t *testing.T) {
	eachWay(t, func(t *testing.T, h hands, scripts bool) {
		v := startDemo(t).remembered(t, "alice", h, scripts)
		v.signOut()
		v.open(v.d.url + "/notes")
		v.givesPassword()
		v.isIn("notes")
		v.open(v.d.url + "/account")
		v.isIn("account")
		v.open(v.d.url + "/vault")
		v.proves("Phone")
		v.isIn("vault")

		elsewhere := v.elsewhere()
		elsewhere.signIn()
		elsewhere.asks()
	})
}

func TestAForgottenBrowserIsAskedAgain(t *testing.T) {
	eachWay(t, func(t *testing.T, h hands, scripts bool) {
		v := startDemo(t).remembered(t, "alice", h, scripts)
		v.open(v.d.url + "/mfa/")
		v.says("Remembered browsers")
		v.says("This browser")
		v.use("Rename Headless Chrome on")
		v.enter("Name", "Library desk")
		v.use("Save")
		v.use("Forget Library desk")
		v.use("Cancel")
		v.use("Forget Library desk")
		v.says("You will be asked again on Library desk")
		v.use("Forget it")
		if n := v.count(".factor h3"); n != 2 { // the couriers
			t.Errorf("the list still has a browser: %s", v.where())
		}
		v.signOut()
		v.signIn()
		v.tick("Don't ask on this browser for ")
		v.proves("Phone")
		v.isIn("account")
		v.open(v.d.url + "/mfa/")
		v.use("Forget all")
		v.signOut()
		v.open(v.d.url + "/notes")
		v.givesPassword()
		v.asks()
	})
}
