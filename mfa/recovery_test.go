package mfa_test

import (
	"bytes"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"sallyport/mfa"
)

// newSet enrolls a set of recovery codes and returns them as they are printed.
func newSet(t testing.TB) (mfa.Factor, []string) {
	t.Helper()
	prompt, state, err := mfa.Recovery{}.BeginEnroll(t.Context(), mfa.Attempt{})
	if err != nil {
		t.Fatalf("BeginEnroll = %v, want no error", err)
	}
	codes := prompt.(mfa.RecoveryPrompt).Codes
	out, err := mfa.Recovery{}.FinishEnroll(t.Context(), mfa.Attempt{State: state, Answer: plain(t, codes[0])})
	if err != nil {
		t.Fatalf("FinishEnroll with a code of the set = %v, want no error", err)
	}
	f := out.Factor
	f.ID, f.Method = "codes", mfa.MethodRecovery
	return f, codes
}

// plain is the canonical form of a code.
func plain(t testing.TB, code string) []byte {
	t.Helper()
	c, ok := mfa.Recovery{}.Canonical(mfa.Factor{}, []byte(code))
	if !ok {
		t.Fatalf("Canonical(%q) refuses it", code)
	}
	return c
}

// useCode types a code. With an error the set is as it was.
func useCode(t testing.TB, f mfa.Factor, code string) (mfa.Factor, error) {
	t.Helper()
	out, err := mfa.Recovery{}.Finish(t.Context(), mfa.Attempt{Factor: f, Answer: plain(t, code), Now: midday})
	if err != nil {
		return f, err
	}
	return out.Factor, nil
}

func TestASetHasTenCodesOfFiveTimesFiveCharacters(t *testing.T) {
	f, codes := newSet(t)
	if len(codes) != 10 || f.Strength != mfa.Recovered {
		t.Fatalf("%d codes of strength %v, want 10 of recovered", len(codes), f.Strength)
	}
	seen := map[string]bool{}
	for _, code := range codes {
		groups := strings.Split(code, "-")
		if len(groups) != 5 || strings.Trim(code, "-0123456789ABCDEFGHJKMNPQRSTVWXYZ") != "" {
			t.Errorf("code %q, want five groups of Crockford's alphabet", code)
		}
		for _, g := range groups {
			if len(g) != 5 {
				t.Errorf("code %q has a group of %d, want 5", code, len(g))
			}
		}
		seen[code] = true
	}
	if len(seen) != 10 {
		t.Errorf("%d different codes, want 10", len(seen))
	}
}

func TestEachCodeIsGoodOnceInAnyOrder(t *testing.T) {
	f, codes := newSet(t)
	for n, i := range []int{7, 0, 9, 3, 1, 8, 2, 6, 4, 5} {
		if left := (mfa.Recovery{}).Left(f); left != 10-n {
			t.Fatalf("Left before use %d = %d, want %d", n+1, left, 10-n)
		}
		used, err := useCode(t, f, codes[i])
		if err != nil {
			t.Fatalf("code %d = %v, want no error", i, err)
		}
		if f = used; f.ID != "codes" {
			t.Fatalf("code %d came with the factor %q, want codes", i, f.ID)
		}
		if _, err := useCode(t, f, codes[i]); err != mfa.ErrSpent {
			t.Fatalf("code %d again = %v, want ErrSpent", i, err)
		}
	}
	for i, code := range codes {
		if _, err := useCode(t, f, code); err != mfa.ErrSpent {
			t.Errorf("code %d of a set that is used up = %v, want ErrSpent", i, err)
		}
	}
	if left := (mfa.Recovery{}).Left(f); left != 0 {
		t.Errorf("Left of a set that is used up = %d, want 0", left)
	}
}

func TestRC1_ACodeOfAnotherSetIsWrong(t *testing.T) {
	alices, hers := newSet(t)
	bobs, his := newSet(t)
	for i := range his {
		if _, err := useCode(t, alices, his[i]); err != mfa.ErrWrongAnswer {
			t.Errorf("bob's code %d for alice = %v, want ErrWrongAnswer", i, err)
		}
		if _, err := useCode(t, alices, hers[i]); err != nil {
			t.Errorf("alice's code %d = %v, want no error", i, err)
		}
		if _, err := useCode(t, bobs, hers[i]); err != mfa.ErrWrongAnswer {
			t.Errorf("alice's code %d for bob = %v, want ErrWrongAnswer", i, err)
		}
	}
}

func TestRC4_ACodeOfTheSetBeforeIsWrong(t *testing.T) {
	_, old := newSet(t)
	f, codes := newSet(t)
	for i := range old {
		if _, err := useCode(t, f, old[i]); err != mfa.ErrWrongAnswer {
			t.Errorf("code %d of the set before = %v, want ErrWrongAnswer", i, err)
		}
	}
	if _, err := useCode(t, f, codes[9]); err != nil {
		t.Errorf("a code of this set = %v, want no error", err)
	}
}

func TestRC3_TheStateHoldsNoCodeInAnyForm(t *testing.T) {
	f, codes := newSet(t)
	used, err := useCode(t, f, codes[4])
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range codes {
		bare := string(plain(t, code))
		for _, text := range []string{code, strings.ToLower(code), bare, strings.ToLower(bare)} {
			for name, needle := range forms(text) {
				if bytes.Contains(f.State, needle) || bytes.Contains(used.State, needle) {
					t.Errorf("the state holds a code as %s", name)
				}
			}
		}
	}
}

// forms are what a careless store may keep of a code: itself, an encoding, an unkeyed hash, or the beginning of one.
func forms(code string) map[string][]byte {
	text := []byte(code)
	sum1, sum5, sum256 := sha1.Sum(text), md5.Sum(text), sha256.Sum256(text)
	doubled := sha256.Sum256(sum256[:])
	all := map[string][]byte{
		"text": text, "its first characters": text[:8], "SHA-256": sum256[:8], "SHA-1": sum1[:8], "MD5": sum5[:8],
		"SHA-256 of SHA-256": doubled[:8],
		"hex":                []byte(hex.EncodeToString(text)), "base64": []byte(base64.RawStdEncoding.EncodeToString(text)),
		"base32": []byte(base32.StdEncoding.EncodeToString(text)), "hex of SHA-256": []byte(hex.EncodeToString(sum256[:8])),
		"base64 of SHA-256": []byte(base64.RawStdEncoding.EncodeToString(sum256[:])[:10]),
	}
	crockford := base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)
	if bits, err := crockford.DecodeString(code[:min(24, len(code))]); err == nil {
		sum := sha256.Sum256(bits)
		all["bits"], all["SHA-256 of its bits"] = bits[:8], sum[:8]
	}
	return all
}

func TestTheSameCodesAreKeptDifferentlyInEachSet(t *testing.T) {
	prompt, state, err := mfa.Recovery{}.BeginEnroll(t.Context(), mfa.Attempt{})
	if err != nil {
		t.Fatal(err)
	}
	a := mfa.Attempt{State: state, Answer: plain(t, prompt.(mfa.RecoveryPrompt).Codes[0])}
	one, err1 := mfa.Recovery{}.FinishEnroll(t.Context(), a)
	two, err2 := mfa.Recovery{}.FinishEnroll(t.Context(), a)
	if err1 != nil || err2 != nil {
		t.Fatalf("FinishEnroll = %v, %v; want no errors", err1, err2)
	}
	for i := 0; i+8 <= len(one.Factor.State); i++ {
		if part := one.Factor.State[i : i+8]; bytes.Contains(two.Factor.State, part) {
			t.Fatalf("two sets of the same codes share the bytes %x", part)
		}
	}
}

func TestTheCodeThatConfirmsASetStaysGood(t *testing.T) {
	f, codes := newSet(t) // confirmed with the first
	if left := (mfa.Recovery{}).Left(f); left != 10 {
		t.Errorf("Left of a new set = %d, want 10", left)
	}
	if _, err := useCode(t, f, codes[0]); err != nil {
		t.Errorf("the code that confirmed it = %v, want no error", err)
	}
}

func TestAWrongConfirmationKeepsNoSet(t *testing.T) {
	first, state, err := mfa.Recovery{}.BeginEnroll(t.Context(), mfa.Attempt{})
	if err != nil {
		t.Fatal(err)
	}
	_, others := newSet(t)
	for name, code := range map[string][]byte{"another set's": plain(t, others[1]), "nothing": nil, "a part": []byte("0")} {
		out, err := mfa.Recovery{}.FinishEnroll(t.Context(), mfa.Attempt{State: state, Answer: code})
		if err != mfa.ErrWrongAnswer || out.Factor.State != nil {
			t.Errorf("%s: FinishEnroll = %+v, %v; want no factor and ErrWrongAnswer", name, out.Factor, err)
		}
	}
	again, err := mfa.Recovery{}.Reprompt(mfa.Attempt{State: state})
	if err != nil || !slices.Equal(again.(mfa.RecoveryPrompt).Codes, first.(mfa.RecoveryPrompt).Codes) {
		t.Errorf("Reprompt = %v, %v; want the same codes", again, err)
	}
	for i, code := range first.(mfa.RecoveryPrompt).Codes { // any of the ten will do
		a := mfa.Attempt{State: state, Answer: plain(t, code)}
		if _, err := (mfa.Recovery{}).FinishEnroll(t.Context(), a); err != nil {
			t.Errorf("FinishEnroll with code %d = %v, want no error", i, err)
		}
	}
	for _, bad := range [][]byte{
		nil, {}, []byte("garbage"), state[:len(state)-1], append(bytes.Clone(state), 0), append([]byte{2}, state[1:]...),
	} {
		a := mfa.Attempt{State: bad, Answer: plain(t, first.(mfa.RecoveryPrompt).Codes[0])}
		if out, err := (mfa.Recovery{}).FinishEnroll(t.Context(), a); err == nil || out.Factor.State != nil {
			t.Errorf("FinishEnroll of the state %.20x = %+v, %v; want no factor and an error", bad, out.Factor, err)
		}
		if p, err := (mfa.Recovery{}).Reprompt(a); err == nil || p != nil {
			t.Errorf("Reprompt of the state %.20x = %v, %v; want nothing and an error", bad, p, err)
		}
	}
}

func TestASetThatCannotBeReadDenies(t *testing.T) {
	f, codes := newSet(t)
	states := [][]byte{nil, {}, []byte("garbage"), append(bytes.Clone(f.State), 0), append([]byte{9}, f.State[1:]...)}
	for n := range f.State {
		states = append(states, f.State[:n])
	}
	for _, state := range states {
		bad := mfa.Factor{ID: "codes", State: state}
		if _, err := useCode(t, bad, codes[0]); err == nil || err == mfa.ErrWrongAnswer || err == mfa.ErrSpent {
			t.Errorf("a state of %d bytes: Finish = %v, want an error that is no verdict", len(state), err)
		}
		if left := (mfa.Recovery{}).Left(bad); left != 0 {
			t.Errorf("a state of %d bytes: Left = %d, want 0", len(state), left)
		}
	}
}

func TestWithoutRandomnessForItsKeyASetIsNotKept(t *testing.T) {
	prompt, state, err := mfa.Recovery{}.BeginEnroll(t.Context(), mfa.Attempt{})
	if err != nil {
		t.Fatal(err)
	}
	a := mfa.Attempt{State: state, Answer: plain(t, prompt.(mfa.RecoveryPrompt).Codes[0])}
	for _, n := range []int{0, 31} {
		withRandom(t, &shortRandom{n, errNoEntropy})
		if out, err := (mfa.Recovery{}).FinishEnroll(t.Context(), a); err == nil || out.Factor.State != nil {
			t.Errorf("with %d random bytes: FinishEnroll = %+v, %v; want no factor and an error", n, out.Factor, err)
		}
	}
}

// What has 120 random bits needs no slow hash, and is not charged as a guess.
func TestCodesHave120RandomBits(t *testing.T) {
	read := &countedRandom{}
	withRandom(t, read)
	if _, _, err := (mfa.Recovery{}).BeginEnroll(t.Context(), mfa.Attempt{}); err != nil || read.n < 10*15 {
		t.Errorf("BeginEnroll = %v and read %d random bytes, want at least 150", err, read.n)
	}
	if !(mfa.Recovery{}).Unguessable(mfa.Factor{}) {
		t.Error("Unguessable = false, want true")
	}
}

// countedRandom is the real source of randomness, read through a counter.
type countedRandom struct{ n int }

var realRandom = rand.Reader

func (c *countedRandom) Read(b []byte) (int, error) {
	c.n += len(b)
	return realRandom.Read(b)
}
