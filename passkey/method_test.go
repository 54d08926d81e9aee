package passkey_test

import (
	"testing"

	"sallyport/mfa"
	"sallyport/mfatest"
	"sallyport/passkey"
)

func TestEveryAlgorithmRegistersAndProves(t *testing.T) {
	for name, algorithm := range map[string]int{
		"ES256": mfatest.ES256, "EdDSA": mfatest.EdDSA, "ES384": mfatest.ES384, "ES512": mfatest.ES512, "RS256": mfatest.RS256,
	} {
		t.Run(name, func(t *testing.T) {
			c := newCeremonies(t, newMethod(t, nil))
			a := mfatest.NewAuthenticator(site)
			a.Algorithms = []int{algorithm}
			out := c.enrolled(a)
			if !out.Verified || out.Factor.Strength != mfa.PhishingResistant || out.Factor.Key == "" {
				t.Errorf("FinishEnroll = %+v, want a verified, phishing-resistant factor with a key", out)
			}
			for range 2 {
				if out := c.proved(a); !out.Verified {
					t.Errorf("Finish = %+v, want a verified proof", out)
				}
			}
		})
	}
}

func TestSeveralPasskeysOfOneUser(t *testing.T) {
	c := newCeremonies(t, newMethod(t, nil))
	phone, key := mfatest.NewAuthenticator(site), mfatest.NewSecurityKey(site)
	c.enrolled(phone)
	c.enrolled(key)
	c.proved(phone)
	c.proved(key)
	prompt, _ := c.beginEnroll()
	if _, err := phone.Create(prompt); err != mfatest.ErrInvalidState {
		t.Errorf("a second registration of one authenticator = %v, want %v", err, mfatest.ErrInvalidState)
	}
}

func TestSignInWithoutAUser(t *testing.T) {
	m := newMethod(t, nil)
	c := newCeremonies(t, m)
	a := mfatest.NewAuthenticator(site)
	c.enrolled(a)
	prompt, state, err := m.Begin(t.Context(), mfa.Attempt{Now: noon, NeedVerified: true})
	if err != nil {
		t.Fatalf("Begin without a user = %v, want no error", err)
	}
	o := prompt.(passkey.Request).PublicKey
	if len(o.AllowCredentials) > 0 || o.UserVerification != "required" {
		t.Errorf("Begin without a user allows %v with verification %s, want none and required", o.AllowCredentials, o.UserVerification)
	}
	answer, err := a.Get(prompt)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := c.finish(state, answer); err != nil || !out.Verified || out.Factor.ID != "f1" {
		t.Errorf("Finish = %+v, %v, want a verified proof of f1", out, err)
	}
}
