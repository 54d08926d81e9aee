package passkey_test

import (
	"testing"

	"sallyport/mfatest"
	"sallyport/passkey"
)

// takenOver turns the passkey of an account into one that another system has registered.
func takenOver(t *testing.T, c *ceremonies, change func(*passkey.Credential)) {
	t.Helper()
	k := open(t, c.factors[0])
	k.Ours = false
	change(&k)
	f, err := k.Factor()
	if err != nil {
		t.Fatalf("Factor = %v, want no error", err)
	}
	f.ID, f.Key = c.factors[0].ID, c.factors[0].Key
	c.factors[0] = f
}

// A system that did not keep the flag leaves it to the first proof, and to no other.
func TestBackupEligibilityIsLearntOnce(t *testing.T) {
	for name, eligible := range map[string]bool{"of a phone": true, "of a security key": false} {
		t.Run(name, func(t *testing.T) {
			c := newCeremonies(t, newMethod(t, nil))
			a := mfatest.NewAuthenticator(site)
			a.BackupEligible, a.BackedUp = eligible, false
			c.enrolled(a)
			takenOver(t, c, func(k *passkey.Credential) { k.BackupEligible, k.BackedUp, k.LearnBackup = false, false, true })
			c.proved(a)
			if k := open(t, c.factors[0]); k.BackupEligible != eligible || k.LearnBackup {
				t.Errorf("after a proof eligible is %v, to be learnt %v; want %v, false", k.BackupEligible, k.LearnBackup, eligible)
			}
			a.BackupEligible = !eligible
			_, err := c.prove(a)
			refused(t, "a proof that says otherwise later", err)
		})
	}
}

// What a wrong answer says is not learnt.
func TestBackupEligibilityIsNotLearntFromAWrongAnswer(t *testing.T) {
	c := newCeremonies(t, newMethod(t, nil))
	a := mfatest.NewAuthenticator(site)
	c.enrolled(a)
	takenOver(t, c, func(k *passkey.Credential) { k.BackupEligible, k.BackedUp, k.LearnBackup = false, false, true })
	a.Edit.Signature = func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	out, err := c.prove(a)
	refused(t, "a wrong signature", err)
	if len(out.Factor.State) > 0 {
		t.Error("a wrong signature has changed the factor")
	}
	if !open(t, c.factors[0]).LearnBackup {
		t.Error("backup-eligibility is no longer to be learnt")
	}
}

// A user handle that another system made is whatever it made it.
func TestAUserHandleOfAnotherSystemIsNotCompared(t *testing.T) {
	c := newCeremonies(t, newMethod(t, nil))
	a := mfatest.NewAuthenticator(site)
	c.enrolled(a)
	takenOver(t, c, func(k *passkey.Credential) { k.UserHandle = []byte("42") })
	for _, handle := range []string{"", "42", "alice"} {
		a.Credentials[0].Handle = []byte(handle)
		c.proved(a)
	}
	if k := open(t, c.factors[0]); string(k.UserHandle) != "42" || k.Ours {
		t.Errorf("the handle kept is %q, ours %v; want 42, false", k.UserHandle, k.Ours)
	}
}
