package passkey_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"sallyport/mfatest"
	"sallyport/passkey"
)

// providers reads the list of names that is built in.
func providers(t *testing.T) (source string, names map[string]string) {
	t.Helper()
	text, err := os.ReadFile("aaguid-names.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Source string
		Names  map[string]string
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file.Source, file.Names
}

func TestTheListOfNamesSaysWhereItIsFrom(t *testing.T) {
	source, names := providers(t)
	if !strings.Contains(source, "passkey-authenticator-aaguids") || len(names) < 20 {
		t.Errorf("the list has %d names from %q, want those of the community list", len(names), source)
	}
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	for id, name := range names {
		if !uuid.MatchString(id) || strings.TrimSpace(name) == "" || len(name) > 60 {
			t.Errorf("%q is named %q, want an AAGUID in lower case and a short name", id, name)
		}
	}
}

func TestANewPasskeyIsCalledAfterItsProvider(t *testing.T) {
	_, names := providers(t)
	m := newMethod(t, nil)
	for id, name := range names {
		a := mfatest.NewAuthenticator(site)
		if _, err := hex.Decode(a.AAGUID[:], []byte(strings.ReplaceAll(id, "-", ""))); err != nil {
			t.Fatal(err)
		}
		if out := newCeremonies(t, m).enrolled(a); out.Factor.Label != name {
			t.Errorf("the label of %s is %q, want %q", id, out.Factor.Label, name)
		}
	}
}

func TestANewPasskeyOfAnUnknownProviderIsCalledAfterWhatItLooksLike(t *testing.T) {
	for _, test := range []struct {
		name       string
		transports []string
		attachment string
		eligible   bool
		want       string
	}{
		{"a phone", []string{"hybrid", "internal"}, "platform", true, "Passkey"},
		{"a computer", []string{"internal"}, "platform", false, "Passkey"},
		{"a key on a key ring", []string{"nfc", "usb"}, "cross-platform", false, "Security key"},
		{"a key that says nothing of itself", nil, "cross-platform", false, "Security key"},
		{"a password manager on a key's plug", []string{"usb"}, "cross-platform", true, "Passkey"},
		{"something that says nothing at all", nil, "", false, "Passkey"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := mfatest.NewSecurityKey(site)
			a.Transports, a.Attachment, a.BackupEligible = test.transports, test.attachment, test.eligible
			if out := newCeremonies(t, newMethod(t, nil)).enrolled(a); out.Factor.Label != test.want {
				t.Errorf("the label is %q, want %q", out.Factor.Label, test.want)
			}
		})
	}
}

// What is asked of an authenticator, in the words of WebAuthn Level 3 and of CTAP.
func TestWhatARegistrationAsksFor(t *testing.T) {
	m := newMethod(t, func(c *passkey.Config) { direct(c); c.Hints = []string{"hybrid", "security-key"} })
	c := newCeremonies(t, m)
	c.enrolled(mfatest.NewSecurityKey(site))
	prompt, _ := c.beginEnroll()
	text, err := json.Marshal(prompt)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		`"credProps":true`, `"credentialProtectionPolicy":"userVerificationOptionalWithCredentialIDList"`,
		`"residentKey":"preferred"`, `"userVerification":"preferred"`, `"requireResidentKey":false`,
		`"attestation":"direct"`, `"hints":["hybrid","security-key"]`, `"transports":["usb","nfc"]`,
		`[{"type":"public-key","alg":-7},{"type":"public-key","alg":-8},{"type":"public-key","alg":-35},` +
			`{"type":"public-key","alg":-36},{"type":"public-key","alg":-257}]`,
	} {
		if !strings.Contains(string(text), part) {
			t.Errorf("BeginEnroll = %s, want %s in it", text, part)
		}
	}
}
