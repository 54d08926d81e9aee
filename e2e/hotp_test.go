package e2e_test

import "testing"

// A token with a button, or an app that counts, is added and used once.
func TestATokenThatCountsIsAddedAndUsed(t *testing.T) {
	eachWay(t, func(t *testing.T, h hands, scripts bool) {
		v := startDemo(t).visitor(t, "sam", h)
		v.scripts(scripts)
		v.signIn()
		v.open(v.d.url + "/mfa/")
		v.use("Add: Code token")
		u := v.scan()
		secret := u.Query().Get("secret")
		if u.Scheme != "otpauth" || u.Host != "hotp" || u.Query().Get("counter") != "0" {
			t.Fatalf("the picture says %s", u)
		}
		v.enter("Name (optional)", "Token")
		v.enter("Code from the app", hotp(t, secret, 0))
		v.use("Add the app")
		v.keepCodes()
		v.signOut()
		v.signIn()
		v.enter("Code from Token", hotp(t, secret, 0))
		v.complains(v.use("Confirm")) // it was used to add the token
		v.enter("Code from Token", hotp(t, secret, 1))
		v.use("Confirm")
		v.isIn("account")
	})
}
