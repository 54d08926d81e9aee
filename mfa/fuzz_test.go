package mfa_test

import (
	"bytes"
	"context"
	"reflect"
	"testing"

	"sallyport/mfa"
)

// fuzzDecoder demands that a decoder never panics, and that what it takes it takes again as it would write it.
func fuzzDecoder(f *testing.F, name string) {
	var c coded
	for _, e := range wireForms {
		if e.name == name {
			c = e
		}
	}
	good := goldenBytes(f, name)
	for _, b := range [][]byte{good, good[:len(good)/2], append(bytes.Clone(good), 0), {1}, nil} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, encoded, err := c.decode(b)
		if err != nil {
			return
		}
		again, twice, err := c.decode(encoded)
		if err != nil || !reflect.DeepEqual(again, v) || !bytes.Equal(twice, encoded) {
			t.Errorf("%x is decoded as %+v, and its encoding %x as %+v, %v", b, v, encoded, again, err)
		}
	})
}

func FuzzAccount(f *testing.F)     { fuzzDecoder(f, "account") }
func FuzzAssurance(f *testing.F)   { fuzzDecoder(f, "assurance") }
func FuzzTicket(f *testing.F)      { fuzzDecoder(f, "ticket") }
func FuzzTOTPSeed(f *testing.F)    { fuzzDecoder(f, "seed") }
func FuzzRecoverySet(f *testing.F) { fuzzDecoder(f, "recovery set") }
func FuzzHOTPSeed(f *testing.F)    { fuzzDecoder(f, "hotp") }
func FuzzToken(f *testing.F)       { fuzzDecoder(f, "token") }
func FuzzVerdict(f *testing.F)     { fuzzDecoder(f, "verdict") }
func FuzzSends(f *testing.F)       { fuzzDecoder(f, "sends") }
func FuzzSentFactor(f *testing.F)  { fuzzDecoder(f, "sent") }

// FuzzAnswer types anything into all methods: nothing panics, and what has a canonical form has that one for ever.
func FuzzAnswer(f *testing.F) {
	app := newApp(1).factor(f)
	sheet, printed := newSet(f)
	button, touch := newButton(mfa.HOTPSeed{}).factor(f), newTouchKey(1).factor(f)
	address := mfa.SentFactor("a@example.org")
	for _, typed := range []string{
		"", "123456", "１２３ 456", "123456 123456", "12345678", newTouchKey(1).touch(), printed[0], "\xff", "\u200b",
	} {
		f.Add([]byte(typed))
	}
	f.Fuzz(func(t *testing.T, typed []byte) {
		for factor, m := range map[*mfa.Factor]interface {
			mfa.Method
			mfa.Canonicalizer
		}{&app: mfa.TOTP{}, &sheet: mfa.Recovery{}, &button: mfa.HOTP{}, &touch: mfa.Yubico{}, &address: mfa.SentCodes{}} {
			c, ok := m.Canonical(*factor, typed)
			if !ok {
				continue
			}
			if again, ok := m.Canonical(*factor, c); !ok || !bytes.Equal(again, c) {
				t.Errorf("%s: Canonical(%q) = %q, and of that %q, %v", m.Name(), typed, c, again, ok)
			}
			m.Finish(context.Background(), mfa.Attempt{Factor: *factor, Answer: c, Now: midday})
		}
	})
}
