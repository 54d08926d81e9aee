package mfa

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"strconv"
	"strings"
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

// TOTPEnrollPrompt is what a user puts into an authenticator app.
type TOTPEnrollPrompt struct {
	Secret string `json:"secret"` // base32 without padding
	URI    string `json:"uri"`    // otpauth
	QR     string `json:"qr"`     // an SVG of URI, drawn by the Guard
}

// TOTPPrompt asks for a code.
type TOTPPrompt struct {
	Factor string `json:"factor"`
	Digits int    `json:"digits"`
}

const (
	defaultDigits   = 6
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
	var mistakes []error
	if m.Algorithm > SHA512 {
		mistakes = append(mistakes, fmt.Errorf("TOTP.Algorithm is %d: give SHA1, SHA256 or SHA512", m.Algorithm))
	}
	if m.Digits != 0 && (m.Digits < minOTPDigits || m.Digits > maxOTPDigits) {
		mistakes = append(mistakes, fmt.Errorf("TOTP.Digits is %d: give 6, 7 or 8", m.Digits))
	}
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
	return TOTPPrompt{Factor: a.Factor.ID, Digits: s.Digits}, nil, nil
}

// Finish judges a code. A right one moves the factor to its step, so that it and all before it are spent.
func (m TOTP) Finish(_ context.Context, a Attempt) (Outcome, error) {
	s, err := decodeSeed(a.Factor.State)
	if err != nil {
		return Outcome{}, fmt.Errorf("totp factor %s: %w", a.Factor.ID, err)
	}
	if err := s.judge(a.Answer, a.Now); err != nil {
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
	s := TOTPSeed{
		Key: make([]byte, m.Algorithm.keySize()), Algorithm: m.Algorithm,
		Digits: m.digits(), Period: cmp.Or(m.Period, defaultPeriod), MaxDrift: defaultMaxDrift,
	}
	if _, err := io.ReadFull(rand.Reader, s.Key); err != nil {
		return nil, nil, fmt.Errorf("making a secret: %w", err)
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

// Canonical implements Canonicalizer: as many ASCII digits as the factor's codes have.
func (m TOTP) Canonical(f Factor, answer []byte) ([]byte, bool) {
	digits := m.digits()
	if f.State != nil {
		s, err := decodeSeed(f.State)
		if err != nil {
			return nil, false
		}
		digits = s.Digits
	}
	return canonicalDigits(answer, digits)
}

func (m TOTP) digits() int { return cmp.Or(m.Digits, defaultDigits) }

func (m TOTP) prompt(u User, s TOTPSeed) TOTPEnrollPrompt {
	secret := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(s.Key)
	return TOTPEnrollPrompt{Secret: secret, URI: m.uri(u, s, secret)}
}

// uri is what apps read from a QR code. A colon parts issuer and account, so neither may hold one.
func (m TOTP) uri(u User, s TOTPSeed, secret string) string {
	plain := func(text string) string { return strings.TrimSpace(strings.ReplaceAll(text, ":", " ")) }
	issuer, label := plain(m.Issuer), plain(cmp.Or(u.Name, u.Email, u.DisplayName))
	if issuer != "" && label != "" {
		label = escape(issuer) + ":" + escape(label)
	} else {
		label = escape(cmp.Or(label, issuer))
	}
	q := "secret=" + secret
	if issuer != "" {
		q += "&issuer=" + escape(issuer)
	}
	q += "&algorithm=" + s.Algorithm.String() + "&digits=" + strconv.Itoa(s.Digits) +
		"&period=" + strconv.FormatInt(int64(s.Period/time.Second), 10)
	return "otpauth://totp/" + label + "?" + q
}

// escape escapes all but letters, digits and "-_.~". Apps that do not decode "+" want spaces as %20.
func escape(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// totpWindow is how many steps are right on each side of the expected one (RFC 6238 §5.2 suggests one).
const totpWindow = 1

// judge compares a code with all steps of the window, in the same time whichever one it is. The one that it is of must
// be later than the last one used.
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
	switch {
	case len(s.Key) < minOTPKey || len(s.Key) > maxOTPKey:
		return fmt.Errorf("a key of %d bytes: it must have %d to %d", len(s.Key), minOTPKey, maxOTPKey)
	case s.Algorithm > SHA512:
		return fmt.Errorf("algorithm %d is not known", s.Algorithm)
	case s.Digits < minOTPDigits || s.Digits > maxOTPDigits:
		return fmt.Errorf("%d digits: there must be %d to %d", s.Digits, minOTPDigits, maxOTPDigits)
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
