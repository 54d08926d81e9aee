package passkey_test

import (
	"bytes"
	"strings"
	"testing"

	"sallyport/mfa"
	"sallyport/mfatest"
	"sallyport/passkey"
)

// WA10: flags of the authenticator data.
func TestWA10_FlagsOfAuthenticatorData(t *testing.T) {
	m := newMethod(t, nil)
	set := func(flags byte) func(*mfatest.Edits) { return func(e *mfatest.Edits) { e.Set = flags } }
	clear := func(flags byte) func(*mfatest.Edits) { return func(e *mfatest.Edits) { e.Clear = flags } }
	refuse(t, m, "nobody was present", clear(mfatest.UP))
	refuse(t, m, "nobody was present, but verified", func(e *mfatest.Edits) { e.Clear, e.Set = mfatest.UP, mfatest.UV })
	refuse(t, m, "backed up and not backup-eligible", set(mfatest.BS))
	refuse(t, m, "extension data that is not there", set(mfatest.ED))
	refuse(t, m, "extension data that is not announced", func(e *mfatest.Edits) {
		e.Extensions, e.Clear = mfatest.EncodeCBOR(mfatest.Map{"credProtect", 2}), mfatest.ED
	})
	refuse(t, m, "bytes after the extension data", func(e *mfatest.Edits) {
		e.Extensions = append(mfatest.EncodeCBOR(mfatest.Map{"credProtect", 2}), 0)
	})
	refuse(t, m, "bytes after the end", func(e *mfatest.Edits) { e.AuthData = func(b []byte) []byte { return append(b, 0) } })
	refuse(t, m, "cut off", func(e *mfatest.Edits) { e.AuthData = func(b []byte) []byte { return b[:36] } })
	refuse(t, m, "nothing", func(e *mfatest.Edits) { e.AuthData = func([]byte) []byte { return nil } })
	refuseCreate(t, m, "a registration without a credential", clear(mfatest.AT))
	refuseCreate(t, m, "a registration of 37 bytes", func(e *mfatest.Edits) {
		e.AuthData = func(b []byte) []byte { b = b[:37]; b[32] &^= mfatest.AT; return b }
	})
	refuseGet(t, m, "a proof with a credential that is not there", set(mfatest.AT))
	refuseGet(t, m, "it has become backup-eligible", set(mfatest.BE))
	refuseGet(t, m, "it has become backup-eligible and backed up", set(mfatest.BE|mfatest.BS))
}

// WA10: a proof may not carry a credential, even a whole one.
func TestWA10_AProofCarriesNoCredential(t *testing.T) {
	key, err := mfatest.NewKey(mfatest.ES256)
	if err != nil {
		t.Fatal(err)
	}
	refuseGet(t, newMethod(t, nil), "a proof with a credential", func(e *mfatest.Edits) {
		e.Set = mfatest.AT
		e.AuthData = func(b []byte) []byte {
			return append(append(append(b, make([]byte, 16)...), 0, 1, 7), mfatest.EncodeCBOR(key.COSE())...)
		}
	})
}

func TestExtensionDataIsNoObstacle(t *testing.T) {
	c := newCeremonies(t, newMethod(t, nil))
	a := mfatest.NewSecurityKey(site)
	a.Edit.Extensions = mfatest.EncodeCBOR(mfatest.Map{"credProtect", 2})
	c.enrolled(a)
	c.proved(a)
}

// WA10: what was backup-eligible stays so; whether it is backed up may change.
func TestWA10_WhatWasBackupEligibleStaysSo(t *testing.T) {
	c := newCeremonies(t, newMethod(t, nil))
	a := mfatest.NewAuthenticator(site)
	c.enrolled(a)
	a.BackedUp = false
	c.proved(a)
	if k := open(t, c.factors[0]); k.BackedUp || !k.BackupEligible {
		t.Errorf("the credential is backed up %v, eligible %v, want false, true", k.BackedUp, k.BackupEligible)
	}
	a.BackupEligible = false
	_, err := c.prove(a)
	refused(t, "a proof that is no longer backup-eligible", err)
	a.BackupEligible, a.BackedUp = true, true
	c.proved(a)
	if k := open(t, c.factors[0]); !k.BackedUp {
		t.Error("the credential is not backed up, want that it is")
	}
}

func open(t testing.TB, f mfa.Factor) passkey.Credential {
	t.Helper()
	c, err := passkey.Open(f)
	if err != nil {
		t.Fatalf("Open = %v, want no error", err)
	}
	return c
}

// WA10: user verification is that of this response.
func TestWA10_UserVerificationIsThatOfThisAnswer(t *testing.T) {
	m := newMethod(t, nil)
	c := newCeremonies(t, m)
	a := mfatest.NewSecurityKey(site)
	if out := c.enrolled(a); !out.Verified {
		t.Error("a registration with PIN is not Verified")
	}
	a.Unverified = true
	if out := c.proved(a); out.Verified {
		t.Error("a proof without PIN is Verified, since an earlier one was")
	}
	a.Unverified = false
	if out := c.proved(a); !out.Verified {
		t.Error("a proof with PIN is not Verified")
	}

	c.need = true
	a.Edit.Clear = mfatest.UV
	_, err := c.prove(a)
	refused(t, "a proof without PIN where it is needed", err)
	fresh := mfatest.NewSecurityKey(site)
	fresh.Edit.Clear = mfatest.UV
	_, err = c.enroll(fresh)
	refused(t, "a registration without PIN where it is needed", err)

	// Needed at the beginning is needed at the end, and the other way round.
	prompt, state := c.begin()
	answer, err := a.Get(prompt)
	if err != nil {
		t.Fatal(err)
	}
	c.need = false
	_, err = c.finish(state, answer)
	refused(t, "a proof without PIN where it was needed at the beginning", err)
	prompt, state = c.begin()
	if answer, err = a.Get(prompt); err != nil {
		t.Fatal(err)
	}
	c.need = true
	_, err = c.finish(state, answer)
	refused(t, "a proof without PIN where it is needed at the end", err)
}

func TestRequireVerified(t *testing.T) {
	m := newMethod(t, func(c *passkey.Config) { c.RequireVerified = true })
	refuse(t, m, "a site that needs PINs, without one", func(e *mfatest.Edits) { e.Clear = mfatest.UV })
	prompt, _ := newCeremonies(t, m).beginEnroll()
	if got := prompt.(passkey.Creation).PublicKey.Selection.UserVerification; got != "required" {
		t.Errorf("user verification is %s, want required", got)
	}
}

// WA11: a proof without user verification is one factor, whatever the registration was.
func TestWA11_NotVerifiedIsNotTwo(t *testing.T) {
	c := newCeremonies(t, newMethod(t, nil))
	a := mfatest.NewSecurityKey(site)
	out := c.enrolled(a)
	a.Unverified = true
	proof := c.proved(a)
	decide := func(verified bool) mfa.Action {
		acct := mfa.Account{Epoch: 1, Factors: []mfa.Factor{out.Factor}}
		acct.Factors[0].ID = "f1"
		assurance := mfa.Assurance{UserID: alice.ID, Session: alice.Session, Epoch: 1, Proofs: []mfa.Proof{{FactorID: "f1", At: noon, Verified: verified}}}
		return mfa.Policy{Factors: 2, VerifiedIsTwo: true}.Decide(noon, alice, acct, []string{mfa.MethodPasskey}, assurance).Action
	}
	if got := decide(proof.Verified); got == mfa.Allow {
		t.Error("a proof without user verification counts as two factors")
	}
	if got := decide(true); got != mfa.Allow {
		t.Errorf("a verified proof = %v, want allow", got)
	}
}

// The sign count must grow where there is one.
func TestSignCount(t *testing.T) {
	for _, test := range []struct {
		name          string
		stored, shown uint32
		ok            bool
	}{
		{"none on either side", 0, 0, true},
		{"it begins", 0, 1, true},
		{"it grows by one", 5, 6, true},
		{"it grows by many", 5, 1 << 31, true},
		{"it reaches the end", 1<<32 - 2, 1<<32 - 1, true},
		{"it stays", 5, 5, false},
		{"it goes back", 5, 4, false},
		{"it is gone", 5, 0, false},
		{"it wraps around", 1<<32 - 1, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCeremonies(t, newMethod(t, nil))
			a := mfatest.NewSecurityKey(site)
			a.Edit.Count = &test.stored
			c.enrolled(a)
			a.Edit.Count = &test.shown
			out, err := c.prove(a)
			if ok := err == nil; ok != test.ok {
				t.Fatalf("from %d to %d: Finish = %v, want it accepted: %v", test.stored, test.shown, err, test.ok)
			}
			want := test.shown
			if !test.ok {
				refused(t, "Finish", err)
				if !strings.Contains(out.Note, "sign count") {
					t.Errorf("Note = %q, want that it speaks of the sign count", out.Note)
				}
				want = test.stored
			}
			if got := open(t, c.factors[0]).SignCount; got != want {
				t.Errorf("the sign count kept is %d, want %d", got, want)
			}
		})
	}
}

// A wrong signature says nothing about the sign count, since it says nothing at all.
func TestSignCountOfAWrongSignature(t *testing.T) {
	c := newCeremonies(t, newMethod(t, nil))
	a := mfatest.NewSecurityKey(site)
	c.enrolled(a)
	c.proved(a)
	zero := uint32(0)
	a.Edit.Count = &zero
	a.Edit.Signature = func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	out, err := c.prove(a)
	refused(t, "Finish", err)
	if out.Note != "" {
		t.Errorf("Note = %q, want none", out.Note)
	}
}

func TestSignatures(t *testing.T) {
	for _, algorithm := range []int{mfatest.ES256, mfatest.EdDSA, mfatest.ES384, mfatest.ES512} {
		for name, edit := range map[string]func([]byte) []byte{
			"a flipped bit":    func(b []byte) []byte { b = bytes.Clone(b); b[len(b)-1] ^= 1; return b },
			"nothing":          func([]byte) []byte { return nil },
			"zeros":            func(b []byte) []byte { return make([]byte, len(b)) },
			"a byte too many":  func(b []byte) []byte { return append(bytes.Clone(b), 0) },
			"a byte too few":   func(b []byte) []byte { return b[:len(b)-1] },
			"of another key":   func([]byte) []byte { k, _ := mfatest.NewKey(algorithm); return k.Sign([]byte("x")) },
			"a zero signature": func([]byte) []byte { return []byte{0x30, 6, 2, 1, 0, 2, 1, 0} },
		} {
			t.Run(name, func(t *testing.T) {
				c := newCeremonies(t, newMethod(t, nil))
				a := mfatest.NewSecurityKey(site)
				a.Algorithms = []int{algorithm}
				c.enrolled(a)
				a.Edit.Signature = edit
				_, err := c.prove(a)
				refused(t, "Finish", err)
			})
		}
	}
}
