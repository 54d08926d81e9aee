package passkey_test

import (
	"errors"
	"testing"
	"time"

	"sallyport/mfa"
	"sallyport/mfatest"
	"sallyport/passkey"
)

const (
	site   = "https://example.org"
	domain = "example.org"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

var alice = mfa.User{ID: "u1", Session: "s1", Name: "alice", DisplayName: "Alice Liddell"}

func newMethod(t testing.TB, change func(*passkey.Config)) *passkey.Method {
	t.Helper()
	c := passkey.Config{RPID: domain, RPName: "Example", Origins: []string{site}}
	if change != nil {
		change(&c)
	}
	m, err := passkey.New(c)
	if err != nil {
		t.Fatalf("New = %v, want no error", err)
	}
	return m
}

// ceremonies plays the Engine for one account.
type ceremonies struct {
	t       testing.TB
	m       *passkey.Method
	user    mfa.User
	factors []mfa.Factor
	now     time.Time
	need    bool // user verification
}

func newCeremonies(t testing.TB, m *passkey.Method) *ceremonies {
	return &ceremonies{t: t, m: m, user: alice, now: noon}
}

// enroll lets a register and keeps the factor.
func (c *ceremonies) enroll(a *mfatest.Authenticator) (mfa.Outcome, error) {
	c.t.Helper()
	prompt, state := c.beginEnroll()
	answer, err := a.Create(prompt)
	if err != nil {
		c.t.Fatalf("the authenticator: %v", err)
	}
	return c.finishEnroll(state, answer)
}

func (c *ceremonies) beginEnroll() (prompt any, state []byte) {
	c.t.Helper()
	prompt, state, err := c.m.BeginEnroll(c.t.Context(), mfa.Attempt{User: c.user, Own: c.factors, Now: c.now, NeedVerified: c.need})
	if err != nil {
		c.t.Fatalf("BeginEnroll = %v, want no error", err)
	}
	return prompt, state
}

func (c *ceremonies) finishEnroll(state, answer []byte) (mfa.Outcome, error) {
	out, err := c.m.FinishEnroll(c.t.Context(), mfa.Attempt{
		User: c.user, Own: c.factors, State: state, Answer: answer, Now: c.now, NeedVerified: c.need,
	})
	if err == nil {
		out.Factor.ID = "f" + string(rune('1'+len(c.factors)))
		c.factors = append(c.factors, out.Factor)
	}
	return out, err
}

// enrolled lets a register, which must succeed.
func (c *ceremonies) enrolled(a *mfatest.Authenticator) mfa.Outcome {
	c.t.Helper()
	out, err := c.enroll(a)
	if err != nil {
		c.t.Fatalf("FinishEnroll = %v, want no error", err)
	}
	return out
}

// prove lets a answer a request.
func (c *ceremonies) prove(a *mfatest.Authenticator) (mfa.Outcome, error) {
	c.t.Helper()
	prompt, state := c.begin()
	answer, err := a.Get(prompt)
	if err != nil {
		c.t.Fatalf("the authenticator: %v", err)
	}
	return c.finish(state, answer)
}

func (c *ceremonies) begin() (prompt any, state []byte) {
	c.t.Helper()
	prompt, state, err := c.m.Begin(c.t.Context(), mfa.Attempt{User: c.user, Own: c.factors, Now: c.now, NeedVerified: c.need})
	if err != nil {
		c.t.Fatalf("Begin = %v, want no error", err)
	}
	return prompt, state
}

// finish finds the factor that the answer names, judges, and keeps what comes with it.
func (c *ceremonies) finish(state, answer []byte) (mfa.Outcome, error) {
	f := mfa.Factor{Method: mfa.MethodPasskey}
	i := -1
	if key, err := c.m.Identify(answer); err == nil {
		for j := range c.factors {
			if c.factors[j].Key == key {
				i, f = j, c.factors[j]
			}
		}
	}
	out, err := c.m.Finish(c.t.Context(), mfa.Attempt{
		User: c.user, Factor: f, Own: c.factors, State: state, Answer: answer, Now: c.now, NeedVerified: c.need,
	})
	if err == nil {
		c.factors[i] = out.Factor
	}
	return out, err
}

// proved lets a answer a request, which must succeed.
func (c *ceremonies) proved(a *mfatest.Authenticator) mfa.Outcome {
	c.t.Helper()
	out, err := c.prove(a)
	if err != nil {
		c.t.Fatalf("Finish = %v, want no error", err)
	}
	return out
}

func refused(t testing.TB, what string, err error) {
	t.Helper()
	if !errors.Is(err, mfa.ErrWrongAnswer) {
		t.Errorf("%s = %v, want ErrWrongAnswer", what, err)
	}
}
