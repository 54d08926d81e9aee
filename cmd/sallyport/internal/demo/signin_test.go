package demo_test

import (
	"encoding/json"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"sallyport/cmd/sallyport/internal/demo"
	"sallyport/mfatest"
)

// ceremony runs both halves of one by an authenticator.
func (b *browser) ceremony(path, finish string, answer func(prompt any) ([]byte, error), back string) (int, map[string]any) {
	b.t.Helper()
	status, doc := b.call(path, map[string]string{})
	if status != http.StatusOK {
		b.t.Fatalf("POST %s = %d %v", path, status, doc)
	}
	reply, err := answer(doc["prompt"])
	if err != nil {
		b.t.Fatal(err)
	}
	body := map[string]any{"ticket": doc["ticket"], "answer": json.RawMessage(reply)}
	if back != "" {
		body["back"] = back
	}
	text, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	a := b.do("POST", finish, string(text), asJSON, isJSON)
	doc = map[string]any{}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
		b.t.Fatalf("POST %s = %d %q, want a document", finish, a.status, a.body)
	}
	return a.status, doc
}

func (b *browser) addPasskey(device *mfatest.Authenticator) {
	b.t.Helper()
	status, doc := b.ceremony("/mfa/enroll/passkey/begin", "/mfa/enroll/passkey", device.Create, "")
	if status != http.StatusCreated {
		b.t.Fatalf("adding a passkey = %d %v, want 201", status, doc)
	}
}

func TestPasskeysOpenThePayoutAndTheFrontDoor(t *testing.T) {
	n := start(t, demo.Options{})
	device := mfatest.NewAuthenticator(n.url)
	owner := n.signedIn("alice")
	owner.addPasskey(device)
	if !owner.isIn("payout", "alice") {
		t.Error("who has just added a passkey does not get to the payout")
	}

	second := n.signedIn("alice")
	if second.isIn("payout", "alice") {
		t.Error("the password alone opens the payout")
	}
	if status, doc := second.ceremony("/mfa/verify/passkey/begin", "/mfa/verify/passkey", device.Get, ""); status != http.StatusOK {
		t.Errorf("the passkey behind the password = %d %v", status, doc)
	}
	if !second.isIn("payout", "alice") {
		t.Error("a passkey does not open the payout")
	}

	stranger := n.browser()
	status, doc := stranger.ceremony("/mfa/signin/begin", "/mfa/signin", device.Get, "/vault")
	if status != http.StatusOK || doc["next"] != "/vault" {
		t.Fatalf("signing in by the passkey alone = %d %v, want 200 and the way back", status, doc)
	}
	for _, name := range privates() {
		if !stranger.isIn(name, "alice") {
			t.Errorf("who came by the passkey alone does not get to /%s", name)
		}
	}
	stranger.post("/logout", nil)
	if stranger.isIn("account", "alice") {
		t.Error("signing out does not end the session")
	}
}

var (
	signInForm = regexp.MustCompile(`<form [^>]*data-sallyport-signin="([^"]*)"`)
	scriptTag  = regexp.MustCompile(`<script src="([^"]*)" defer></script>`)
)

// The site's own form needs one attribute and one script, which its own headers must allow.
func TestTheSignInFormOffersPasskeysToStrangers(t *testing.T) {
	n := start(t, demo.Options{})
	a := n.browser().get("/login?next=%2Fvault%3Fa%3Db")
	form, script := signInForm.FindStringSubmatch(a.body), scriptTag.FindStringSubmatch(a.body)
	if form == nil || html.UnescapeString(form[1]) != "/vault?a=b" || script == nil || !strings.Contains(a.body, "data-sallyport-signin-button hidden") {
		t.Fatalf("the form does not offer passkeys: %s", a.body)
	}
	if s := n.browser().get(script[1]); s.status != http.StatusOK || !strings.Contains(s.body, "navigator.credentials") {
		t.Errorf("GET %s = %d, want the script", script[1], s.status)
	}
	csp := a.header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "script-src 'self'") || !strings.Contains(csp, "connect-src 'self'") {
		t.Errorf("the script may not run: %q", csp)
	}
	if a := n.signedIn("alice").get("/login"); strings.Contains(a.body, "data-sallyport-signin") {
		t.Error("passkeys are offered to who is signed in")
	}
}
