package passkey_test

import (
	"testing"
	"time"

	"sallyport/mfa"
	"sallyport/mfatest"
	"sallyport/passkey"
)

// holder is a person with an authenticator, as the kit for methods meets them.
type holder struct{ *mfatest.Authenticator }

func (h holder) Right(t *testing.T, prompt any, _ time.Time) []byte {
	t.Helper()
	answer, err := h.Get(prompt)
	if err != nil {
		t.Fatalf("the authenticator: %v", err)
	}
	return answer
}

func (h holder) Wrong(t *testing.T, prompt any, now time.Time) [][]byte {
	t.Helper()
	stranger, err := mfatest.NewKey(mfatest.ES256)
	if err != nil {
		t.Fatal(err)
	}
	var list [][]byte
	for _, edit := range []mfatest.Edits{
		{Signature: func([]byte) []byte { return stranger.Sign([]byte("x")) }},
		{Clear: mfatest.UP},
		{RPID: "example.net"},
		{ClientData: func(members map[string]any) { members["origin"] = "https://evil.example" }},
	} {
		h.Edit = edit
		list = append(list, h.Right(t, prompt, now))
	}
	h.Edit = mfatest.Edits{}
	return list
}

func TestPasskeysPassTheKitForMethods(t *testing.T) {
	for name, kind := range map[string]func(string) *mfatest.Authenticator{
		"a phone": mfatest.NewAuthenticator, "a security key": mfatest.NewSecurityKey,
	} {
		t.Run(name, func(t *testing.T) {
			m := newMethod(t, nil)
			mfatest.TestMethod(t, mfatest.MethodTest{Method: m, Factor: holding(m, kind), Confirm: confirming(kind)})
		})
	}
}

// holding registers an authenticator.
func holding(
	m *passkey.Method, kind func(string) *mfatest.Authenticator,
) func(*testing.T, mfa.User, time.Time) (mfa.Factor, mfatest.Owner) {
	return func(t *testing.T, u mfa.User, now time.Time) (mfa.Factor, mfatest.Owner) {
		a := kind(site)
		c := newCeremonies(t, m)
		c.user, c.now = u, now
		return c.enrolled(a).Factor, holder{a}
	}
}

func confirming(kind func(string) *mfatest.Authenticator) func(*testing.T, any, time.Time) (right, wrong []byte) {
	return func(t *testing.T, prompt any, _ time.Time) (right, wrong []byte) {
		a := kind(site)
		a.Edit.ClientData = func(members map[string]any) { members["challenge"] = "AAAA" }
		wrong, err := a.Create(prompt)
		if err != nil {
			t.Fatal(err)
		}
		a = kind(site)
		if right, err = a.Create(prompt); err != nil {
			t.Fatal(err)
		}
		return right, wrong
	}
}
