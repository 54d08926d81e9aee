package mfa_test

import (
	"context"
	"strings"
	"testing"

	"sallyport/mfa"
)

// button is a token that counts its presses, beside the product's arithmetic.
type button struct{ mfa.HOTPSeed }

// at is the code of a count.
func (b button) at(count uint64) string { return hotp(b.Algorithm, b.Key, count, max(b.Digits, 6)) }

// row is as many codes in a row as are asked for, typed one behind the other.
func (b button) row(count uint64, n int) string {
	var codes []string
	for i := range n {
		codes = append(codes, b.at(count+uint64(i)))
	}
	return strings.Join(codes, "")
}

func (b button) factor(t testing.TB) mfa.Factor {
	t.Helper()
	f, err := b.Factor()
	if err != nil {
		t.Fatalf("Factor of %+v = %v, want no error", b.HOTPSeed, err)
	}
	f.ID = "f1"
	return f
}

// newButton is a token whose codes are all different for a while, so that each tells its count.
func newButton(s mfa.HOTPSeed) button {
	for n := byte(0); ; n++ {
		s.Key = newApp(n).Key
		b, seen := button{s}, map[string]bool{}
		for c := range uint64(120) {
			seen[b.at(s.Counter+c)] = true
		}
		if len(seen) == 120 {
			return b
		}
	}
}

// typeHOTP types what was typed into a factor, as the Engine does, and returns the factor that comes of it.
func typeHOTP(f mfa.Factor, typed string) (mfa.Factor, error) {
	code, ok := mfa.HOTP{}.Canonical(f, []byte(typed))
	if !ok {
		return f, errNoCode
	}
	out, err := mfa.HOTP{}.Finish(context.Background(), mfa.Attempt{Factor: f, Answer: code})
	if err != nil {
		return f, err
	}
	return out.Factor, nil
}

// The values of RFC 4226, Appendix D.
func TestHOTPMakesTheCodesOfTheRFC(t *testing.T) {
	seed := mfa.HOTPSeed{Key: []byte("12345678901234567890")}
	f, err := seed.Factor()
	if err != nil {
		t.Fatal(err)
	}
	f.ID = "f1"
	for i, code := range []string{
		"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489",
	} {
		if f, err = typeHOTP(f, code); err != nil {
			t.Fatalf("code %d of the RFC, %s = %v, want no error", i, code, err)
		}
		if s, err := mfa.DecodeHOTP(f.State); err != nil || s.Counter != uint64(i)+1 {
			t.Fatalf("after code %d the counter is %d, %v; want %d", i, s.Counter, err, i+1)
		}
	}
}

func TestAButtonPressedInAPocketIsFoundWithinFivePresses(t *testing.T) {
	for _, start := range []uint64{0, 1, 1000, 1 << 40} {
		b := newButton(mfa.HOTPSeed{Counter: start, Digits: 8})
		f := b.factor(t)
		for ahead := range uint64(60) {
			next, err := typeHOTP(f, b.at(start+ahead))
			if ahead <= 5 && err != nil || ahead > 5 && err != mfa.ErrWrongAnswer {
				t.Errorf("from %d, a code %d presses ahead = %v", start, ahead, err)
			}
			if err != nil {
				continue
			}
			for back := range ahead + 1 {
				if _, err := typeHOTP(next, b.at(start+back)); err == nil {
					t.Errorf("after the code of %d that of %d is right", start+ahead, start+back)
				}
			}
			if _, err := typeHOTP(next, b.at(start+ahead)); err != mfa.ErrSpent {
				t.Errorf("the code that was used last = %v, want ErrSpent", err)
			}
		}
	}
}

func TestTwoCodesInARowFindAButtonWithinFifty(t *testing.T) {
	b := newButton(mfa.HOTPSeed{Counter: 7})
	f := b.factor(t)
	for _, c := range []struct {
		name  string
		typed string
		right bool
	}{
		{"the next two", b.row(7, 2), true},
		{"two that are ten ahead", b.row(17, 2), true},
		{"two with a space between them", b.at(30) + " " + b.at(31), true},
		{"the last two that are looked for", b.row(57, 2), true},
		{"two beyond", b.row(58, 2), false},
		{"two of which one is used", b.row(6, 2), false},
		{"two the wrong way round", b.at(18) + b.at(17), false},
		{"the same one twice", b.at(17) + b.at(17), false},
		{"two that are not in a row", b.at(17) + b.at(19), false},
		{"one right and one wrong", b.at(7) + b.at(40), false},
	} {
		next, err := typeHOTP(f, c.typed)
		if !c.right {
			if err != mfa.ErrWrongAnswer {
				t.Errorf("%s = %v, want ErrWrongAnswer", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s = %v, want no error", c.name, err)
			continue
		}
		for _, spent := range []string{c.typed, c.typed[:6], c.typed[len(c.typed)-6:]} {
			if _, err := typeHOTP(next, spent); err == nil {
				t.Errorf("%s: of them %q is right once more", c.name, spent)
			}
		}
	}
	if _, err := typeHOTP(f, b.row(7, 3)); err != errNoCode {
		t.Errorf("three codes for a factor in use = %v, want no answer at all", err)
	}
}

func TestAHOTPSeedThatCannotBeIsRefused(t *testing.T) {
	key := make([]byte, 20)
	for name, s := range map[string]mfa.HOTPSeed{
		"no key":                {},
		"a short key":           {Key: key[:4]},
		"a long key":            {Key: make([]byte, 65)},
		"an unknown algorithm":  {Key: key, Algorithm: 3},
		"five digits":           {Key: key, Digits: 5},
		"nine digits":           {Key: key, Digits: 9},
		"a counter at the edge": {Key: key, Counter: 1<<63 - 1},
	} {
		if f, err := s.Factor(); err == nil {
			t.Errorf("%s makes the factor %+v, want an error", name, f)
		}
	}
	for name, m := range map[string]mfa.HOTP{"nine digits": {Digits: 9}, "an unknown algorithm": {Algorithm: 3}} {
		if m.Check() == nil {
			t.Errorf("Check of %s = nil, want an error", name)
		}
		if _, _, err := m.BeginEnroll(t.Context(), mfa.Attempt{}); err == nil {
			t.Errorf("BeginEnroll with %s = nil, want an error", name)
		}
	}
}

func TestACounterCodeIsAllItsDigits(t *testing.T) {
	b := newButton(mfa.HOTPSeed{Counter: 7})
	f, code := b.factor(t), b.at(7)
	for _, other := range []string{code + "1", code[:5], code[:5] + "x", code + "12345"} {
		a := mfa.Attempt{Factor: f, Answer: []byte(other), Now: midday}
		if _, err := (mfa.HOTP{}).Finish(t.Context(), a); err != mfa.ErrWrongAnswer {
			t.Errorf("%q for %q = %v, want ErrWrongAnswer", other, code, err)
		}
	}
	if _, err := (mfa.HOTP{}).Finish(t.Context(), mfa.Attempt{Factor: f, Answer: []byte(code), Now: midday}); err != nil {
		t.Errorf("%q = %v, want no error", code, err)
	}
}
