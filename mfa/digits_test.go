package mfa_test

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode"

	"sallyport/mfa"
)

func TestACodeHasOneCanonicalForm(t *testing.T) {
	six := newApp(1).factor(t)
	for name, c := range map[string]struct{ typed, want string }{ // want "": refused
		"digits":                       {"123456", "123456"},
		"leading zeros":                {"000001", "000001"},
		"a space in the middle":        {"123 456", "123456"},
		"spaces around":                {"  123456\t\r\n", "123456"},
		"hyphens":                      {"123-456-", "123456"},
		"a dash of a typographer":      {"123–456", "123456"},
		"a space that does not break":  {"123\u00a0456", "123456"},
		"a narrow one":                 {"123\u202f456", "123456"},
		"a space of no width":          {"123\u200b456", "123456"},
		"a byte order mark":            {"\ufeff123456", "123456"},
		"a soft hyphen":                {"123\u00ad456", "123456"},
		"marks of direction":           {"\u200e123456\u2069", "123456"},
		"full-width digits":            {"１２３４５６", "123456"},
		"Arabic-Indic digits":          {"١٢٣٤٥٦", "123456"},
		"Persian digits":               {"۱۲۳۴۵۶", "123456"},
		"Devanagari digits":            {"१२३४५६", "123456"},
		"bold digits of mathematics":   {"𝟏𝟐𝟑𝟒𝟓𝟔", "123456"},
		"digits of different scripts":  {"1２٣۴५𝟔", "123456"},
		"five":                         {"12345", ""},
		"seven":                        {"1234567", ""},
		"nothing":                      {"", ""},
		"nothing but spaces":           {"      ", ""},
		"a letter for a digit":         {"12345O", ""},
		"a letter more":                {"123456a", ""},
		"a sign":                       {"+123456", ""},
		"a point":                      {"123.456", ""},
		"a superscript":                {"12345⁶", ""},
		"a number in a circle":         {"12345⑥", ""},
		"a Roman numeral":              {"12345Ⅵ", ""},
		"a Chinese numeral":            {"12345六", ""},
		"an exponent":                  {"1e5000", ""},
		"NUL":                          {"12345\x006", ""},
		"what is not UTF-8":            {"123456\xff", ""},
		"a surrogate":                  {"123456\xed\xa0\x80", ""},
		"two codes":                    {"123456 654321", "123456654321"},
		"three codes":                  {"123456 654321 111111", ""},
		"more spaces than people type": {strings.Repeat(" ", 200) + "123456", ""},
		"a megabyte of digits":         {strings.Repeat("1", 1<<20), ""},
		"a megabyte of no width":       {strings.Repeat("\u200b", 1<<20/3) + "123456", ""},
	} {
		got, ok := mfa.TOTP{}.Canonical(six, []byte(c.typed))
		if ok != (c.want != "") || ok && string(got) != c.want {
			t.Errorf("%s: Canonical(%.20q) = %q, %v; want %q", name, c.typed, got, ok, c.want)
		}
	}
}

func TestTheCanonicalFormHasAsManyDigitsAsTheFactor(t *testing.T) {
	for _, c := range []struct {
		name   string
		method mfa.TOTP
		factor mfa.Factor
		want   int
	}{
		{"an enrollment by default", mfa.TOTP{}, mfa.Factor{}, 6},
		{"an enrollment of eight", mfa.TOTP{Digits: 8}, mfa.Factor{}, 8},
		{"a factor of seven", mfa.TOTP{}, app{mfa.TOTPSeed{Key: make([]byte, 20), Digits: 7}}.factor(t), 7},
		{"a factor of six where new ones have eight", mfa.TOTP{Digits: 8}, newApp(1).factor(t), 6},
		{"a factor that cannot be read", mfa.TOTP{}, mfa.Factor{State: []byte("garbage")}, 0},
	} {
		for n := 1; n <= 10; n++ {
			typed := []byte("1234567890"[:n])
			if got, ok := c.method.Canonical(c.factor, typed); ok != (n == c.want) || ok && !bytes.Equal(got, typed) {
				t.Errorf("%s: Canonical(%s) = %s, %v", c.name, typed, got, ok)
			}
		}
	}
}

// Unicode §4.6: the decimal digits of each script stand in a row, from zero to nine.
func TestDigitsOfEveryScriptAreRead(t *testing.T) {
	f, n := newApp(1).factor(t), 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !unicode.Is(unicode.Nd, r) {
			if _, ok := (mfa.TOTP{}).Canonical(f, []byte("12345"+string(r))); ok {
				t.Errorf("%U is read as a digit, and is none", r)
			}
			n = 0
			continue
		}
		want := "12345" + string('0'+rune(n%10))
		if got, ok := (mfa.TOTP{}).Canonical(f, []byte("12345"+string(r))); !ok || string(got) != want {
			t.Errorf("%U is read as %s, %v; want %s", r, got, ok, want)
		}
		n++
	}
}

// A wrong guess must not make work for the garbage collector: it is what an attacker sends most.
func TestAWrongCodeAllocatesNothing(t *testing.T) {
	for algorithm := mfa.SHA1; algorithm <= mfa.SHA512; algorithm++ {
		a := newApp(1)
		a.Algorithm = algorithm
		attempt := mfa.Attempt{Factor: a.factor(t), Answer: []byte("000000"), Now: time.Unix(1_800_000_000, 0)}
		for a.at(attempt.Now, 0) == "000000" {
			t.Fatal("the code is right by chance")
		}
		ctx := t.Context()
		if n := testing.AllocsPerRun(200, func() { mfa.TOTP{}.Finish(ctx, attempt) }); n != 0 {
			t.Errorf("a wrong code with %v allocates %v times, want 0", algorithm, n)
		}
	}
}
