package mfa_test

import (
	"fmt"
	"reflect"
	"testing"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

func TestAnAssuranceThatWasOpenedBeforeIsStillItsLoginsAlone(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	d.Enroll(&v)
	sealed, err := d.SealAssurance(v.Assurance)
	if err != nil {
		t.Fatal(err)
	}
	other, bob := v.User, v.User
	other.Session, bob.ID = other.Session+"2", "bob"
	for range 2 { // the second time it is known
		got := d.OpenAssurance(v.User, sealed)
		if len(got.Proofs) != 1 || got.Proofs[0].FactorID != v.Assurance.Proofs[0].FactorID {
			t.Fatalf("OpenAssurance = %+v, want %+v", got, v.Assurance)
		}
		for name, u := range map[string]mfa.User{"another login": other, "another user": bob, "nobody": {}} {
			if got := d.OpenAssurance(u, sealed); !reflect.DeepEqual(got, mfa.Assurance{}) {
				t.Errorf("%s: OpenAssurance = %+v, want the zero Assurance", name, got)
			}
		}
	}
}

func TestOpenedAssurancesAreBounded(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory(), func(c *mfa.EngineConfig) { c.CacheSize = 8 })
	for i := range 100 {
		u := mfa.User{ID: fmt.Sprint("user", i), Session: "s"}
		sealed, err := d.SealAssurance(mfa.Assurance{UserID: u.ID, Session: u.Session})
		if err != nil {
			t.Fatal(err)
		}
		d.OpenAssurance(u, sealed)
		d.OpenAssurance(u, sealed[:len(sealed)-1]) // what does not open is not kept
	}
	if n := d.Opened(); n > 8 {
		t.Errorf("%d opened assurances are kept, want at most 8", n)
	}
}
