package mfa_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/mfa"
)

// beginApp begins an enrollment and puts the URI into an app, as a phone does.
func beginApp(t *testing.T, m mfa.TOTP, u mfa.User) (app, []byte) {
	t.Helper()
	prompt, state, err := m.BeginEnroll(t.Context(), mfa.Attempt{User: u, Now: midday})
	if err != nil {
		t.Fatalf("BeginEnroll = %v, want no error", err)
	}
	p := prompt.(mfa.OTPEnrollPrompt)
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(p.Secret)
	if err != nil {
		t.Fatalf("secret %q: %v", p.Secret, err)
	}
	return app{mfa.TOTPSeed{Key: key, Algorithm: m.Algorithm, Digits: m.Digits, Period: m.Period}}, state
}

func confirm(state []byte, code string, now time.Time) (mfa.Factor, error) {
	out, err := mfa.TOTP{}.FinishEnroll(context.Background(), mfa.Attempt{State: state, Answer: []byte(code), Now: now})
	f := out.Factor
	if err == nil {
		f.ID, f.Method = "f1", mfa.MethodTOTP
	}
	return f, err
}

func TestREPLAY5_TheCodeThatConfirmsAnEnrollmentIsSpent(t *testing.T) {
	a, state := beginApp(t, mfa.TOTP{}, mfa.User{ID: "alice"})
	code := a.at(midday, 0)
	f, err := confirm(state, code, midday)
	if err != nil {
		t.Fatalf("FinishEnroll with the right code = %v, want no error", err)
	}
	for _, later := range []time.Duration{0, 10 * time.Second, 30 * time.Second} {
		if _, err := answer(f, code, midday.Add(later)); err != mfa.ErrSpent {
			t.Errorf("%v after the enrollment the same code = %v, want ErrSpent", later, err)
		}
	}
	if _, err := answer(f, a.at(midday, 1), midday.Add(30*time.Second)); err != nil {
		t.Errorf("the next code = %v, want no error", err)
	}
	if f.Strength != mfa.Typed {
		t.Errorf("strength = %v, want typed", f.Strength)
	}
}

func TestAWrongConfirmationMakesNoFactor(t *testing.T) {
	a, state := beginApp(t, mfa.TOTP{}, mfa.User{ID: "alice"})
	_, other := beginApp(t, mfa.TOTP{}, mfa.User{ID: "alice"})
	for name, c := range map[string]struct {
		state []byte
		code  string
	}{
		"a code of two steps on":          {state, a.at(midday, 2)},
		"a code of another enrollment":    {other, a.at(midday, 0)},
		"nothing":                         {state, ""},
		"an enrollment without a state":   {nil, a.at(midday, 0)},
		"an enrollment of garbage":        {[]byte("garbage"), a.at(midday, 0)},
		"a state with a byte more":        {append(bytes.Clone(state), 0), a.at(midday, 0)},
		"a state with the last byte gone": {state[:len(state)-1], a.at(midday, 0)},
	} {
		if f, err := confirm(c.state, c.code, midday); err == nil || f.State != nil {
			t.Errorf("%s: FinishEnroll = %+v, %v; want no factor and an error", name, f, err)
		}
	}
	if _, err := confirm(state, a.at(midday, 0), midday); err != nil {
		t.Errorf("the right code after all = %v, want no error", err)
	}
}

func TestNewSecretsHaveTheLengthOfTheirHash(t *testing.T) {
	for _, c := range []struct {
		m    mfa.TOTP
		size int
	}{
		{mfa.TOTP{}, 20},
		{mfa.TOTP{Algorithm: mfa.SHA256, Digits: 7, Period: 15 * time.Second}, 32},
		{mfa.TOTP{Algorithm: mfa.SHA512, Digits: 8, Period: time.Minute}, 64},
	} {
		a, state := beginApp(t, c.m, mfa.User{ID: "alice"})
		if len(a.Key) != c.size {
			t.Errorf("%+v: the secret has %d bytes, want %d", c.m, len(a.Key), c.size)
		}
		if _, err := confirm(state, a.at(midday, 0), midday); err != nil {
			t.Errorf("%+v: FinishEnroll = %v, want no error", c.m, err)
		}
	}
}

func TestSEED1_AllSecretsAreDistinct(t *testing.T) {
	n := 2_000
	if full() {
		n = 100_000
	}
	seen, ones := map[string]bool{}, 0
	for range n {
		a, _ := beginApp(t, mfa.TOTP{}, mfa.User{ID: "alice"})
		if len(a.Key) < 20 || seen[string(a.Key)] {
			t.Fatalf("the secret %x is short or was there before", a.Key)
		}
		seen[string(a.Key)] = true
		for _, b := range a.Key {
			for ; b > 0; b &= b - 1 {
				ones++
			}
		}
	}
	// NIST SP 800-22, frequency test: six standard deviations of that many fair coins.
	bits := float64(n) * 160
	if off := float64(ones) - bits/2; off*off > 36*bits/4 {
		t.Errorf("%d of %.0f bits are ones", ones, bits)
	}
}

// shortRandom gives n bytes and then fails.
type shortRandom struct {
	n   int
	err error
}

func (r *shortRandom) Read(b []byte) (int, error) {
	n := min(len(b), r.n)
	if r.n -= n; n < len(b) {
		return n, r.err
	}
	return n, nil
}

// withRandom replaces the source of randomness for one test. Such a test is not parallel.
func withRandom(t *testing.T, r io.Reader) {
	t.Helper()
	real := rand.Reader
	rand.Reader = r
	t.Cleanup(func() { rand.Reader = real })
}

var errNoEntropy = errors.New("no entropy")

func TestSEED1_WithoutRandomnessThereIsNoSecret(t *testing.T) {
	a := mfa.Attempt{User: mfa.User{ID: "alice"}, Now: midday}
	for name, m := range map[string]mfa.Enroller{
		"totp": mfa.TOTP{}, "totp with SHA-512": mfa.TOTP{Algorithm: mfa.SHA512}, "recovery": mfa.Recovery{},
	} {
		if prompt, state, err := m.BeginEnroll(t.Context(), a); prompt == nil || state == nil || err != nil {
			t.Fatalf("%s: BeginEnroll = %v, %x, %v; want a prompt and a state", name, prompt, state, err)
		}
		for how, r := range map[string]*shortRandom{
			"an error": {0, errNoEntropy}, "a short read": {19, io.EOF}, "an error behind 7 bytes": {7, errNoEntropy},
		} {
			t.Run(name+" with "+how, func(t *testing.T) {
				withRandom(t, r)
				if prompt, state, err := m.BeginEnroll(t.Context(), a); prompt != nil || state != nil || err == nil {
					t.Errorf("BeginEnroll = %v, %x, %v; want nothing and an error", prompt, state, err)
				}
			})
		}
	}
}

func TestTheURIIsReadBackAsItWasMeant(t *testing.T) {
	for name, c := range map[string]struct {
		issuer        string
		user          mfa.User
		label, issued string
	}{
		"plain":                  {"Example", mfa.User{Name: "alice"}, "Example:alice", "Example"},
		"spaces":                 {"Big Bank", mfa.User{Name: "Alice B. Carol"}, "Big Bank:Alice B. Carol", "Big Bank"},
		"an address":             {"Example", mfa.User{Name: "alice@example.com"}, "Example:alice@example.com", "Example"},
		"an address with a plus": {"A+B", mfa.User{Name: "a+b@example.com"}, "A+B:a+b@example.com", "A+B"},
		"signs of a query":       {"A & B = #1?", mfa.User{Name: "a&b=c#d?e/f;g%h"}, "A & B = #1?:a&b=c#d?e/f;g%h", "A & B = #1?"},
		"another secret":         {"X&secret=A", mfa.User{Name: "a&secret=B"}, "X&secret=A:a&secret=B", "X&secret=A"},
		"a colon in the issuer":  {"Example: Bank", mfa.User{Name: "alice"}, "Example  Bank:alice", "Example  Bank"},
		"a colon in the name":    {"Example", mfa.User{Name: "corp:alice"}, "Example:corp alice", "Example"},
		"other scripts":          {"Пример", mfa.User{Name: "アリス"}, "Пример:アリス", "Пример"},
		"no issuer":              {"", mfa.User{Name: "alice"}, "alice", ""},
		"no name":                {"Example", mfa.User{Email: "a@example.com", DisplayName: "A"}, "Example:a@example.com", "Example"},
		"a display name":         {"Example", mfa.User{DisplayName: "Alice"}, "Example:Alice", "Example"},
		"nothing but an issuer":  {"Example", mfa.User{ID: "42"}, "Example", "Example"},
		"line breaks":            {"Exa\nmple", mfa.User{Name: "al\r\nice"}, "Exa\nmple:al\r\nice", "Exa\nmple"},
	} {
		prompt, _, err := mfa.TOTP{Issuer: c.issuer}.BeginEnroll(t.Context(), mfa.Attempt{User: c.user, Now: midday})
		if err != nil {
			t.Fatalf("%s: BeginEnroll = %v", name, err)
		}
		p := prompt.(mfa.OTPEnrollPrompt)
		u, err := url.Parse(p.URI)
		if err != nil || strings.ContainsAny(p.URI, " +\r\n") {
			t.Errorf("%s: the URI %q is no URI, or holds a space or a plus: %v", name, p.URI, err)
			continue
		}
		q, err := url.ParseQuery(u.RawQuery)
		if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || strings.TrimPrefix(u.Path, "/") != c.label {
			t.Errorf("%s: the URI %q is read as %v, %q, %q, %q; want otpauth, totp, %q",
				name, p.URI, err, u.Scheme, u.Host, u.Path, c.label)
		}
		want := url.Values{
			"secret": {p.Secret}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"}, "issuer": {c.issued},
		}
		if c.issued == "" {
			want.Del("issuer")
		}
		if q.Encode() != want.Encode() {
			t.Errorf("%s: the URI says %q, want %q", name, q.Encode(), want.Encode())
		}
	}
}

func TestTheURITellsOtherParameters(t *testing.T) {
	m := mfa.TOTP{Issuer: "Example", Algorithm: mfa.SHA256, Digits: 8, Period: time.Minute}
	prompt, _, err := m.BeginEnroll(t.Context(), mfa.Attempt{User: mfa.User{Name: "alice"}})
	if err != nil {
		t.Fatal(err)
	}
	if uri := prompt.(mfa.OTPEnrollPrompt).URI; !strings.HasSuffix(uri, "&algorithm=SHA256&digits=8&period=60") {
		t.Errorf("URI = %q, want SHA256, 8 digits and 60 seconds", uri)
	}
}

func TestAWrongConfirmationShowsTheSameSecret(t *testing.T) {
	u := mfa.User{ID: "alice", Name: "alice"}
	first, state, err := mfa.TOTP{Issuer: "Example"}.BeginEnroll(t.Context(), mfa.Attempt{User: u})
	if err != nil {
		t.Fatal(err)
	}
	again, err := mfa.TOTP{Issuer: "Example"}.Reprompt(mfa.Attempt{User: u, State: state})
	if err != nil || again != first {
		t.Errorf("Reprompt = %+v, %v; want %+v", again, err, first)
	}
	if _, err := (mfa.TOTP{}).Reprompt(mfa.Attempt{User: u, State: []byte("garbage")}); err == nil {
		t.Error("Reprompt of garbage = nil, want an error")
	}
}

func TestWhatNoAppUnderstandsIsNotOffered(t *testing.T) {
	for name, m := range map[string]mfa.TOTP{
		"an unknown algorithm": {Algorithm: 3}, "5 digits": {Digits: 5}, "9 digits": {Digits: 9}, "-1 digits": {Digits: -1},
		"a period of 10 seconds": {Period: 10 * time.Second}, "a negative period": {Period: -30 * time.Second},
		"a period of 31 seconds": {Period: 31 * time.Second}, "a period in milliseconds": {Period: 30 * time.Millisecond},
	} {
		if err := m.Check(); err == nil {
			t.Errorf("%s: Check = nil, want an error", name)
		}
		if prompt, state, err := m.BeginEnroll(t.Context(), mfa.Attempt{}); prompt != nil || state != nil || err == nil {
			t.Errorf("%s: BeginEnroll = %v, %x, %v; want nothing and an error", name, prompt, state, err)
		}
	}
	err := mfa.TOTP{Algorithm: 9, Digits: 9, Period: 9}.Check()
	for _, part := range []string{"Algorithm", "Digits", "Period"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("Check of three mistakes = %v, want %s among them", err, part)
		}
	}
}

func TestAnEngineRefusesMethodsThatAreConfiguredWrongly(t *testing.T) {
	ring := newRing(t, 1)
	for name, c := range map[string]struct {
		methods []mfa.Method
		want    []string
	}{
		"a method that checks itself": {[]mfa.Method{mfa.TOTP{Digits: 9}, mfa.Recovery{}}, []string{"TOTP.Digits is 9"}},
		"all mistakes at once": {
			[]mfa.Method{mfa.TOTP{Digits: 9, Period: time.Second}, mfa.TOTP{}, nil},
			[]string{"TOTP.Digits", "TOTP.Period", `"totp" is there twice`, "number 3 is nil"},
		},
		"none": {nil, []string{"Methods is empty"}},
	} {
		_, err := mfa.NewEngine(mfa.EngineConfig{Store: mfa.NewMemory(), Ring: ring, Methods: c.methods})
		for _, part := range c.want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: NewEngine = %v, want %q in it", name, err, part)
			}
		}
	}
	if _, err := mfa.NewEngine(mfa.EngineConfig{
		Store: mfa.NewMemory(), Ring: ring, Methods: []mfa.Method{mfa.TOTP{Digits: 8}, mfa.Recovery{}},
	}); err != nil {
		t.Errorf("NewEngine of good methods = %v, want no error", err)
	}
}

func TestACodeIsAllItsDigitsAtEnrollmentToo(t *testing.T) {
	a, state := beginApp(t, mfa.TOTP{}, mfa.User{ID: "alice"})
	now := midday
	for a.at(now, 0)[0] != '0' {
		now = now.Add(30 * time.Second)
	}
	code := a.at(now, 0)
	for _, other := range []string{code[1:], "0" + code, " " + code[1:], "+" + code[1:], "\x00" + code[1:], code + code} {
		if _, err := confirm(state, other, now); err != mfa.ErrWrongAnswer {
			t.Errorf("%q for %q = %v, want ErrWrongAnswer", other, code, err)
		}
	}
	if _, err := confirm(state, code, now); err != nil {
		t.Errorf("%q = %v, want no error", code, err)
	}
}
