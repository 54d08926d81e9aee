package e2e_test

import (
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// call sends a command of the DevTools protocol to a tab.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	r, err := chromedp.Call(b.ctx, command, params)
	b.must(err)
	return r
}

// authenticator is a virtual one in a tab.
type authenticator struct {
	b  *tab
	id webauthn.AuthenticatorID
}

// passkeys are the options of an authenticator such as phones and laptops have: it keeps passkeys, checks its user,
// and answers at once.
func passkeys() webauthn.VirtualAuthenticatorOptions {
	return webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
		Ctap2version: webauthn.Ctap2versionCtap21, HasResidentKey: true, HasUserVerification: true, IsUserVerified: true,
		AutomaticPresenceSimulation: true, DefaultBackupEligibility: true, DefaultBackupState: true,
	}
}

// oldKey are the options of a key of the time before passkeys: it only has a button.
func oldKey() webauthn.VirtualAuthenticatorOptions {
	return webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolU2f, Transport: webauthn.AuthenticatorTransportUsb,
		AutomaticPresenceSimulation: true,
	}
}

// webauthn takes the place of the browser's real authenticators: from here on there are none but those added.
func (b *tab) webauthn() {
	b.t.Helper()
	call(b, webauthn.Enable, webauthn.EnableParams{})
}

// add adds an authenticator to a tab.
func (b *tab) add(o webauthn.VirtualAuthenticatorOptions) authenticator {
	b.t.Helper()
	b.webauthn()
	r := call(b, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &o})
	return authenticator{b, r.AuthenticatorID}
}

// present decides whether somebody touches it.
func (a authenticator) present(yes bool) {
	a.b.t.Helper()
	call(a.b, webauthn.SetAutomaticPresenceSimulation,
		webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: a.id, Enabled: yes})
}

// verified decides whether its check of the user succeeds.
func (a authenticator) verified(yes bool) {
	a.b.t.Helper()
	call(a.b, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: a.id, IsUserVerified: yes})
}

// credentials returns what it keeps.
func (a authenticator) credentials() []*webauthn.Credential {
	a.b.t.Helper()
	return call(a.b, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: a.id}).Credentials
}
