package mfa

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// HOTP is the method of counter-based one-time passwords (RFC 4226): tokens with a button, and apps that count. Its
// fields are for new factors. The zero HOTP makes what every app understands: SHA-1, 6 digits.
type HOTP struct {
	Issuer    string // the site's name, shown by the app
	Algorithm Algorithm
	Digits    int // 6 to 8; zero: 6
}

// HOTPSeed is what a HOTP factor and its token share. It makes a factor from what another system has stored.
type HOTPSeed struct {
	Key       []byte // 5 to 64 bytes
	Algorithm Algorithm
	Digits    int    // 6 to 8; zero: 6
	Counter   uint64 // of the next code
}

const (
	hotpAhead   = 5  // codes that may have been made and not used (RFC 4226 §7.4)
	hotpResync  = 50 // the same for two codes in a row
	maxHOTPStep = math.MaxInt64 - 2*hotpResync
)

// Name returns hotp.
func (HOTP) Name() string { return MethodHOTP }

// Strength returns Typed: a code can be typed into the wrong site.
func (HOTP) Strength() Strength { return Typed }

// Check returns what cannot be offered to new users.
func (m HOTP) Check() error {
	return errors.Join(checkAlgorithm("HOTP", m.Algorithm), checkDigits("HOTP", m.Digits))
}

// Begin asks for a code of the factor.
func (m HOTP) Begin(_ context.Context, a Attempt) (prompt any, state []byte, err error) {
	s, err := decodeHOTP(a.Factor.State)
	if err != nil {
		return nil, nil, fmt.Errorf("hotp factor %s: %w", a.Factor.ID, err)
	}
	return askFor(a.Factor, s.Digits), nil, nil
}

// Finish judges a code, or several in a row. A right one moves the counter past it, so that it and all before it are spent.
func (m HOTP) Finish(_ context.Context, a Attempt) (Outcome, error) {
	s, err := decodeHOTP(a.Factor.State)
	if err != nil {
		return Outcome{}, fmt.Errorf("hotp factor %s: %w", a.Factor.ID, err)
	}
	if err := s.judge(a.Answer, codesAsked(a.Factor)); err != nil {
		return Outcome{}, err
	}
	f := a.Factor
	f.State = s.encode()
	return Outcome{Factor: f}, nil
}

// BeginEnroll makes a new secret.
func (m HOTP) BeginEnroll(_ context.Context, a Attempt) (prompt any, state []byte, err error) {
	if err := m.Check(); err != nil {
		return nil, nil, err
	}
	key, err := newOTPKey(m.Algorithm)
	if err != nil {
		return nil, nil, err
	}
	s := HOTPSeed{Key: key, Algorithm: m.Algorithm, Digits: cmp.Or(m.Digits, defaultDigits)}
	return m.prompt(a.User, s), s.encode(), nil
}

// FinishEnroll judges the first code, which spends it.
func (m HOTP) FinishEnroll(_ context.Context, a Attempt) (Outcome, error) {
	s, err := decodeHOTP(a.State)
	if err != nil {
		return Outcome{}, fmt.Errorf("new hotp factor: %w", err)
	}
	if err := s.judge(a.Answer, 1); err != nil {
		return Outcome{}, err
	}
	return Outcome{Factor: Factor{Strength: Typed, State: s.encode()}}, nil
}

// Reprompt shows the same secret again.
func (m HOTP) Reprompt(a Attempt) (prompt any, err error) {
	s, err := decodeHOTP(a.State)
	if err != nil {
		return nil, fmt.Errorf("new hotp factor: %w", err)
	}
	return m.prompt(a.User, s), nil
}

// Canonical implements Canonicalizer: the ASCII digits of one code, or of as many in a row as may be asked for.
func (m HOTP) Canonical(f Factor, answer []byte) ([]byte, bool) {
	if f.State == nil {
		return canonicalDigits(answer, cmp.Or(m.Digits, defaultDigits))
	}
	s, err := decodeHOTP(f.State)
	if err != nil {
		return nil, false
	}
	return canonicalCodes(answer, s.Digits, codesAsked(f))
}

// Frees implements Freer.
func (HOTP) Frees(f Factor) bool { return f.State != nil }

func (m HOTP) prompt(u User, s HOTPSeed) OTPEnrollPrompt {
	return otpPrompt("hotp", m.Issuer, u, s.Key, s.Algorithm, s.Digits, "&counter="+strconv.FormatUint(s.Counter, 10))
}

// judge compares one code with those that may come next, or several with all places where they may begin, in the same
// time wherever they are found.
func (s *HOTPSeed) judge(codes []byte, asked int) error {
	n, err := countCodes(codes, s.Digits, asked)
	if err != nil {
		return err
	}
	ahead := uint64(hotpAhead)
	if n > 1 {
		ahead = hotpResync
	}
	given, found, at := parseCodes(codes, s.Digits), 0, uint64(0)
	for c := s.Counter; c <= s.Counter+ahead; c++ {
		right := 1
		for i := range n {
			right &= subtle.ConstantTimeEq(int32(given[i]), int32(otpCode(s.Algorithm, s.Key, c+uint64(i), s.Digits)))
		}
		at |= c & -uint64(right&^found)
		found |= right
	}
	if found == 1 {
		s.Counter = at + uint64(n)
		return nil
	}
	if n == 1 && s.Counter > 0 && otpCode(s.Algorithm, s.Key, s.Counter-1, s.Digits) == given[0] {
		return ErrSpent
	}
	return ErrWrongAnswer
}

// Factor returns a factor made from s, without what the Engine gives it, or what is wrong with s.
func (s HOTPSeed) Factor() (Factor, error) {
	s.Digits = cmp.Or(s.Digits, defaultDigits)
	if err := s.check(); err != nil {
		return Factor{}, err
	}
	return Factor{Method: MethodHOTP, Strength: Typed, State: s.encode()}, nil
}

func (s *HOTPSeed) check() error {
	if err := checkOTP(s.Key, s.Algorithm, s.Digits); err != nil {
		return err
	}
	if s.Counter > maxHOTPStep {
		return fmt.Errorf("a counter of %d: it must be below 2^63", s.Counter)
	}
	return nil
}

const hotpVersion = 1

func (s *HOTPSeed) encode() []byte {
	w := &writer{b: make([]byte, 0, 96)}
	w.b = append(w.b, hotpVersion, byte(s.Algorithm))
	w.length(s.Digits)
	w.uint(s.Counter)
	w.bytes(s.Key)
	return w.b
}

// decodeHOTP reads what encode wrote. The key is a part of b.
func decodeHOTP(b []byte) (s HOTPSeed, err error) {
	r := reader{b: b}
	if r.byte() != hotpVersion {
		return s, errWire
	}
	s.Algorithm, s.Digits, s.Counter, s.Key = Algorithm(r.byte()), r.count(), r.uint(), r.bytes()
	if r.end() != nil {
		return s, errWire
	}
	return s, s.check()
}
