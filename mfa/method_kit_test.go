package mfa_test

import (
	"encoding/base32"
	"strings"
	"testing"
	"time"

	"sallyport/mfa"
	"sallyport/mfatest"
)

// Right and Wrong make an app an owner: what it shows now, and what it shows at other times.
func (a app) Right(_ *testing.T, _ any, now time.Time) []byte { return []byte(a.at(now, 0)) }

func (a app) Wrong(_ *testing.T, _ any, now time.Time) [][]byte {
	return [][]byte{[]byte(a.at(now, 5)), []byte(a.at(now, -5)), []byte(a.at(now, 1000))}
}

func TestTOTPKeepsTheContractOfAMethod(t *testing.T) {
	for name, s := range map[string]mfa.TOTPSeed{
		"by default": {}, "of eight digits with SHA-512": {Algorithm: mfa.SHA512, Digits: 8},
		"of a minute": {Period: time.Minute}, "of a clock that is ahead": {Drift: 1},
	} {
		t.Run(name, func(t *testing.T) {
			n := byte(0)
			mfatest.TestMethod(t, mfatest.MethodTest{
				Method: mfa.TOTP{Issuer: "Example", Algorithm: s.Algorithm, Digits: s.Digits, Period: s.Period},
				Factor: func(t *testing.T, _ mfa.User, _ time.Time) (mfa.Factor, mfatest.Owner) {
					n++
					a := app{s}
					a.Key = newApp(n).Key
					return a.factor(t), a
				},
				Confirm: func(t *testing.T, prompt any, now time.Time) (right, wrong []byte) {
					a := app{s}
					var err error
					a.Key, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(prompt.(mfa.OTPEnrollPrompt).Secret)
					if err != nil {
						t.Fatal(err)
					}
					return []byte(a.at(now, 0)), []byte(a.at(now, 3))
				},
				Forms: func(code []byte) [][]byte {
					spaced := string(code[:3]) + " " + string(code[3:])
					return [][]byte{[]byte(spaced), []byte(spaced + "\n"), []byte(strings.ReplaceAll(spaced, " ", "\u00a0"))}
				},
			})
		})
	}
}

// sheet is a printed set of codes, of which the owner strikes out what they used.
type sheet struct {
	codes []string
	used  int
}

func (s *sheet) Right(*testing.T, any, time.Time) []byte {
	s.used++
	return []byte(s.codes[s.used-1])
}

func (s *sheet) Wrong(*testing.T, any, time.Time) [][]byte {
	return [][]byte{[]byte(someCode(1)), []byte(someCode(2))}
}

func TestRecoveryKeepsTheContractOfAMethod(t *testing.T) {
	mfatest.TestMethod(t, mfatest.MethodTest{
		Method: mfa.Recovery{},
		Factor: func(t *testing.T, _ mfa.User, _ time.Time) (mfa.Factor, mfatest.Owner) {
			f, codes := newSet(t)
			return f, &sheet{codes: codes}
		},
		Confirm: func(_ *testing.T, prompt any, _ time.Time) (right, wrong []byte) {
			return []byte(prompt.(mfa.RecoveryPrompt).Codes[6]), []byte(someCode(1))
		},
		Forms: func(code []byte) [][]byte {
			bare := strings.ReplaceAll(string(code), "-", "")
			return [][]byte{[]byte(bare), []byte(strings.ToLower(bare)), []byte(strings.ReplaceAll(string(code), "-", " "))}
		},
	})
}

// Right is the next press of a button, Wrong what it shows at no press that may come.
func (b *button) Right(*testing.T, any, time.Time) []byte {
	b.Counter++
	return []byte(b.at(b.Counter - 1))
}

func (b *button) Wrong(*testing.T, any, time.Time) [][]byte {
	return [][]byte{[]byte(b.at(b.Counter + 50)), []byte(b.row(b.Counter+90, 2))}
}

func TestHOTPKeepsTheContractOfAMethod(t *testing.T) {
	for name, s := range map[string]mfa.HOTPSeed{
		"by default": {}, "of eight digits with SHA-256": {Algorithm: mfa.SHA256, Digits: 8, Counter: 1 << 33},
	} {
		t.Run(name, func(t *testing.T) {
			n := byte(0)
			mfatest.TestMethod(t, mfatest.MethodTest{
				Method: mfa.HOTP{Issuer: "Example", Algorithm: s.Algorithm, Digits: s.Digits},
				Factor: func(t *testing.T, _ mfa.User, _ time.Time) (mfa.Factor, mfatest.Owner) {
					n++
					b := &button{s}
					b.Key = newApp(n).Key
					return b.factor(t), b
				},
				Confirm: func(t *testing.T, prompt any, _ time.Time) (right, wrong []byte) {
					b := button{s}
					var err error
					b.Key, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(prompt.(mfa.OTPEnrollPrompt).Secret)
					if err != nil {
						t.Fatal(err)
					}
					return []byte(b.at(0)), []byte(b.at(30))
				},
				Forms: func(code []byte) [][]byte {
					return [][]byte{[]byte(string(code[:3]) + " " + string(code[3:])), append(code, '\n')}
				},
			})
		})
	}
}

func (k *touchKey) Right(*testing.T, any, time.Time) []byte { return []byte(k.touch()) }

func (k *touchKey) Wrong(*testing.T, any, time.Time) [][]byte {
	return [][]byte{[]byte(k.id + newTouchKey(99).block()), []byte(newTouchKey(99).touch())}
}

// The enrollment of a token has nothing random before its first OTP, which the kit asks for; it has tests of its own.
func TestYubicoKeepsTheContractOfAMethod(t *testing.T) {
	n := byte(0)
	mfatest.TestMethod(t, mfatest.MethodTest{
		Method: mfa.Yubico{Secret: newTouchKey(1).known},
		Factor: func(t *testing.T, _ mfa.User, _ time.Time) (mfa.Factor, mfatest.Owner) {
			n++
			k := newTouchKey(n)
			return k.factor(t), k
		},
		Forms: func(otp []byte) [][]byte {
			return [][]byte{[]byte(strings.ToUpper(string(otp))), append(otp, '\n')}
		},
	})
}
