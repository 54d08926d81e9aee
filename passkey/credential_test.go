package passkey_test

import (
	"bytes"
	"reflect"
	"testing"

	"sallyport/mfa"
	"sallyport/mfatest"
	"sallyport/passkey"
)

// full is a credential with something in each field.
func full(t testing.TB) passkey.Credential {
	t.Helper()
	key, err := mfatest.NewKey(mfatest.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return passkey.Credential{
		ID: bytes.Repeat([]byte{7}, 200), PublicKey: mfatest.EncodeCBOR(key.COSE()), RPID: domain,
		UserHandle: bytes.Repeat([]byte{8}, 64), SignCount: 1<<32 - 2, Transports: []string{"usb", "hybrid"}, AAGUID: model,
		Format: "packed", Verified: true, BackupEligible: true, BackedUp: true, Discoverable: true, Ours: true,
		U2F: true, LearnBackup: true,
	}
}

func TestACredentialComesBackAsItWas(t *testing.T) {
	whole := full(t)
	for _, c := range []passkey.Credential{whole, {ID: []byte{1}, PublicKey: whole.PublicKey, RPID: "localhost"}} {
		f, err := c.Factor()
		if err != nil {
			t.Fatalf("Factor = %v, want no error", err)
		}
		if got := open(t, f); !reflect.DeepEqual(got, c) {
			t.Errorf("Open = %+v, want %+v", got, c)
		}
	}
	// Each flag has a place of its own.
	flags := []string{"Verified", "BackupEligible", "Discoverable", "U2F", "LearnBackup"}
	for _, name := range flags {
		c := passkey.Credential{ID: []byte{1}, PublicKey: whole.PublicKey, RPID: domain}
		reflect.ValueOf(&c).Elem().FieldByName(name).SetBool(true)
		f, err := c.Factor()
		if err != nil {
			t.Fatalf("Factor = %v, want no error", err)
		}
		if got := open(t, f); !reflect.DeepEqual(got, c) {
			t.Errorf("Open of a credential with %s = %+v, want %+v", name, got, c)
		}
	}
}

func TestStatesThatNobodyHasWritten(t *testing.T) {
	f, err := full(t).Factor()
	if err != nil {
		t.Fatal(err)
	}
	change := func(i int, b byte) []byte { s := bytes.Clone(f.State); s[i] = b; return s }
	long := append(append(bytes.Clone(f.State[:23]), 0x80|f.State[23], f.State[24], 0), f.State[25:]...)
	for name, state := range map[string][]byte{
		"nothing": nil, "another version": change(0, 2), "version 0": change(0, 0), "an unknown flag": change(1, 0xff),
		"an unknown transport": change(2, 0x40), "cut off": f.State[:len(f.State)-1],
		"a byte too many": append(bytes.Clone(f.State), 0),
		"a length written in more bytes than it needs": long, "the fixed part alone": f.State[:23],
	} {
		if c, err := passkey.Open(mfa.Factor{ID: "f1", State: state}); err == nil {
			t.Errorf("Open of %s = %+v, want an error", name, c)
		}
	}
}

// FuzzOpen reads what a factor may hold. What is read is written again byte for byte.
func FuzzOpen(f *testing.F) {
	good, err := full(f).Factor()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good.State)
	f.Add(good.State[:30])
	f.Fuzz(func(t *testing.T, state []byte) {
		c, err := passkey.Open(mfa.Factor{State: state})
		if err != nil {
			return
		}
		again, err := c.Factor()
		if err == nil && !bytes.Equal(again.State, state) {
			t.Errorf("Open of %x is written as %x", state, again.State)
		}
	})
}

// FuzzStateOfACeremony judges a right answer by any state: it must hold the challenge that was signed.
func FuzzStateOfACeremony(f *testing.F) {
	m := newMethod(f, nil)
	c := newCeremonies(f, m)
	a := mfatest.NewAuthenticator(site)
	c.enrolled(a)
	prompt, state := c.begin()
	answer, err := a.Get(prompt)
	if err != nil {
		f.Fatal(err)
	}
	creation, createState := c.beginEnroll()
	registration, err := mfatest.NewAuthenticator(site).Create(creation)
	if err != nil {
		f.Fatal(err)
	}
	challenge := []byte(prompt.(passkey.Request).PublicKey.Challenge)
	created := []byte(creation.(passkey.Creation).PublicKey.Challenge)
	f.Add(state)
	f.Add(createState)
	f.Fuzz(func(t *testing.T, state []byte) {
		at := mfa.Attempt{User: alice, Factor: c.factors[0], Own: c.factors, State: state, Answer: answer, Now: noon}
		if _, err := m.Finish(t.Context(), at); err == nil && !bytes.Contains(state, challenge) {
			t.Errorf("Finish accepted the state %x", state)
		}
		at.Answer = registration
		if _, err := m.FinishEnroll(t.Context(), at); err == nil && !bytes.Contains(state, created) {
			t.Errorf("FinishEnroll accepted the state %x", state)
		}
	})
}
