package mfa

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Recovery is the method of recovery codes: ten codes of 120 bits, each good once, for the day on which everything else
// is lost. They are kept as HMAC-SHA-256 under a random key of the set: what has 120 bits needs no slow hash.
type Recovery struct{}

// RecoveryPrompt shows the codes of a new set, the one time that anybody sees them.
type RecoveryPrompt struct {
	Codes []string `json:"codes"`
}

const (
	recoveryCodes   = 10
	recoveryBytes   = 15 // 120 bits: 24 characters of five
	recoveryLength  = 25 // with the check character
	recoveryVersion = 1
)

// Name returns recovery.
func (Recovery) Name() string { return MethodRecovery }

// Strength returns Recovered.
func (Recovery) Strength() Strength { return Recovered }

// Unguessable implements mfa.Unguessable.
func (Recovery) Unguessable(Factor) bool { return true }

// Left implements Counter.
func (Recovery) Left(f Factor) int {
	set, err := decodeRecoverySet(f.State)
	if err != nil {
		return 0
	}
	left := 0
	for _, c := range set.codes {
		if !c.used {
			left++
		}
	}
	return left
}

// Begin asks for any code of the set.
func (Recovery) Begin(context.Context, Attempt) (prompt any, state []byte, err error) {
	return nil, nil, nil
}

// Finish judges a code and spends it.
func (Recovery) Finish(_ context.Context, a Attempt) (Outcome, error) {
	set, err := decodeRecoverySet(a.Factor.State)
	if err != nil {
		return Outcome{}, fmt.Errorf("recovery codes %s: %w", a.Factor.ID, err)
	}
	mac := set.mac(a.Answer)
	at := -1
	for i := range set.codes {
		at = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(mac[:], set.codes[i].mac[:]), i, at)
	}
	switch {
	case at < 0:
		return Outcome{}, ErrWrongAnswer
	case set.codes[at].used:
		return Outcome{}, ErrSpent
	}
	set.codes[at].used = true
	f := a.Factor
	f.State = set.encode()
	return Outcome{Factor: f}, nil
}

// BeginEnroll makes a new set of codes. They are kept in the ticket alone until one of them is typed.
func (Recovery) BeginEnroll(context.Context, Attempt) (prompt any, state []byte, err error) {
	state = make([]byte, 1+recoveryCodes*recoveryBytes)
	state[0] = recoveryVersion
	if _, err := io.ReadFull(rand.Reader, state[1:]); err != nil {
		return nil, nil, fmt.Errorf("making recovery codes: %w", err)
	}
	prompt, err = Recovery{}.Reprompt(Attempt{State: state})
	return prompt, state, err
}

// Reprompt shows the same codes again.
func (Recovery) Reprompt(a Attempt) (prompt any, err error) {
	codes, err := newCodes(a.State)
	if err != nil {
		return nil, err
	}
	p := RecoveryPrompt{Codes: make([]string, len(codes))}
	for i, c := range codes {
		p.Codes[i] = hyphenated(c)
	}
	return p, nil
}

// FinishEnroll keeps the set if one of its codes was typed. That shows that they were saved; it spends none.
func (Recovery) FinishEnroll(_ context.Context, a Attempt) (Outcome, error) {
	codes, err := newCodes(a.State)
	if err != nil {
		return Outcome{}, err
	}
	set := recoverySet{codes: make([]recoveryCode, len(codes))}
	if _, err := io.ReadFull(rand.Reader, set.key[:]); err != nil {
		return Outcome{}, fmt.Errorf("making the key of recovery codes: %w", err)
	}
	typed := 0
	for i, c := range codes {
		set.codes[i].mac = set.mac(c)
		typed |= subtle.ConstantTimeCompare(c, a.Answer)
	}
	if typed == 0 {
		return Outcome{}, ErrWrongAnswer
	}
	return Outcome{Factor: Factor{Strength: Recovered, State: set.encode()}}, nil
}

// newCodes returns the codes of a set that is being made, in their canonical form.
func newCodes(state []byte) ([][]byte, error) {
	if len(state) != 1+recoveryCodes*recoveryBytes || state[0] != recoveryVersion {
		return nil, fmt.Errorf("new recovery codes: %w", errWire)
	}
	codes := make([][]byte, recoveryCodes)
	for i := range codes {
		codes[i] = spell(state[1+i*recoveryBytes:][:recoveryBytes])
	}
	return codes, nil
}

// recoverySet is the state of a set of codes.
type recoverySet struct {
	key   [sha256.Size]byte
	codes []recoveryCode
}

type recoveryCode struct {
	mac  [sha256.Size]byte
	used bool
}

func (s *recoverySet) mac(code []byte) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, s.key[:])
	h.Write(code)
	h.Sum(sum[:0])
	return sum
}

func (s *recoverySet) encode() []byte {
	w := &writer{b: make([]byte, 0, 64+len(s.codes)*(sha256.Size+1))}
	w.b = append(w.b, recoveryVersion)
	w.b = append(w.b, s.key[:]...)
	writeList(w, s.codes, func(c recoveryCode) {
		w.b = append(w.b, c.mac[:]...)
		w.bool(c.used)
	})
	return w.b
}

func decodeRecoverySet(b []byte) (s recoverySet, err error) {
	r := &reader{b: b}
	if r.byte() != recoveryVersion {
		return s, errWire
	}
	r.fill(s.key[:])
	s.codes = readList(r, func() (c recoveryCode) {
		r.fill(c.mac[:])
		c.used = r.bool()
		return c
	})
	return s, r.end()
}

// crockford is the alphabet of Crockford's base32: none of its letters looks like another or like a digit.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// spell writes random bytes as characters of five bits, and the check character behind them.
func spell(random []byte) []byte {
	code := make([]byte, 0, recoveryLength)
	bits, held := uint32(0), 0
	for _, b := range random {
		bits, held = bits<<8|uint32(b), held+8
		for held >= 5 {
			held -= 5
			code = append(code, crockford[bits>>held&31])
		}
	}
	return append(code, crockford[checkOf(code)])
}

// hyphenated prints a code in five groups of five.
func hyphenated(code []byte) string {
	var b strings.Builder
	for i, c := range code {
		if i > 0 && i%5 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// checkOf returns the value of the check character: the sum of the characters' values, each times its own power of x, in
// the field of 32 elements. The powers of x differ for 31 places, so one wrong character and two that changed places are
// always noticed.
func checkOf(code []byte) byte {
	sum := byte(0)
	for _, c := range code {
		sum = timesX(sum ^ byte(strings.IndexByte(crockford, c)))
	}
	return sum
}

// timesX multiplies by x modulo x^5 + x^2 + 1, which is primitive.
func timesX(v byte) byte {
	v <<= 1
	if v&32 != 0 {
		v ^= 0b100101
	}
	return v
}

// Canonical implements Canonicalizer: 25 capitals and digits with a right check character. Case, spaces and hyphens do
// not count; I and L are read as 1, O as 0.
func (Recovery) Canonical(_ Factor, answer []byte) ([]byte, bool) {
	if len(answer) > maxTypedAnswer || !utf8.Valid(answer) {
		return nil, false
	}
	code := make([]byte, 0, recoveryLength)
	for _, r := range string(answer) {
		if isFiller(r) {
			continue
		}
		c, ok := crockfordOf(r)
		if !ok || len(code) == recoveryLength {
			return nil, false
		}
		code = append(code, c)
	}
	if len(code) != recoveryLength {
		return nil, false
	}
	last := recoveryLength - 1
	return code, crockford[checkOf(code[:last])] == code[last]
}

func crockfordOf(r rune) (byte, bool) {
	if d, ok := digitOf(r); ok {
		return d, true
	}
	if 'a' <= r && r <= 'z' {
		r -= 'a' - 'A'
	}
	switch r {
	case 'I', 'L':
		r = '1'
	case 'O':
		r = '0'
	}
	return byte(r), r <= 'Z' && strings.IndexByte(crockford, byte(r)) >= 0
}
