package mfa_test

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sallyport/mfa"
)

// full reports whether large sizes are wanted.
func full() bool { return os.Getenv("SALLYPORT_TEST_FULL") != "" }

// newHash are the hashes by their names in otpauth URIs.
var newHash = map[mfa.Algorithm]func() hash.Hash{mfa.SHA1: sha1.New, mfa.SHA256: sha256.New, mfa.SHA512: sha512.New}

// hotp is a second implementation of RFC 4226 §5.3, from the text: HMAC of the library, the bits as one large number.
func hotp(a mfa.Algorithm, key []byte, counter uint64, digits int) string {
	h := hmac.New(newHash[a], key)
	h.Write(new(big.Int).SetUint64(counter).FillBytes(make([]byte, 8)))
	sum := h.Sum(nil)
	offset := int(sum[len(sum)-1]) % 16
	n := new(big.Int).SetBytes(sum[offset : offset+4])
	n.SetBit(n, 31, 0)
	text := "0000000000" + n.String()
	return text[len(text)-digits:]
}

// app is an authenticator app of its own, beside the product's arithmetic.
type app struct{ mfa.TOTPSeed }

// at is the code that the app shows d steps from t.
func (a app) at(t time.Time, d int64) string {
	digits, period := a.Digits, a.Period
	if digits == 0 {
		digits = 6
	}
	if period == 0 {
		period = 30 * time.Second
	}
	seconds := new(big.Int).SetInt64(t.Unix() - a.T0)
	step := new(big.Int).Div(seconds, big.NewInt(int64(period/time.Second))) // Div rounds down, also below zero
	return hotp(a.Algorithm, a.Key, uint64(step.Int64()+d), digits)
}

// factor is the factor of the app's secret.
func (a app) factor(t testing.TB) mfa.Factor {
	t.Helper()
	f, err := a.Factor()
	if err != nil {
		t.Fatalf("Factor of %+v = %v, want no error", a.TOTPSeed, err)
	}
	f.ID = "f1"
	return f
}

// newApp is an app with a key of 20 bytes that depends on n.
func newApp(n byte) app {
	key := sha256.Sum256([]byte{n})
	return app{mfa.TOTPSeed{Key: key[:20]}}
}

// answer types a code for a factor. With an error the factor is as it was.
func answer(f mfa.Factor, code string, now time.Time) (mfa.Factor, error) {
	out, err := mfa.TOTP{}.Finish(context.Background(), mfa.Attempt{Factor: f, Answer: []byte(code), Now: now})
	if err != nil {
		return f, err
	}
	return out.Factor, nil
}

func TestCodesOfRFC4226AppendixD(t *testing.T) {
	key := []byte("12345678901234567890")
	for counter, want := range []uint32{
		1284755224, 1094287082, 137359152, 1726969429, 1640338314, 868254676, 1918287922, 82162583, 673399871, 645520489,
	} {
		for digits, modulus := range map[int]uint32{6: 1_000_000, 7: 10_000_000, 8: 100_000_000} {
			if got := mfa.OTPCode(mfa.SHA1, key, uint64(counter), digits); got != want%modulus {
				t.Errorf("code of counter %d with %d digits = %d, want %d", counter, digits, got, want%modulus)
			}
		}
	}
}

func TestCodesOfRFC6238AppendixB(t *testing.T) {
	const seed = "1234567890123456789012345678901234567890123456789012345678901234"
	for _, c := range []struct {
		unix  int64
		codes [3]string // SHA-1, SHA-256, SHA-512
	}{
		{59, [3]string{"94287082", "46119246", "90693936"}},
		{1111111109, [3]string{"07081804", "68084774", "25091201"}},
		{1111111111, [3]string{"14050471", "67062674", "99943326"}},
		{1234567890, [3]string{"89005924", "91819424", "93441116"}},
		{2000000000, [3]string{"69279037", "90698825", "38618901"}},
		{20000000000, [3]string{"65353130", "77737706", "47863826"}},
	} {
		for i, size := range []int{20, 32, 64} {
			f := app{mfa.TOTPSeed{Key: []byte(seed[:size]), Algorithm: mfa.Algorithm(i), Digits: 8}}.factor(t)
			if _, err := answer(f, c.codes[i], time.Unix(c.unix, 0)); err != nil {
				t.Errorf("%v at %d: Finish of %s = %v, want no error", mfa.Algorithm(i), c.unix, c.codes[i], err)
			}
			if _, err := answer(f, c.codes[(i+1)%3], time.Unix(c.unix, 0)); err != mfa.ErrWrongAnswer {
				t.Errorf("%v at %d: Finish of %s = %v, want ErrWrongAnswer", mfa.Algorithm(i), c.unix, c.codes[(i+1)%3], err)
			}
		}
	}
}

// randomSeed draws a key of any length, and any parameters, that may be imported.
func randomSeed(r *rand.Rand) mfa.TOTPSeed {
	key := make([]byte, 5+r.IntN(60))
	for i := range key {
		key[i] = byte(r.Uint32())
	}
	return mfa.TOTPSeed{
		Key: key, Algorithm: mfa.Algorithm(r.IntN(3)), Digits: 6 + r.IntN(3),
		Period: time.Duration(10+r.IntN(291)) * time.Second, T0: r.Int64N(4_000_000_000) - 2_000_000_000,
	}
}

func TestCodesAreThoseOfASecondImplementation(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 3000 {
		s := randomSeed(r)
		counter := r.Uint64()
		want := hotp(s.Algorithm, s.Key, counter, s.Digits)
		got := fmt.Sprintf("%0*d", s.Digits, mfa.OTPCode(s.Algorithm, s.Key, counter, s.Digits))
		if got != want {
			t.Fatalf("%v code of key %x, counter %d = %s, want %s", s.Algorithm, s.Key, counter, got, want)
		}
	}
}

func TestEveryKeyLengthAndPeriodIsJudged(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for size := 5; size <= 64; size++ {
		for algorithm := mfa.SHA1; algorithm <= mfa.SHA512; algorithm++ {
			s := randomSeed(r)
			s.Key, s.Algorithm = make([]byte, size), algorithm
			s.Key[size-1] = 1 // the last byte counts
			judgedRight(t, app{s}, r)
		}
	}
	for period := 10; period <= 300; period++ {
		s := randomSeed(r)
		s.Period = time.Duration(period) * time.Second
		judgedRight(t, app{s}, r)
	}
}

// judgedRight checks the codes of an app at a random time after its T0: those of three steps are right.
func judgedRight(t *testing.T, a app, r *rand.Rand) {
	t.Helper()
	f, now := a.factor(t), time.Unix(a.T0+600+r.Int64N(4_000_000_000), r.Int64N(1e9))
	for d := int64(-1); d <= 1; d++ {
		if _, err := answer(f, a.at(now, d), now); err != nil {
			t.Fatalf("%v key of %d bytes, period %v, T0 %d: the code %d steps away = %v, want no error",
				a.Algorithm, len(a.Key), a.Period, a.T0, d, err)
		}
	}
}

func TestCodesAreThoseOfOathtool(t *testing.T) {
	tool, err := exec.LookPath("oathtool")
	if err != nil && os.Getenv("SALLYPORT_TEST_REQUIRE") == "" {
		t.Skip("not tested: oathtool is not installed")
	}
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 3))
	for range 40 {
		s := randomSeed(r)
		s.T0 = 0
		now := time.Unix(600+r.Int64N(4_000_000_000), 0)
		name := map[mfa.Algorithm]string{mfa.SHA1: "sha1", mfa.SHA256: "sha256", mfa.SHA512: "sha512"}[s.Algorithm]
		out, err := exec.CommandContext(t.Context(), tool, "--totp="+name, "-d", fmt.Sprint(s.Digits),
			"-s", fmt.Sprintf("%.0fs", s.Period.Seconds()), "-N", fmt.Sprintf("@%d", now.Unix()),
			hex.EncodeToString(s.Key)).Output()
		if err != nil {
			t.Fatalf("oathtool: %v", err)
		}
		code := strings.TrimSpace(string(out))
		if _, err := answer(app{s}.factor(t), code, now); err != nil {
			t.Errorf("%s key %x at %d: Finish of oathtool's %s = %v, want no error", name, s.Key, now.Unix(), code, err)
		}
	}
}

func TestWhatCannotBeAFactorIsRefused(t *testing.T) {
	key := make([]byte, 20)
	for name, s := range map[string]mfa.TOTPSeed{
		"no key":                            {},
		"a key of 4 bytes":                  {Key: key[:4]},
		"a key of 65 bytes":                 {Key: make([]byte, 65)},
		"an unknown algorithm":              {Key: key, Algorithm: 3},
		"5 digits":                          {Key: key, Digits: 5},
		"9 digits":                          {Key: key, Digits: 9},
		"a negative number of digits":       {Key: key, Digits: -6},
		"a period of 9 seconds":             {Key: key, Period: 9 * time.Second},
		"a period of 301 seconds":           {Key: key, Period: 301 * time.Second},
		"a period that is no whole seconds": {Key: key, Period: 30*time.Second + 1},
		"a negative period":                 {Key: key, Period: -30 * time.Second},
		"a drift beyond its most":           {Key: key, Drift: 3, MaxDrift: 2},
		"a drift below its least":           {Key: key, Drift: -3, MaxDrift: 2},
		"a negative most drift":             {Key: key, MaxDrift: -1},
		"a drift of more than a month":      {Key: key, Drift: 100_001},
		"a T0 in the far future":            {Key: key, T0: 1 << 60},
		"a T0 in the far past":              {Key: key, T0: -1 << 60},
		"a last step before the first":      {Key: key, Used: true, Last: -1},
	} {
		if f, err := s.Factor(); err == nil || f.State != nil {
			t.Errorf("%s: Factor = %+v, %v; want no factor and an error", name, f, err)
		}
		// What was stored by other means is not judged either.
		s.Digits, s.Period = cmp.Or(s.Digits, 6), cmp.Or(s.Period, 30*time.Second)
		if s.Period%time.Second != 0 {
			continue // the encoding has no room for it
		}
		f := mfa.Factor{ID: "f1", Method: mfa.MethodTOTP, State: mfa.EncodeSeed(s)}
		if _, err := answer(f, "000000", time.Unix(0, 0)); err == nil || err == mfa.ErrWrongAnswer {
			t.Errorf("%s: Finish = %v, want an error that is no verdict", name, err)
		}
	}
	if _, err := (mfa.TOTPSeed{Key: key}).Factor(); err != nil {
		t.Errorf("Factor of a key alone = %v, want no error", err)
	}
}
