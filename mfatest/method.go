package mfatest

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"sallyport/mfa"
)

// MethodTest tells TestMethod how to use a Method.
type MethodTest struct {
	Method mfa.Method

	// Factor makes a factor for u, as an account would hold it, and its owner. TestMethod gives it an id. Each call makes
	// another one.
	Factor func(t *testing.T, u mfa.User, now time.Time) (mfa.Factor, Owner)

	// Confirm answers the prompt of an Enroller's BeginEnroll: as it should be, and with what could be right and is not.
	// Nil: the enrollment is not tested.
	Confirm func(t *testing.T, prompt any, now time.Time) (right, wrong []byte)

	// Forms returns other ways to write an answer that a Canonicalizer takes for the same. Nil: there are none.
	Forms func(answer []byte) [][]byte
}

// Owner is who holds the other half of a factor: an app, a sheet of codes, an authenticator.
type Owner interface {
	// Right returns an answer to a prompt of Begin that is right at a time. It is asked ten times at most, and returns
	// another answer each time if its answers are counted.
	Right(t *testing.T, prompt any, now time.Time) []byte

	// Wrong returns answers to a prompt that could be right and are not.
	Wrong(t *testing.T, prompt any, now time.Time) [][]byte
}

// TestMethod checks that a Method keeps its contract: it is pure, what is another's proves nothing, what cannot be read
// denies, and a right answer is good once. Run it with -race.
func TestMethod(t *testing.T, m MethodTest) {
	t.Helper()
	for _, group := range []struct {
		name  string
		tests []methodTest
	}{
		{"answers", answerTests}, {"others", otherTests}, {"garbage", garbageTests}, {"purity", purityTests},
		{"abilities", abilityTests}, {"enrollment", enrollTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, test := range group.tests {
				t.Run(test.name, func(t *testing.T) { test.run(t, m.enrolled(t, walkUser)) })
			}
		})
	}
}

type methodTest struct {
	name string
	run  func(*testing.T, *ceremony)
}

// Two users with much in common.
var (
	walkUser  = mfa.User{ID: "alice", Session: "s1", Name: "alice", Email: "alice@example.org"}
	otherUser = mfa.User{ID: "bob", Session: "s2", Name: "bob", Email: "bob@example.org"}
)

// later is how far two answers of one factor are apart, so that a code that shows the time is another one.
const later = 10 * time.Minute

// ceremony plays the Engine for one factor.
type ceremony struct {
	MethodTest
	user  mfa.User
	f     mfa.Factor
	owner Owner
	now   time.Time
}

func (m MethodTest) enrolled(t *testing.T, u mfa.User) *ceremony {
	t.Helper()
	c := &ceremony{MethodTest: m, user: u, now: noon.Truncate(time.Second)}
	c.f, c.owner = m.Factor(t, u, c.now)
	c.f.ID, c.f.Method = "factor of "+u.ID, m.Method.Name()
	c.now = c.now.Add(later)
	return c
}

// attempt is what the Engine would pass, in memory of its own.
func (c *ceremony) attempt() mfa.Attempt {
	a := mfa.Attempt{User: c.user, Factor: c.f, Own: []mfa.Factor{c.f}, Now: c.now}
	return copied(a)
}

func copied(a mfa.Attempt) mfa.Attempt {
	a.Factor.State = bytes.Clone(a.Factor.State)
	a.Own = slices.Clone(a.Own)
	for i := range a.Own {
		a.Own[i].State = bytes.Clone(a.Own[i].State)
	}
	a.State, a.Answer = bytes.Clone(a.State), bytes.Clone(a.Answer)
	return a
}

// begin returns the prompt and the attempt that Finish is to judge, without its answer.
func (c *ceremony) begin(t *testing.T) (prompt any, a mfa.Attempt) {
	t.Helper()
	a = c.attempt()
	if _, ok := c.Method.(mfa.Identifier); ok {
		a.Factor = mfa.Factor{}
	}
	prompt, state, err := c.Method.Begin(t.Context(), a)
	if err != nil {
		t.Fatalf("Begin = %v, want no error", err)
	}
	a = c.attempt()
	a.State = state
	return prompt, a
}

// answered begins and returns the attempt with a right answer in it.
func (c *ceremony) answered(t *testing.T) mfa.Attempt {
	t.Helper()
	prompt, a := c.begin(t)
	a.Answer = c.canonical(t, c.owner.Right(t, prompt, c.now))
	return a
}

// canonical brings an answer to its one form, as the Engine does first.
func (c *ceremony) canonical(t *testing.T, answer []byte) []byte {
	t.Helper()
	m, ok := c.Method.(mfa.Canonicalizer)
	if !ok {
		return answer
	}
	canonical, ok := m.Canonical(c.f, answer)
	if !ok {
		t.Fatalf("Canonical(%.60q) refuses what can be an answer", answer)
	}
	return canonical
}

// keep takes over what the Engine would save.
func (c *ceremony) keep(out mfa.Outcome) {
	if out.Factor.ID == c.f.ID && out.Factor.State != nil {
		c.f.State = bytes.Clone(out.Factor.State)
	}
	c.now = c.now.Add(later)
}

// proves judges an attempt that must be right, and keeps what comes of it.
func (c *ceremony) proves(t *testing.T, what string, a mfa.Attempt) mfa.Outcome {
	t.Helper()
	out, err := c.Method.Finish(t.Context(), a)
	if err != nil {
		t.Fatalf("%s: Finish = %v, want no error", what, err)
	}
	if out.Factor.ID != a.Factor.ID || out.Factor.Method != a.Factor.Method {
		t.Fatalf("%s: Finish proves the factor %q of %q, want %q of %q",
			what, out.Factor.ID, out.Factor.Method, a.Factor.ID, a.Factor.Method)
	}
	c.keep(out)
	return out
}

// denies judges an attempt that must not prove anything, whatever the error.
func (c *ceremony) denies(t *testing.T, what string, a mfa.Attempt) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("%s: Finish panics: %v", what, p)
		}
	}()
	if out, err := c.Method.Finish(t.Context(), a); err == nil {
		t.Errorf("%s: Finish = %+v and no error, want an error", what, out)
	}
}

// refused is whether an answer was judged and is not good: wrong, or right and used before.
func refused(err error) bool {
	return errors.Is(err, mfa.ErrWrongAnswer) || errors.Is(err, mfa.ErrSpent)
}

var answerTests = []methodTest{
	{"a right answer proves the factor", func(t *testing.T, c *ceremony) {
		for range 3 {
			c.proves(t, "a right answer", c.answered(t))
		}
	}},
	{"a right answer is good once", func(t *testing.T, c *ceremony) {
		a := c.answered(t)
		c.proves(t, "a right answer", a)
		_, again := c.begin(t)
		again.Answer, again.Now = a.Answer, a.Now
		out, err := c.Method.Finish(t.Context(), again)
		if !refused(err) {
			t.Errorf("the same answer again: Finish = %v, want ErrSpent or ErrWrongAnswer", err)
		}
		c.keep(out)
		c.proves(t, "another right answer", c.answered(t))
	}},
	{"a wrong answer is told as wrong, and the right one is good after it", func(t *testing.T, c *ceremony) {
		prompt, _ := c.begin(t)
		wrong := c.owner.Wrong(t, prompt, c.now)
		if len(wrong) == 0 {
			t.Fatal("Owner.Wrong returns nothing: give at least one answer")
		}
		for i := range wrong {
			prompt, a := c.begin(t)
			a.Answer = c.canonical(t, c.owner.Wrong(t, prompt, c.now)[i])
			out, err := c.Method.Finish(t.Context(), a)
			if !refused(err) || out.Factor.ID != "" && out.Factor.ID != c.f.ID {
				t.Errorf("wrong answer %d: Finish = %v of the factor %q, want ErrWrongAnswer", i+1, err, out.Factor.ID)
			}
			c.keep(out)
		}
		c.proves(t, "the right answer", c.answered(t))
	}},
	{"a prompt is JSON", func(t *testing.T, c *ceremony) {
		prompt, _ := c.begin(t)
		if _, err := json.Marshal(prompt); err != nil {
			t.Errorf("the prompt cannot be encoded: %v", err)
		}
	}},
}
