package mfa

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// TOTP is the method of authenticator apps: time-based one-time passwords (RFC 6238). Its fields are for new factors;
// each factor keeps the parameters that it was made with. The zero TOTP makes what every app understands: SHA-1,
// 6 digits, 30 seconds.
type TOTP struct {
	Issuer    string        // the site's name, shown by the app
	Algorithm Algorithm     // many apps ignore anything but SHA-1
	Digits    int           // 6 to 8; zero: 6
	Period    time.Duration // 15, 30 or 60 seconds; zero: 30 seconds
}

// TOTPSeed is what a TOTP factor and its app share, and what the factor has learnt. It makes a factor from what another
// system has stored.
type TOTPSeed struct {
	Key       []byte // 5 to 64 bytes
	Algorithm Algorithm
	Digits    int           // 6 to 8; zero: 6
	Period    time.Duration // 10 to 300 whole seconds; zero: 30 seconds
	T0        int64         // when counting began, in seconds since 1970
	Drift     int           // steps by which the app's clock is ahead
	MaxDrift  int           // how far Drift may go either way; zero: 2, or as far as Drift is now
	Used      bool          // whether a code was used
	Last      int64         // the step of the last one
}

const (
	defaultPeriod   = 30 * time.Second
	defaultMaxDrift = 2
	maxSeedDrift    = 100_000 // some 35 days of 30 seconds
)

// Name returns totp.
func (TOTP) Name() string { return MethodTOTP }

// Strength returns Typed: a code can be typed into the wrong site.
func (TOTP) Strength() Strength { return Typed }

// Check returns what cannot be offered to new users.
func (m TOTP) Check() error {
	mistakes := []error{checkAlgorithm("TOTP", m.Algorithm), checkDigits("TOTP", m.Digits)}
	switch m.Period {
	case 0, 15 * time.Second, 30 * time.Second, 60 * time.Second:
	default:
		mistakes = append(mistakes, fmt.Errorf("TOTP.Period is %v: give 15, 30 or 60 seconds", m.Period))
	}
	return errors.Join(mistakes...)
}

// Begin asks for a code of the factor.
func (m TOTP) Begin(_ context.Context, a Attempt) (prompt any, state []byte, err error) {
	s, err := decodeSeed(a.Factor.State)
	if err != nil {
		return nil, nil, fmt.Errorf("totp factor %s: %w", a.Factor.ID, err)
	}
	return askFor(a.Factor, s.Digits), nil, nil
}

// Finish judges a code. A right one moves the factor to its step, so that it and all before it are spent.
func (m TOTP) Finish(_ context.Context, a Attempt) (Outcome, error) {
	s, err := decodeSeed(a.Factor.State)
	if err != nil {
		return Outcome{}, fmt.Errorf("totp factor %s: %w", a.Factor.ID, err)
	}
	if err := s.judgeCodes(a.Answer, codesAsked(a.Factor), a.Now); err != nil {
		return Outcome{}, err
	}
	f := a.Factor
	f.State = s.encode()
	return Outcome{Factor: f}, nil
}

// BeginEnroll makes a new secret.
func (m TOTP) BeginEnroll(_ context.Context, a Attempt) (prompt any, state []byte, err error) {
	if err := m.Check(); err != nil {
		return nil, nil, err
	}
	key, err := newOTPKey(m.Algorithm)
	if err != nil {
		return nil, nil, err
	}
	s := TOTPSeed{
		Key: key, Algorithm: m.Algorithm, Digits: m.digits(), Period: cmp.Or(m.Period, defaultPeriod),
		MaxDrift: defaultMaxDrift,
	}
	return m.prompt(a.User, s), s.encode(), nil
}

// FinishEnroll judges the first code of a new app, which spends it.
func (m TOTP) FinishEnroll(_ context.Context, a Attempt) (Outcome, error) {
	s, err := decodeSeed(a.State)
	if err != nil {
		return Outcome{}, fmt.Errorf("new totp factor: %w", err)
	}
	if err := s.judge(a.Answer, a.Now); err != nil {
		return Outcome{}, err
	}
	return Outcome{Factor: Factor{Strength: Typed, State: s.encode()}}, nil
}

// Reprompt shows the same secret again.
func (m TOTP) Reprompt(a Attempt) (prompt any, err error) {
	s, err := decodeSeed(a.State)
	if err != nil {
		return nil, fmt.Errorf("new totp factor: %w", err)
	}
	return m.prompt(a.User, s), nil
}

// Canonical implements Canonicalizer: the ASCII digits of one code, or of as many in a row as may be asked for.
func (m TOTP) Canonical(f Factor, answer []byte) ([]byte, bool) {
	if f.State == nil {
		return canonicalDigits(answer, m.digits())
	}
	s, err := decodeSeed(f.State)
	if err != nil {
		return nil, false
	}
	return canonicalCodes(answer, s.Digits, codesAsked(f))
}

// Hint implements Hinter: two different codes that are as many steps away from the time they were typed at.
func (m TOTP) Hint(a Attempt, before []byte, at time.Time) string {
	s, err := decodeSeed(a.Factor.State)
	if err != nil || len(before) != s.Digits || len(a.Answer) != s.Digits || !isDigits(before) || !isDigits(a.Answer) {
		return ""
	}
	then, now := s.step(at), s.step(a.Now)
	first, second := parseCode(before), parseCode(a.Answer)
	hint := ""
	for offset := range s.reach {
		if then == now || then+offset < 0 || otpCode(s.Algorithm, s.Key, uint64(then+offset), s.Digits) != first {
			continue
		}
		if otpCode(s.Algorithm, s.Key, uint64(now+offset), s.Digits) == second {
			hint = HintClock
		}
	}
	return hint
}

// Frees implements Freer.
func (TOTP) Frees(f Factor) bool { return f.State != nil }

func (m TOTP) digits() int { return cmp.Or(m.Digits, defaultDigits) }

func (m TOTP) prompt(u User, s TOTPSeed) OTPEnrollPrompt {
	period := strconv.FormatInt(int64(s.Period/time.Second), 10)
	return otpPrompt("totp", m.Issuer, u, s.Key, s.Algorithm, s.Digits, "&period="+period)
}

// totpWindow is how many steps are right on each side of the expected one (RFC 6238 §5.2 suggests one).
const totpWindow = 1

// totpReach is how far several codes in a row are looked for: a day either way at 30 seconds.
const totpReach = 2880

// reach yields how many steps ahead of now several codes in a row may be: around the right time, and around a drift
// that was imported or set by such codes.
func (s *TOTPSeed) reach(yield func(int64) bool) {
	for _, around := range [...]int64{0, int64(s.Drift)} {
		if around != 0 && -defaultMaxDrift <= around && around <= defaultMaxDrift {
			continue // it is within reach of the right time
		}
		for offset := around - totpReach; offset <= around+totpReach; offset++ {
			if -maxSeedDrift <= offset && offset <= maxSeedDrift-freeCodes && !yield(offset) {
				return
			}
		}
	}
}

// judgeCodes judges one code, or several in a row: two set the drift again, however far it is (the resync form), three
// free a factor that was stopped. Those that are right are spent, and all before them. Codes of steps that may have been
// used are never right, so a clock that was far ahead and was put right is accepted once it has passed the last one used.
func (s *TOTPSeed) judgeCodes(codes []byte, asked int, now time.Time) error {
	n, err := countCodes(codes, s.Digits, asked)
	switch {
	case err != nil:
		return err
	case n == 1:
		return s.judge(codes, now)
	}
	given, present, at := parseCodes(codes, s.Digits), s.step(now), int64(-1)
	for offset := range s.reach {
		step, right := present+offset, 1
		if step <= s.last() || step < 0 {
			continue
		}
		for i := range n {
			right &= subtle.ConstantTimeEq(int32(given[i]), int32(otpCode(s.Algorithm, s.Key, uint64(step)+uint64(i), s.Digits)))
		}
		if right == 1 { // nobody who does not know the key gets here
			at = step + int64(n) - 1
			break
		}
	}
	if at < 0 {
		return ErrWrongAnswer
	}
	s.Drift = int(at - present)
	s.MaxDrift = max(s.MaxDrift, s.Drift, -s.Drift)
	s.Used, s.Last = true, at
	return nil
}

// judge compares a code with all steps of the window, in the same time whichever one it is. The one that it is of must be
// later than the last one used.
func (s *TOTPSeed) judge(code []byte, now time.Time) error {
	if len(code) != s.Digits || !isDigits(code) {
		return ErrWrongAnswer
	}
	given, present := parseCode(code), s.step(now)
	found, spent, at := 0, 0, int64(0)
	for offset := int64(-totpWindow); offset <= totpWindow; offset++ {
		step := present + int64(s.Drift) + offset
		right := subtle.ConstantTimeEq(int32(given), int32(otpCode(s.Algorithm, s.Key, uint64(step), s.Digits)))
		right &^= int(uint64(step) >> 63) // the sign bit: a step before T0 has no code
		late := int(uint64(s.last()-step)>>63) ^ 1
		fresh := right &^ late
		// The earliest fresh step wins, so that a code which two steps share spends no more than it must.
		take := uint64(fresh &^ found)
		at |= step & -int64(take)
		found |= fresh
		spent |= right & late
	}
	switch {
	case found == 1:
		s.use(at, present)
		return nil
	case spent == 1:
		return ErrSpent
	}
	return ErrWrongAnswer
}

// use spends a step and all before it, and learns one step of the clock's drift from it. Nothing is learnt from two
// steps in a row: they may be used within one moment, and if each moved the window, more than three would be right in it.
func (s *TOTPSeed) use(step, present int64) {
	if !s.Used || step > s.Last+1 {
		seen := int(step - present)
		s.Drift += min(1, max(-1, seen-s.Drift))
		s.Drift = min(s.MaxDrift, max(-s.MaxDrift, s.Drift))
	}
	s.Used, s.Last = true, step
}

// last is the last step that was used; before any: one before all.
func (s *TOTPSeed) last() int64 {
	if !s.Used {
		return -1
	}
	return s.Last
}

// step is the number of whole periods since T0.
func (s *TOTPSeed) step(now time.Time) int64 {
	since := now.Unix() - s.T0
	period := int64(s.Period / time.Second)
	step := since / period
	if since%period < 0 {
		step--
	}
	return step
}

// Factor returns a factor made from s, without what the Engine gives it, or what is wrong with s.
func (s TOTPSeed) Factor() (Factor, error) {
	s.Digits, s.Period = cmp.Or(s.Digits, defaultDigits), cmp.Or(s.Period, defaultPeriod)
	if s.MaxDrift == 0 {
		s.MaxDrift = max(defaultMaxDrift, s.Drift, -s.Drift)
	}
	if err := s.check(); err != nil {
		return Factor{}, err
	}
	return Factor{Method: MethodTOTP, Strength: Typed, State: s.encode()}, nil
}

func (s *TOTPSeed) check() error {
	if err := checkOTP(s.Key, s.Algorithm, s.Digits); err != nil {
		return err
	}
	switch {
	case s.Period < 10*time.Second || s.Period > 300*time.Second || s.Period%time.Second != 0:
		return fmt.Errorf("a period of %v: it must be whole seconds from 10 to 300", s.Period)
	case s.MaxDrift < 0 || s.MaxDrift > maxSeedDrift || s.Drift > s.MaxDrift || -s.Drift > s.MaxDrift:
		return fmt.Errorf("a drift of %d of at most %d steps: it must be within the most, and that within %d",
			s.Drift, s.MaxDrift, maxSeedDrift)
	case s.T0 < -maxT0 || s.T0 > maxT0:
		return errors.New("a T0 more than 5,000 years away")
	case s.Used && s.Last < 0:
		return errors.New("a last step before the first")
	}
	return nil
}

const (
	seedVersion = 1
	maxT0       = 5000 * 365 * 86400
)

func (s *TOTPSeed) encode() []byte {
	w := &writer{b: make([]byte, 0, 96)}
	w.b = append(w.b, seedVersion, byte(s.Algorithm))
	w.length(s.Digits)
	w.length(int(s.Period / time.Second))
	w.int(s.T0)
	w.int(int64(s.Drift))
	w.length(s.MaxDrift)
	w.bool(s.Used)
	w.int(s.Last)
	w.bytes(s.Key)
	return w.b
}

// decodeSeed reads what encode wrote. The key is a part of b.
func decodeSeed(b []byte) (s TOTPSeed, err error) {
	r := reader{b: b}
	if r.byte() != seedVersion {
		return s, errWire
	}
	s.Algorithm = Algorithm(r.byte())
	s.Digits = r.count()
	s.Period = time.Duration(r.count()) * time.Second
	s.T0 = r.int()
	drift := r.int()
	s.MaxDrift = r.count()
	s.Used, s.Last = r.bool(), r.int()
	s.Key = r.bytes()
	if r.end() != nil || drift > math.MaxInt32 || drift < math.MinInt32 {
		return s, errWire
	}
	s.Drift = int(drift)
	return s, s.check()
}
