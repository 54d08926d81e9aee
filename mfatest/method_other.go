package mfatest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"sallyport/mfa"
)

// What belongs to somebody or something else proves nothing.
var otherTests = []methodTest{
	{"another user's answer", func(t *testing.T, c *ceremony) {
		bob := c.enrolled(t, otherUser)
		mine, his := c.answered(t), bob.answered(t)
		for _, a := range crossed(mine, his) {
			c.denies(t, a.what, a.Attempt)
		}
		c.proves(t, "alice's own answer", mine)
		bob.proves(t, "bob's own answer", his)
	}},
	{"the answer of another factor of the same user", func(t *testing.T, c *ceremony) {
		second := c.enrolled(t, c.user)
		second.f.ID = "second factor"
		mine, other := c.answered(t), second.answered(t)
		for _, a := range crossed(mine, other) {
			c.denies(t, a.what, a.Attempt)
		}
	}},
	{"an answer to another prompt", func(t *testing.T, c *ceremony) {
		first, second := c.answered(t), c.answered(t)
		if first.State == nil {
			return // one answer is as good as another, and it is spent that counts
		}
		if bytes.Equal(first.State, second.State) {
			t.Fatal("Begin returned the same state twice")
		}
		first.State, second.State = second.State, first.State
		c.denies(t, "the first answer to the second prompt", first)
		c.denies(t, "the second answer to the first prompt", second)
	}},
	{"a ceremony of another kind", func(t *testing.T, c *ceremony) {
		enroller, ok := c.Method.(mfa.Enroller)
		if !ok || c.Confirm == nil {
			return
		}
		a := c.answered(t)
		prompt, state, err := enroller.BeginEnroll(t.Context(), mfa.Attempt{User: c.user, Now: c.now})
		if err != nil {
			t.Fatalf("BeginEnroll = %v, want no error", err)
		}
		right, _ := c.Confirm(t, prompt, c.now)
		enrolling := copied(a)
		enrolling.State, enrolling.Answer = state, right
		c.denies(t, "an answer that confirms an enrollment", enrolling)
		if out, err := enroller.FinishEnroll(t.Context(), a); err == nil {
			t.Errorf("an answer that proves a factor enrolls %+v", out)
		}
	}},
}

type namedAttempt struct {
	what string
	mfa.Attempt
}

// crossed are the ways to mix up two attempts that are each right.
func crossed(mine, other mfa.Attempt) []namedAttempt {
	var list []namedAttempt
	add := func(what string, change func(*mfa.Attempt)) {
		a := copied(mine)
		change(&a)
		list = append(list, namedAttempt{what, a})
	}
	add("the other's answer", func(a *mfa.Attempt) { a.Answer = other.Answer })
	add("the other's answer to the other's prompt", func(a *mfa.Attempt) { a.Answer, a.State = other.Answer, other.State })
	add("an answer for the other's factor", func(a *mfa.Attempt) { a.Factor, a.Own = other.Factor, other.Own })
	add("an answer for what the other's factor holds", func(a *mfa.Attempt) {
		a.Factor.State, a.Own[0].State = other.Factor.State, other.Factor.State
	})
	if mine.State != nil {
		add("an answer to the other's prompt", func(a *mfa.Attempt) { a.State = other.State })
	}
	return list
}

// What cannot be read denies: no panic, no proof.
var garbageTests = []methodTest{
	{"a factor that cannot be read", func(t *testing.T, c *ceremony) {
		a := c.answered(t)
		for what, state := range broken(a.Factor.State) {
			bad := copied(a)
			bad.Factor.State, bad.Own[0].State = state, state
			c.denies(t, "a factor whose state is "+what, bad)
			c.unreadable(t, what, bad)
		}
		c.proves(t, "the factor as it was", a)
	}},
	{"a ceremony that cannot be read", func(t *testing.T, c *ceremony) {
		a := c.answered(t)
		if a.State == nil {
			return
		}
		for what, state := range broken(a.State) {
			bad := copied(a)
			bad.State = state
			c.denies(t, "a ceremony whose state is "+what, bad)
		}
	}},
	{"an answer that is none", func(t *testing.T, c *ceremony) {
		a := c.answered(t)
		for what, answer := range broken(a.Answer) {
			bad := copied(a)
			bad.Answer = answer
			c.denies(t, "an answer that is "+what, bad)
		}
		for what, answer := range odd {
			bad := copied(a)
			bad.Answer = []byte(answer)
			c.denies(t, "an answer that is "+what, bad)
		}
	}},
	{"a factor that is not there", func(t *testing.T, c *ceremony) {
		a := c.answered(t)
		a.Factor, a.Own = mfa.Factor{}, nil
		c.denies(t, "no factor", a)
	}},
}

// broken are spoilt forms of a state or an answer.
func broken(b []byte) map[string][]byte {
	all := map[string][]byte{
		"nil": nil, "empty": {}, "garbage": []byte("garbage"), "zeros": make([]byte, len(b)),
		"a brace": []byte("{"), "null": []byte("null"),
		"ones": bytes.Repeat([]byte{0xff}, len(b)+1), "half of it": b[:len(b)/2],
		"all but the last byte": b[:max(0, len(b)-1)], "all but the first byte": b[min(1, len(b)):],
	}
	for n := 1; n < min(len(b), 40); n++ {
		all[fmt.Sprintf("the first %d bytes", n)] = b[:n]
	}
	return all
}

// odd are answers that people and programs give.
var odd = map[string]string{
	"NUL": "\x00", "no UTF-8": "\xff\xfe", "a space": " ", "an empty object": "{}", "an empty list": "[]", "a text": `""`,
	"a zero": "0", "zeros": "000000",
	"a megabyte": strings.Repeat("0", 1<<20), "ten thousand brackets": strings.Repeat("[", 10_000),
}

// unreadable asks everything else of a factor that cannot be read.
func (c *ceremony) unreadable(t *testing.T, what string, a mfa.Attempt) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("a factor whose state is %s: %v", what, p)
		}
	}()
	begin := a
	begin.Answer, begin.State = nil, nil
	c.Method.Begin(t.Context(), begin)
	if m, ok := c.Method.(mfa.Canonicalizer); ok {
		m.Canonical(a.Factor, a.Answer)
	}
	if m, ok := c.Method.(mfa.Unguessable); ok {
		m.Unguessable(a.Factor)
	}
	if m, ok := c.Method.(mfa.Counter); ok {
		if left := m.Left(a.Factor); left != 0 {
			t.Errorf("a factor whose state is %s has %d uses left, want 0", what, left)
		}
	}
}
