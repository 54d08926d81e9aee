package mfa_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"sallyport/mfa"
)

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// someCode is a code in its canonical form that depends on n.
func someCode(n int) string {
	sum := sha256.Sum256(fmt.Append(nil, n))
	return mfa.SpellRecoveryCode(sum[:15])
}

func isCode(text string) bool {
	_, ok := mfa.Recovery{}.Canonical(mfa.Factor{}, []byte(text))
	return ok
}

func TestACodeIsCrockfordBase32WithACheckCharacter(t *testing.T) {
	inputs := [][]byte{make([]byte, 15), bytes.Repeat([]byte{0xff}, 15), bytes.Repeat([]byte{0x55}, 15)}
	for n := range 200 {
		sum := sha256.Sum256(fmt.Append(nil, n))
		inputs = append(inputs, sum[:15])
	}
	for _, random := range inputs {
		got := mfa.SpellRecoveryCode(random)
		number, want := new(big.Int).SetBytes(random), ""
		for i := 23; i >= 0; i-- { // five bits a character, the highest first
			digit := new(big.Int).Rsh(number, uint(5*i))
			want += string(crockford[digit.Mod(digit, big.NewInt(32)).Int64()])
		}
		if want += modelCheck(want); got != want {
			t.Errorf("the code of %x = %s, want %s", random, got, want)
		}
	}
}

// modelCheck is the check character by school arithmetic: the sum of the values, each times x to the power of its place
// from the right, modulo x^5 + x^2 + 1.
func modelCheck(code string) string {
	sum := 0
	for i, c := range code {
		product := strings.IndexRune(crockford, c) << (len(code) - i)
		for bit := 40; bit >= 5; bit-- {
			if product>>bit&1 == 1 {
				product ^= 0b100101 << (bit - 5)
			}
		}
		sum ^= product
	}
	return string(crockford[sum])
}

// A typo is told at once, so it costs nothing: no wrong answer, no ticket.
func TestEveryWrongCharacterIsTold(t *testing.T) {
	for n := range 5 {
		code := someCode(n)
		if !isCode(code) {
			t.Fatalf("%s is refused", code)
		}
		for at := range code {
			for _, c := range crockford {
				if wrong := code[:at] + string(c) + code[at+1:]; wrong != code && isCode(wrong) {
					t.Errorf("%s is taken for a code, as is %s", wrong, code)
				}
			}
		}
	}
}

func TestEverySwapOfTwoCharactersIsTold(t *testing.T) {
	for n := range 5 {
		code := someCode(n)
		for i := range code {
			for j := range i {
				b := []byte(code)
				b[i], b[j] = b[j], b[i]
				if string(b) != code && isCode(string(b)) {
					t.Errorf("%s is taken for a code, as is %s", b, code)
				}
			}
		}
	}
}

func TestACodeIsReadHoweverItIsWritten(t *testing.T) {
	code := "" // one with a 1 and a 0, which people write as letters
	for n := 0; !strings.Contains(code, "1") || !strings.Contains(code, "0"); n++ {
		code = someCode(n)
	}
	printed := code[:5] + "-" + code[5:10] + "-" + code[10:15] + "-" + code[15:20] + "-" + code[20:]
	wide := strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return r - '0' + '０'
		}
		return r
	}, code)
	for name, typed := range map[string]string{
		"as it is kept": code, "as it is printed": printed, "in small letters": strings.ToLower(printed),
		"with spaces": strings.ReplaceAll(printed, "-", " "), "with space around": "\t " + printed + "\r\n",
		"with I for 1": strings.ReplaceAll(code, "1", "I"), "with i for 1": strings.ReplaceAll(code, "1", "i"),
		"with L for 1": strings.ReplaceAll(code, "1", "L"), "with l for 1": strings.ReplaceAll(code, "1", "l"),
		"with O for 0": strings.ReplaceAll(code, "0", "O"), "with o for 0": strings.ReplaceAll(code, "0", "o"),
		"with dashes":                   strings.ReplaceAll(printed, "-", "–"),
		"with spaces that do not break": strings.ReplaceAll(printed, "-", "\u00a0"),
		"with characters of no width":   strings.ReplaceAll(printed, "-", "\u200b"), "with full-width digits": wide,
	} {
		got, ok := mfa.Recovery{}.Canonical(mfa.Factor{}, []byte(typed))
		if !ok || string(got) != code {
			t.Errorf("%s: Canonical(%q) = %q, %v; want %s", name, typed, got, ok, code)
		}
	}
}

func TestWhatCannotBeACodeIsRefused(t *testing.T) {
	code := someCode(1)
	for name, typed := range map[string]string{
		"nothing": "", "a character less": code[:24], "the first less": code[1:],
		"a character more": code + "0", "twice": code + code,
		"a letter that is none of them": code[:24] + "U", "a sign": code[:24] + "*", "a dot": code[:12] + "." + code[12:],
		"six digits": "123456", "a letter of another script": code[:24] + "А", "NUL": code[:24] + "\x00",
		"what is not UTF-8": code + "\xff", "a long s": code[:24] + "ſ", "a Kelvin sign": code[:24] + "K",
		"spaces without end": code + strings.Repeat(" ", 200), "a megabyte": strings.Repeat(code, 40_000),
	} {
		if got, ok := (mfa.Recovery{}).Canonical(mfa.Factor{}, []byte(typed)); ok {
			t.Errorf("%s: Canonical(%.40q) = %q, want a refusal", name, typed, got)
		}
	}
}
