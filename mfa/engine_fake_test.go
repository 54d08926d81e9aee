package mfa_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

// token is a method in a few lines: an answer is the name of a device and the challenge that it was given. It can stand
// for a passkey or, under another name, for a temporary pass.
type token struct {
	name     string
	strength mfa.Strength
	expires  time.Time // of new factors
}

func (k token) Name() string              { return k.name }
func (k token) Strength() mfa.Strength    { return k.strength }
func (token) Unguessable(mfa.Factor) bool { return true }

func (token) Begin(context.Context, mfa.Attempt) (any, []byte, error) {
	challenge := rand.Text()
	return challenge, []byte(challenge), nil
}

func (token) Finish(_ context.Context, a mfa.Attempt) (mfa.Outcome, error) {
	device, challenge, _ := strings.Cut(string(a.Answer), " ")
	if device != string(a.Factor.State) || challenge != string(a.State) {
		return mfa.Outcome{}, mfa.ErrWrongAnswer
	}
	return mfa.Outcome{Factor: a.Factor, Verified: true}, nil
}

func (k token) BeginEnroll(ctx context.Context, a mfa.Attempt) (any, []byte, error) {
	return k.Begin(ctx, a)
}

func (k token) FinishEnroll(_ context.Context, a mfa.Attempt) (mfa.Outcome, error) {
	device, challenge, _ := strings.Cut(string(a.Answer), " ")
	if challenge != string(a.State) {
		return mfa.Outcome{}, mfa.ErrWrongAnswer
	}
	return mfa.Outcome{Factor: mfa.Factor{
		Strength: k.strength, State: []byte(device), Key: mfa.KeyOf(k.name, []byte(device)), Expires: k.expires,
	}}, nil
}

// key is a token whose answers name their own factor, as a passkey's do.
type key struct{ token }

func (k key) Identify(answer []byte) (string, error) {
	device, _, found := bytes.Cut(answer, []byte(" "))
	if !found {
		return "", errors.New("the answer names no device")
	}
	return mfa.KeyOf(k.name, device), nil
}

var passkeys = key{token{name: mfa.MethodPasskey, strength: mfa.PhishingResistant}}

// withKeys adds passkeys to an engine.
func withKeys(c *mfa.EngineConfig) { c.Methods = append(c.Methods, passkeys) }

// with adds a method to an engine.
func with(m mfa.Method) func(*mfa.EngineConfig) {
	return func(c *mfa.EngineConfig) { c.Methods = append(c.Methods, m) }
}

// tokenAnswer is what a device says to what was begun.
func tokenAnswer(device string, b mfa.Begun) []byte { return []byte(device + " " + b.Prompt.(string)) }

// enrollToken adds a device in a login, which has then proved it.
func enrollToken(d *enginetest.Desk, v *mfa.Visit, method, device string) mfa.Factor {
	d.Helper()
	b := d.BeganEnrollment(*v, method)
	done, err := d.FinishEnroll(d.Context(), *v, method, b.Ticket, tokenAnswer(device, b), device)
	if err != nil {
		d.Fatalf("FinishEnroll(%s) = %v, want no error", method, err)
	}
	v.Assurance = done.Assurance
	return done.Factor
}

// proveToken proves a device in a login.
func proveToken(d *enginetest.Desk, v *mfa.Visit, method, device string) {
	d.Helper()
	b := d.Began(*v, method)
	done, err := d.FinishVerify(d.Context(), *v, method, b.Ticket, tokenAnswer(device, b))
	if err != nil {
		d.Fatalf("FinishVerify(%s) = %v, want no error", method, err)
	}
	v.Assurance = done.Assurance
}

// turn changes an account as support does.
func turn(d *enginetest.Desk, userID string, change func(*mfa.Account)) {
	d.Helper()
	if err := d.Turn(d.Context(), userID, change); err != nil {
		d.Fatal(err)
	}
}

// moody is an authenticator app whose method cannot always begin.
type moody struct {
	mfa.TOTP
	fails *atomic.Bool
}

func (m moody) Begin(ctx context.Context, a mfa.Attempt) (any, []byte, error) {
	if m.fails.Load() {
		return nil, nil, errors.New("not in the mood")
	}
	return m.TOTP.Begin(ctx, a)
}

// counting is a store that counts how often it is asked.
type counting struct {
	*mfa.Memory
	loads, saves atomic.Int64
}

func (c *counting) Load(ctx context.Context, userID string) (mfa.Record, error) {
	c.loads.Add(1)
	return c.Memory.Load(ctx, userID)
}

func (c *counting) Save(ctx context.Context, r mfa.Record, events []mfa.Event) error {
	c.saves.Add(1)
	return c.Memory.Save(ctx, r, events)
}

// costs demands how often a story asks the store.
func (c *counting) costs(t testing.TB, what string, loads, saves int64, story func()) {
	t.Helper()
	l, s := c.loads.Load(), c.saves.Load()
	story()
	if l, s = c.loads.Load()-l, c.saves.Load()-s; l != loads || s != saves {
		t.Errorf("%s = %d loads and %d saves, want %d and %d", what, l, s, loads, saves)
	}
}
