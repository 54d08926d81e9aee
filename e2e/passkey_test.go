package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
)

// override changes what an authenticator answers from here on. The zero value answers rightly.
func (a authenticator) override(p webauthn.SetResponseOverrideBitsParams) {
	a.b.t.Helper()
	p.AuthenticatorID = a.id
	call(a.b, webauthn.SetResponseOverrideBits, p)
}

// remove takes an authenticator away, as when somebody pulls out a key.
func (a authenticator) remove() {
	a.b.t.Helper()
	call(a.b, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: a.id})
}

// eachHand runs a test by mouse and by keyboard. Passkeys need the pages' scripts.
func eachHand(t *testing.T, test func(t *testing.T, h hands)) {
	t.Helper()
	for name, h := range map[string]hands{"by mouse": mouse{}, "by keyboard": keyboard{}} {
		t.Run(name, func(t *testing.T) { test(t, h) })
	}
}

// quiet keeps pages from asking for passkeys by themselves, and loud lets them again. A call that the page makes at once
// begins at a moment that a test cannot know.
const (
	quiet = `document.hasFocus = () => false;
if (window.PublicKeyCredential) {
	window.canOffer = PublicKeyCredential.isConditionalMediationAvailable;
	PublicKeyCredential.isConditionalMediationAvailable = async () => false;
}`
	loud = `delete document.hasFocus;
if (window.PublicKeyCredential) PublicKeyCredential.isConditionalMediationAvailable = window.canOffer;`
)

// holder is a visitor who has added a passkey and kept recovery codes, and whose authenticator nobody is touching. Pages
// are quiet.
func (d *demo) holder(
	t testing.TB, name string, h hands, o webauthn.VirtualAuthenticatorOptions,
) (*visitor, authenticator) {
	t.Helper()
	v := d.visitor(t, name, h)
	v.before(quiet)
	key := v.add(o)
	v.signIn()
	v.open(d.url + "/mfa/enroll/passkey")
	v.enter("Name (optional)", "Laptop")
	v.use("Add a passkey")
	v.keepCodes()
	key.present(false)
	return v, key
}

// alerts waits until the page says in an alert what was wrong.
func (v *visitor) alerts(text string) {
	v.t.Helper()
	v.until(`[...document.querySelectorAll("[role=alert]")].some((e) => !e.hidden && e.textContent.trim())`)
	if got := v.text("[role=alert]:not([hidden])"); !strings.Contains(got, text) {
		v.t.Errorf("the page says %q, want %q", got, text)
	}
}

// answersPasskey answers a page that asks for a passkey, by its button.
func (v *visitor) answersPasskey(key authenticator) {
	v.t.Helper()
	v.asks()
	key.present(true)
	v.use("Use your passkey")
	key.present(false)
}

// The whole way of a passkey: the page that asks for nothing less leads to adding one, and opens with it.
func TestPasskeyFromFirstToLast(t *testing.T) {
	eachHand(t, func(t *testing.T, h hands) {
		v := startDemo(t).visitor(t, "alice", h)
		v.before(quiet)
		key := v.add(passkeys())
		v.signIn()
		v.open(v.d.url + "/payout")
		v.says("nobody can trick it out of you")
		v.enter("Name (optional)", "Laptop")
		v.use("Add a passkey")
		v.keepCodes()
		v.isIn("payout")
		if kept := key.credentials(); len(kept) != 1 || !kept[0].IsResidentCredential {
			t.Errorf("the authenticator keeps %v, want one passkey", kept)
		}

		v.signOut()
		key.present(false)
		v.signIn()
		v.asks()
		if v.count("input[type=text]") != 0 {
			t.Error("a page that asks for a passkey has something to type")
		}
		v.answersPasskey(key)
		v.isIn("account")
		v.open(v.d.url + "/payout")
		v.isIn("payout")
		v.d.advance(6 * time.Minute)
		v.open(v.d.url + "/payout")
		v.answersPasskey(key)
		v.isIn("payout")
	})
}

// Where a passkey can be asked for at once, the page does it.
func TestPasskeyIsAskedForByItself(t *testing.T) {
	v, key := startDemo(t).holder(t, "alice", mouse{}, passkeys())
	v.signOut()
	v.signIn()
	v.asks()
	v.before(loud)
	key.present(true)
	v.open(v.d.url + "/account")
	v.until(`document.querySelector(".canary")`)
	v.isIn("account")
}

func TestNothingLessOpensWhatAsksForAPasskey(t *testing.T) {
	eachHand(t, func(t *testing.T, h hands) {
		v, key := startDemo(t).holder(t, "alice", h, passkeys())
		v.open(v.d.url + "/mfa/enroll/totp")
		v.addApp("Phone")
		v.signOut()
		v.signIn()
		v.use("Try another way")
		v.use("Phone")
		v.proves("Phone")
		v.isIn("account")
		v.open(v.d.url + "/payout")
		v.asks()
		v.use("I have lost my phone or key")
		if n := v.count(`a[href*="/verify/totp"], a[href*="/verify/recovery"]`); n != 0 {
			t.Errorf("%d ways are offered that would not do", n)
		}
		v.use("Laptop")
		v.answersPasskey(key)
		v.isIn("payout")
	})
}

func TestPasskeySignsInAlone(t *testing.T) {
	eachHand(t, func(t *testing.T, h hands) {
		v, key := startDemo(t).holder(t, "alice", h, passkeys())
		v.signOut()
		t.Log("by its button")
		v.open(v.d.url + "/login?next=/payout")
		key.present(true)
		v.use("Sign in with a passkey")
		v.isIn("payout")
		key.present(false)

		v.signOut()
		t.Log("on the guard's own page")
		v.open(v.d.url + "/mfa/signin?next=/notes")
		key.present(true)
		v.use("Sign in")
		v.isIn("notes")

		v.signOut()
		t.Log("by autofill")
		v.before(loud)
		v.open(v.d.url + "/login?next=/vault")
		v.until(`document.querySelector(".canary")`)
		v.isIn("vault")
	})
}

// The password still works beside a passkey that is offered, and then the second door asks.
func TestPasswordWorksBesideAutofill(t *testing.T) {
	v, key := startDemo(t).holder(t, "alice", mouse{}, passkeys())
	v.signOut()
	v.before(loud)
	v.before(counted)
	v.open(v.d.url + "/login")
	v.until(`window.calls.join() === "conditional"`)
	v.before(quiet)
	v.givesPassword()
	v.answersPasskey(key)
	v.isIn("account")
}

// A key that cannot check its user is a second factor, and no sign-in.
func TestPasskeyWithoutUserVerification(t *testing.T) {
	o := passkeys()
	o.HasUserVerification, o.IsUserVerified = false, false
	v, key := startDemo(t).holder(t, "bob", mouse{}, o)
	v.signOut()
	v.signIn()
	v.answersPasskey(key)
	v.isIn("account")
	v.open(v.d.url + "/payout")
	v.isIn("payout")
	v.signOut()
	v.open(v.d.url + "/mfa/signin")
	key.present(true)
	v.hands.press(v.tab, "Sign in")
	v.alerts("There is no passkey of this site on this device")
	v.open(v.d.url + "/account")
	if got := v.path(); got != "/login" {
		t.Errorf("at %s, want the sign-in page", got)
	}
}

func TestWrongAnswersOfAuthenticators(t *testing.T) {
	yes := true
	for name, wrong := range map[string]webauthn.SetResponseOverrideBitsParams{
		"a signature of nothing":        {IsBogusSignature: &yes},
		"an answer that nobody touched": {IsBadUP: &yes},
	} {
		t.Run(name, func(t *testing.T) {
			v, key := startDemo(t).holder(t, "alice", mouse{}, passkeys())
			v.signOut()
			v.signIn()
			key.override(wrong)
			v.asks()
			key.present(true)
			if status := v.use("Use your passkey"); status != 422 {
				t.Errorf("the answer is answered %d, want 422", status)
			}
			v.alerts("That passkey didn't work. Try again, or use another way.")
			v.asks()
			key.override(webauthn.SetResponseOverrideBitsParams{})
			v.answersPasskey(key)
			v.isIn("account")
		})
	}
	t.Run("a sign-in whose user was not checked", func(t *testing.T) {
		v, key := startDemo(t).holder(t, "alice", mouse{}, passkeys())
		v.signOut()
		key.override(webauthn.SetResponseOverrideBitsParams{IsBadUV: &yes})
		v.open(v.d.url + "/mfa/signin?next=/account")
		key.present(true)
		if status := v.use("Sign in"); status != 422 {
			t.Errorf("the answer is answered %d, want 422", status)
		}
		v.alerts("")
		key.override(webauthn.SetResponseOverrideBitsParams{})
		v.use("Sign in")
		v.isIn("account")
	})
}

func TestAPasskeyIsNotAddedTwice(t *testing.T) {
	v, key := startDemo(t).holder(t, "alice", mouse{}, passkeys())
	key.present(true)
	v.open(v.d.url + "/mfa/enroll/passkey")
	v.hands.press(v.tab, "Add a passkey")
	v.alerts("registered with your account already")
	if n := len(key.credentials()); n != 1 {
		t.Errorf("the authenticator keeps %d passkeys, want 1", n)
	}
	other := v.add(webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportUsb, HasResidentKey: true,
		HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	})
	key.remove()
	v.use("Add a passkey")
	if n := len(other.credentials()); n != 1 {
		t.Errorf("the other authenticator keeps %d passkeys, want 1", n)
	}
	v.open(v.d.url + "/mfa/")
	if n := v.count(".factor h2"); n != 2 {
		t.Errorf("%d factors are there, want 2", n)
	}
}

// Whoever pulls the key out, or has none, reads what to do and can do it.
func TestPasskeysThatDoNotCome(t *testing.T) {
	t.Run("the key is pulled out", func(t *testing.T) {
		v, key := startDemo(t).holder(t, "alice", mouse{}, passkeys())
		v.signOut()
		v.signIn()
		v.asks()
		v.hands.press(v.tab, "Use your passkey")
		key.remove() // the browser waits for another one
		v.use("Try another way")
		v.use("Recovery codes")
		v.enter("Recovery code", v.spend())
		v.use("Confirm")
		v.use("Continue")
		v.isIn("account")
	})
	t.Run("there is no authenticator", func(t *testing.T) {
		v := startDemo(t).visitor(t, "alice", mouse{})
		v.webauthn()
		v.before(`{ const create = navigator.credentials.create.bind(navigator.credentials);
navigator.credentials.create = (o) => { o.publicKey.timeout = 1000; return create(o); }; }`)
		v.signIn()
		v.open(v.d.url + "/mfa/enroll/passkey")
		v.hands.press(v.tab, "Add a passkey")
		v.alerts("Try again")
		v.use("Try another way")
		v.use("Authenticator app")
		v.addApp("Phone")
		v.keepCodes()
	})
	t.Run("the page is at another address than its site", func(t *testing.T) {
		v := startDemo(t).visitor(t, "alice", mouse{})
		v.add(passkeys())
		elsewhere := strings.Replace(v.d.url, "localhost", "127.0.0.1", 1)
		v.open(elsewhere + "/login")
		v.givesPassword()
		v.open(elsewhere + "/mfa/enroll/passkey")
		v.hands.press(v.tab, "Add a passkey")
		v.alerts("Passkeys don't work at this address")
	})
}

func TestU2FKeysProve(t *testing.T) {
	v, key := startDemo(t).holder(t, "carol", keyboard{}, oldKey())
	v.signOut()
	v.signIn()
	v.answersPasskey(key)
	v.isIn("account")
	v.open(v.d.url + "/payout")
	v.isIn("payout")
}

// Without scripts there is nothing to press that does nothing, and another way.
func TestPasskeyPagesWithoutScripts(t *testing.T) {
	v, _ := startDemo(t).holder(t, "alice", mouse{}, passkeys())
	v.signOut()
	v.signIn()
	v.asks()
	v.scripts(false)
	v.open(v.d.url + "/account")
	v.asks()
	v.says("Passkeys need JavaScript")
	if shown := eval[bool](v.tab, `document.querySelector("form button").checkVisibility()`); shown {
		t.Error("a button is shown that does nothing")
	}
	v.use("Try another way")
	v.use("Recovery codes")
	v.enter("Recovery code", v.spend())
	v.use("Confirm")
	v.use("Continue")
	v.isIn("account")
}

// All passkeys of a user are one choice, and any of them answers.
func TestTwoPasskeysAreOneChoice(t *testing.T) {
	v, first := startDemo(t).holder(t, "alice", mouse{}, passkeys())
	o := passkeys()
	o.Transport = webauthn.AuthenticatorTransportUsb
	second := v.add(o)
	v.open(v.d.url + "/mfa/enroll/passkey")
	v.enter("Name (optional)", "Key")
	v.use("Add a passkey")
	v.signOut()
	first.present(false)
	second.present(false)
	for _, key := range []authenticator{first, second} {
		v.signIn()
		v.use("Try another way")
		if n := v.count(`a[href*="/mfa/verify/passkey"]`); n != 1 {
			t.Errorf("%d choices of passkeys, want 1", n)
		}
		v.use("Passkey")
		v.answersPasskey(key)
		v.isIn("account")
		v.signOut()
	}
}
