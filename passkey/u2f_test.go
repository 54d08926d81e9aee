package passkey_test

import (
	"bytes"
	"strings"
	"testing"

	"sallyport/mfa"
	"sallyport/mfatest"
	"sallyport/passkey"
)

const appID = "https://example.org/app-id.json"

func withAppID(c *passkey.Config) { c.AppID = appID }

// legacy gives an account a U2F key that another system had registered under an AppID.
func legacy(t testing.TB, c *ceremonies, a *mfatest.Authenticator, under string) *mfatest.Credential {
	t.Helper()
	k := a.AddU2F(under)
	f, err := passkey.Credential{ID: k.ID, PublicKey: k.Key.Point(), RPID: under, U2F: true}.Factor()
	if err != nil {
		t.Fatalf("Factor = %v, want no error", err)
	}
	f.ID = "u" + string(rune('1'+len(c.factors)))
	c.factors = append(c.factors, f)
	return k
}

func TestAU2FKeyOfAnOlderSystemProves(t *testing.T) {
	c := newCeremonies(t, newMethod(t, withAppID))
	a := mfatest.NewSecurityKey(site)
	legacy(t, c, a, appID)
	prompt, _ := c.begin()
	if o := prompt.(passkey.Request).PublicKey; o.Extensions.AppID != appID || o.RPID != domain {
		t.Errorf("Begin = AppID %q, RP ID %q, want both", o.Extensions.AppID, o.RPID)
	}
	for want := range uint32(3) {
		if out := c.proved(a); out.Verified || out.Factor.Strength != mfa.PhishingResistant {
			t.Errorf("Finish = verified %v, strength %v, want not verified, phishing-resistant",
				out.Verified, out.Factor.Strength)
		}
		if got := open(t, c.factors[0]).SignCount; got != want+1 {
			t.Errorf("the sign count kept is %d, want %d", got, want+1)
		}
	}
	if strength := c.factors[0].Strength; strength != mfa.PhishingResistant {
		t.Errorf("the strength is %v, want phishing-resistant", strength)
	}
}

// extension sets what the browser says about the AppID.
func extension(value any) func(*mfatest.Edits) {
	return answers(func(answer, _ map[string]any) { answer["clientExtensionResults"] = value })
}

// The AppID counts only for a key of that time, and only where the browser says that it was used.
func TestTheAppIDIsTakenForU2FKeysOnly(t *testing.T) {
	used, unused := map[string]any{"appid": true}, map[string]any{"appid": false}
	for _, test := range []struct {
		name string
		u2f  bool // it is a U2F key that answers; else a passkey of the same account
		edit func(*mfatest.Edits)
	}{
		{"without a word about the AppID", true, extension(map[string]any{})},
		{"said not to be used", true, extension(unused)},
		{"said to be used, and the RP ID is signed", true, func(e *mfatest.Edits) { e.RPID = domain }},
		{"said to be used, and another AppID is signed", true, func(e *mfatest.Edits) { e.RPID = appID + "?" }},
		{"nobody was present", true, func(e *mfatest.Edits) { e.Clear = mfatest.UP }},
		{"backup-eligible", true, func(e *mfatest.Edits) { e.Set = mfatest.BE }},
		{"of another site", true, says("origin", "https://evil.example")},
		{"a passkey said to use it", false, extension(used)},
		{"a passkey that signs it", false, func(e *mfatest.Edits) { e.RPID = appID }},
		{"a passkey that signs it and says so", false, func(e *mfatest.Edits) { extension(used)(e); e.RPID = appID }},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCeremonies(t, newMethod(t, withAppID))
			key, phone := mfatest.NewSecurityKey(site), mfatest.NewAuthenticator(site)
			c.enrolled(phone)
			legacy(t, c, key, appID)
			c.proved(key)
			c.proved(phone)
			a := phone
			if test.u2f {
				a = key
			}
			test.edit(&a.Edit)
			_, err := c.prove(a)
			refused(t, "Finish", err)
		})
	}
}

// A site that has no AppID, or no longer has it, asks for none and takes none.
func TestTheAppIDThatNobodyAskedFor(t *testing.T) {
	c := newCeremonies(t, newMethod(t, nil))
	a := mfatest.NewSecurityKey(site)
	legacy(t, c, a, appID)
	prompt, state := c.begin()
	if got := prompt.(passkey.Request).PublicKey.Extensions.AppID; got != "" {
		t.Errorf("Begin asks for the AppID %q, want none", got)
	}
	a.Edit.RPID = appID
	extension(map[string]any{"appid": true})(&a.Edit)
	a.Use = a.Credentials[0].ID
	answer, err := a.Get(prompt)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.finish(state, answer)
	refused(t, "Finish of an AppID that was not asked for", err)

	// Nor does a ticket without it become one with it when the configuration changes meanwhile.
	c.m = newMethod(t, withAppID)
	_, err = c.finish(state, answer)
	refused(t, "Finish of an AppID that was not asked for, at a site that now has one", err)
}

// A U2F key knows no PIN, whatever the flags say.
func TestAU2FKeyIsNeverVerified(t *testing.T) {
	c := newCeremonies(t, newMethod(t, withAppID))
	a := mfatest.NewSecurityKey(site)
	legacy(t, c, a, appID)
	a.Edit.Set = mfatest.UV
	if out := c.proved(a); out.Verified {
		t.Error("a proof by a U2F key is Verified")
	}
	if open(t, c.factors[0]).Verified {
		t.Error("a U2F key is kept as one that verifies its user")
	}
	prompt, state := c.begin()
	answer, err := a.Get(prompt)
	if err != nil {
		t.Fatal(err)
	}
	c.need = true
	_, err = c.finish(state, answer)
	refused(t, "a U2F key where user verification is needed", err)

	strict := newMethod(t, func(c *passkey.Config) { c.AppID, c.RequireVerified = appID, true })
	c.m, c.need = strict, false
	_, err = c.finish(state, answer)
	refused(t, "a U2F key at a site that needs user verification", err)
}

// A U2F key signs nobody in who has not said who they are.
func TestAU2FKeyDoesNotSignIn(t *testing.T) {
	m := newMethod(t, withAppID)
	c := newCeremonies(t, m)
	a := mfatest.NewSecurityKey(site)
	legacy(t, c, a, appID)
	prompt, state, err := m.Begin(t.Context(), mfa.Attempt{Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	if got := prompt.(passkey.Request).PublicKey.Extensions.AppID; got != "" {
		t.Errorf("Begin without a user asks for the AppID %q, want none", got)
	}
	a.Edit.RPID, a.Edit.Set = appID, mfatest.UV
	extension(map[string]any{"appid": true})(&a.Edit)
	a.Unverified, a.Use = false, a.Credentials[0].ID
	answer, err := a.Get(prompt)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.finish(state, answer)
	refused(t, "a sign-in by a U2F key", err)
}

// A key that is registered under the AppID is not registered once more under the RP ID.
func TestAppIDExclude(t *testing.T) {
	c := newCeremonies(t, newMethod(t, withAppID))
	a := mfatest.NewSecurityKey(site)
	prompt, _ := c.beginEnroll()
	if got := prompt.(passkey.Creation).PublicKey.Extensions.AppIDExclude; got != "" {
		t.Errorf("without U2F keys appidExclude is %q, want none", got)
	}
	k := legacy(t, c, a, appID)
	prompt, _ = c.beginEnroll()
	o := prompt.(passkey.Creation).PublicKey
	excluded := o.ExcludeCredentials
	if o.Extensions.AppIDExclude != appID || len(excluded) != 1 || !bytes.Equal(excluded[0].ID, k.ID) {
		t.Errorf("BeginEnroll = appidExclude %q, excludes %v, want the AppID and the key", o.Extensions.AppIDExclude, excluded)
	}
	if _, err := a.Create(prompt); err != mfatest.ErrInvalidState {
		t.Errorf("Create by a key that is there = %v, want %v", err, mfatest.ErrInvalidState)
	}
	c.enrolled(mfatest.NewSecurityKey(site))
}

// Keys of a U2F system come as a point or as a COSE_Key.
func TestCredentialsOfOtherSystems(t *testing.T) {
	key, err := mfatest.NewKey(mfatest.ES256)
	if err != nil {
		t.Fatal(err)
	}
	cose, point := mfatest.EncodeCBOR(key.COSE()), key.Point()
	good := passkey.Credential{ID: []byte{1}, PublicKey: cose, RPID: domain}
	id := func(n int) []byte { return bytes.Repeat([]byte{1}, n) }
	for _, test := range []struct {
		name   string
		change func(*passkey.Credential)
		ok     bool
	}{
		{"as it should be", func(*passkey.Credential) {}, true},
		{"an id of 1023 bytes", func(c *passkey.Credential) { c.ID = id(1023) }, true},
		{"an id of 1024 bytes", func(c *passkey.Credential) { c.ID = id(1024) }, false},
		{"no id", func(c *passkey.Credential) { c.ID = nil }, false},
		{"a handle of 64 bytes", func(c *passkey.Credential) { c.UserHandle = id(64) }, true},
		{"a handle of 65 bytes", func(c *passkey.Credential) { c.UserHandle = id(65) }, false},
		{"a handle that is said to be ours and is not there", func(c *passkey.Credential) { c.Ours = true }, false},
		{"no RP ID", func(c *passkey.Credential) { c.RPID = "" }, false},
		{"an RP ID that is too long", func(c *passkey.Credential) { c.RPID = strings.Repeat("a", 254) }, false},
		{"a format that is too long", func(c *passkey.Credential) { c.Format = strings.Repeat("a", 254) }, false},
		{"backed up and not backup-eligible", func(c *passkey.Credential) { c.BackedUp = true }, false},
		{"no key", func(c *passkey.Credential) { c.PublicKey = nil }, false},
		{"a point of a passkey", func(c *passkey.Credential) { c.PublicKey = point }, false},
		{"a point of a U2F key", func(c *passkey.Credential) { c.PublicKey, c.U2F = point, true }, true},
		{"a COSE_Key of a U2F key", func(c *passkey.Credential) { c.U2F = true }, true},
		{"a compressed point", func(c *passkey.Credential) {
			c.PublicKey, c.U2F = append([]byte{2}, point[1:33]...), true
		}, false},
		{"a point that is not on the curve", func(c *passkey.Credential) {
			c.PublicKey, c.U2F = append(bytes.Clone(point[:64]), point[64]^1), true
		}, false},
		{"65 bytes that are no point", func(c *passkey.Credential) { c.PublicKey, c.U2F = id(65), true }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := good
			test.change(&c)
			f, err := c.Factor()
			if (err == nil) != test.ok {
				t.Fatalf("Factor = %v, want it to work: %v", err, test.ok)
			}
			if test.ok && (f.Method != mfa.MethodPasskey || f.Key != mfa.KeyOf(mfa.MethodPasskey, c.ID) || len(f.State) == 0) {
				t.Errorf("Factor = %+v, want a passkey with key and state", f)
			}
		})
	}
}
