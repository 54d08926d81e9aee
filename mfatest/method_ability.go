package mfatest

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"sallyport/mfa"
)

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// What a Method says of itself, and may be able to do besides.
var abilityTests = []methodTest{
	{"the name is good for a URL", func(t *testing.T, c *ceremony) {
		if name := c.Method.Name(); !namePattern.MatchString(name) || name != c.Method.Name() {
			t.Errorf("Name = %q, want small letters, digits and hyphens, always the same", name)
		}
	}},
	{"the strength is one of the four", func(t *testing.T, c *ceremony) {
		for what, s := range map[string]mfa.Strength{"the method": c.Method.Strength(), "its factor": c.f.Strength} {
			if s < mfa.Sent || s > mfa.PhishingResistant {
				t.Errorf("the strength of %s is %v", what, s)
			}
		}
		if c.f.Strength > c.Method.Strength() {
			t.Errorf("its factor is %v, more than the %v of the method", c.f.Strength, c.Method.Strength())
		}
	}},
	{"the canonical form is one", testCanonical},
	{"an answer names its factor", func(t *testing.T, c *ceremony) {
		m, ok := c.Method.(mfa.Identifier)
		if !ok {
			return
		}
		key, err := m.Identify(c.answered(t).Answer)
		if err != nil || key == "" || key != c.f.Key {
			t.Errorf("Identify of a right answer = %q, %v; want the key %q of its factor", key, err, c.f.Key)
		}
		for what, answer := range odd {
			if key, err := m.Identify([]byte(answer)); err == nil && key == c.f.Key {
				t.Errorf("Identify of %s = %q, want another key or an error", what, key)
			}
		}
		if other := c.enrolled(t, otherUser); other.f.Key == c.f.Key {
			t.Errorf("two factors have the key %q", c.f.Key)
		}
	}},
	{"uses are counted down", func(t *testing.T, c *ceremony) {
		m, ok := c.Method.(mfa.Counter)
		if !ok {
			return
		}
		before := m.Left(c.f)
		prompt, a := c.begin(t)
		a.Answer = c.canonical(t, c.owner.Wrong(t, prompt, c.now)[0])
		out, _ := c.Method.Finish(t.Context(), a)
		c.keep(out)
		if left := m.Left(c.f); left != before {
			t.Errorf("Left after a wrong answer = %d, want %d as before", left, before)
		}
		c.proves(t, "a right answer", c.answered(t))
		if left := m.Left(c.f); left != before-1 {
			t.Errorf("Left after a right answer = %d, want %d", left, before-1)
		}
	}},
	{"its configuration is good", func(t *testing.T, c *ceremony) {
		if m, ok := c.Method.(mfa.Configured); ok && m.Check() != nil {
			t.Errorf("Check = %v, want no error", m.Check())
		}
	}},
}

func testCanonical(t *testing.T, c *ceremony) {
	m, ok := c.Method.(mfa.Canonicalizer)
	if !ok {
		return
	}
	prompt, _ := c.begin(t)
	typed := c.owner.Right(t, prompt, c.now)
	want := c.canonical(t, typed)
	if again, ok := m.Canonical(c.f, want); !ok || !bytes.Equal(again, want) {
		t.Errorf("Canonical of the canonical %q = %q, %v; want it again", want, again, ok)
	}
	if c.Forms != nil {
		for _, form := range c.Forms(typed) {
			if got, ok := m.Canonical(c.f, form); !ok || !bytes.Equal(got, want) {
				t.Errorf("Canonical(%q) = %q, %v; want %q", form, got, ok, want)
			}
		}
	}
	for _, answer := range append([]string{"", strings.Repeat(string(typed), 10_000)}, oddAnswers()...) {
		got, ok := m.Canonical(c.f, []byte(answer))
		if !ok {
			continue
		}
		if again, ok := m.Canonical(c.f, got); !ok || !bytes.Equal(again, got) {
			t.Errorf("Canonical(%.40q) = %.40q, and of that %.40q, %v", answer, got, again, ok)
		}
	}
}

func oddAnswers() []string {
	var list []string
	for _, answer := range odd {
		list = append(list, answer)
	}
	return list
}

// The tests of an Enroller.
var enrollTests = []methodTest{
	{"the right answer makes a factor", enrolling(func(t *testing.T, e *enrollment) {
		right, _ := e.Confirm(t, e.prompt, e.now)
		out, err := e.finish(t, e.state, right)
		if err != nil || out.Factor.State == nil {
			t.Fatalf("FinishEnroll = %+v, %v; want a factor with a state", out, err)
		}
		if s := out.Factor.Strength; s < mfa.Sent || s > e.Method.Strength() {
			t.Errorf("the new factor is %v, want at most %v", s, e.Method.Strength())
		}
		if _, ok := e.Method.(mfa.Identifier); ok && out.Factor.Key == "" {
			t.Error("the new factor has no key for its answers to name")
		}
	})},
	{"a wrong answer makes none, and is told as wrong", enrolling(func(t *testing.T, e *enrollment) {
		right, wrong := e.Confirm(t, e.prompt, e.now)
		if out, err := e.finish(t, e.state, wrong); !refused(err) || out.Factor.State != nil {
			t.Errorf("FinishEnroll = %+v, %v; want no factor and ErrWrongAnswer", out.Factor, err)
		}
		if _, err := e.finish(t, e.state, right); err != nil {
			t.Errorf("FinishEnroll with the right answer after it = %v, want no error", err)
		}
	})},
	{"an enrollment that cannot be read makes none", enrolling(func(t *testing.T, e *enrollment) {
		right, _ := e.Confirm(t, e.prompt, e.now)
		for what, state := range broken(e.state) {
			if out, err := e.finish(t, state, right); err == nil || out.Factor.State != nil {
				t.Errorf("a state that is %s: FinishEnroll = %+v, %v; want no factor and an error", what, out.Factor, err)
			}
		}
	})},
	{"the answer to another enrollment makes none", enrolling(func(t *testing.T, e *enrollment) {
		other := e.again(t)
		if bytes.Equal(other.state, e.state) || reflect.DeepEqual(other.prompt, e.prompt) {
			t.Fatal("two enrollments are the same: nothing in them is random")
		}
		right, _ := e.Confirm(t, other.prompt, e.now)
		if out, err := e.finish(t, e.state, right); err == nil {
			t.Errorf("FinishEnroll = %+v and no error, want an error", out.Factor)
		}
	})},
	{"the prompt is JSON, and the same again if it can be", enrolling(func(t *testing.T, e *enrollment) {
		text, err := json.Marshal(e.prompt)
		if err != nil {
			t.Fatalf("the prompt cannot be encoded: %v", err)
		}
		m, ok := e.Method.(mfa.Reprompter)
		if !ok {
			return
		}
		again, err := m.Reprompt(mfa.Attempt{User: e.user, State: e.state, Now: e.now})
		if err != nil {
			t.Fatalf("Reprompt = %v, want no error", err)
		}
		if other, err := json.Marshal(again); err != nil || !bytes.Equal(other, text) {
			t.Errorf("Reprompt = %.80s, %v; want %.80s", other, err, text)
		}
		if _, err := m.Reprompt(mfa.Attempt{User: e.user, State: []byte("garbage"), Now: e.now}); err == nil {
			t.Error("Reprompt of garbage = nil, want an error")
		}
	})},
}

// enrollment is a ceremony that has begun to enroll another factor.
type enrollment struct {
	*ceremony
	m      mfa.Enroller
	prompt any
	state  []byte
}

// enrolling skips what a Method that is no Enroller, or is not to be tested as one, cannot do.
func enrolling(test func(*testing.T, *enrollment)) func(*testing.T, *ceremony) {
	return func(t *testing.T, c *ceremony) {
		if m, ok := c.Method.(mfa.Enroller); ok && c.Confirm != nil {
			test(t, (&enrollment{ceremony: c, m: m}).again(t))
		}
	}
}

func (e *enrollment) again(t *testing.T) *enrollment {
	t.Helper()
	next := *e
	a := e.attempt()
	a.Factor = mfa.Factor{}
	before := copied(a)
	var err error
	if next.prompt, next.state, err = e.m.BeginEnroll(t.Context(), a); err != nil {
		t.Fatalf("BeginEnroll = %v, want no error", err)
	}
	if !reflect.DeepEqual(a, before) {
		t.Errorf("BeginEnroll changed the attempt to %+v, want %+v", a, before)
	}
	return &next
}

// finish confirms, with the answer in its canonical form if it has one.
func (e *enrollment) finish(t *testing.T, state, answer []byte) (out mfa.Outcome, err error) {
	t.Helper()
	if m, ok := e.Method.(mfa.Canonicalizer); ok {
		if answer, ok = m.Canonical(mfa.Factor{}, answer); !ok {
			return mfa.Outcome{}, mfa.ErrWrongAnswer
		}
	}
	a := e.attempt()
	a.Factor, a.State, a.Answer = mfa.Factor{}, state, answer
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("FinishEnroll panics: %v", p)
			err = errors.New("panic")
		}
	}()
	before := copied(a)
	out, err = e.m.FinishEnroll(t.Context(), a)
	if !reflect.DeepEqual(a, before) {
		t.Errorf("FinishEnroll changed the attempt to %+v, want %+v", a, before)
	}
	return out, err
}
