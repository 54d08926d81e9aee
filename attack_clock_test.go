package sallyport_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// Each step is tried on a user of its own, since a right code spends all before it.
func TestSKEW1_NoMoreThanThreeStepsAtOneMoment(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	var users []*browser
	for step := -12; step <= 12; step++ {
		users = append(users, s.enrolledAppOnly(fmt.Sprintf("user%d", step)))
	}
	s.advance(time.Hour)
	accepted := 0
	for i, owner := range users {
		b, step := owner.again(owner.user()), i-12
		in := b.guess(owner.code(step)).status == http.StatusSeeOther
		if in {
			accepted++
		}
		if in != b.isIn("vault") || in != (step >= -1 && step <= 1) {
			t.Errorf("the code of step %d: in = %v", step, in)
		}
	}
	if accepted > 3 {
		t.Errorf("%d steps are right at one moment, want at most 3", accepted)
	}
}

func TestSKEW2_ANodeWithAFastClock(t *testing.T) {
	onAllStores(t, func(t *testing.T, open func() attackedStore) {
		s := newNodes(t, 2, open)
		s.configs[1].Now = func() time.Time { return s.clock().Add(45 * time.Second) }
		s.restart()
		owner := s.enrolled("alice")
		s.advance(90 * time.Second)
		code := owner.code(0)
		first, second := owner.again("alice"), owner.again("alice").at(1)
		if a := first.guess(code); a.status != http.StatusSeeOther {
			t.Fatalf("a code on the first node = %d, want 303", a.status)
		}
		if a := second.guess(code); a.status != http.StatusUnprocessableEntity {
			t.Errorf("the same code on a node 45 seconds ahead = %d, want 422", a.status)
		}
		second.mustBeOut("account")
		if a := second.guess(owner.code(1)); a.status != http.StatusSeeOther {
			t.Errorf("the next code there = %d, want 303", a.status)
		}
		back := owner.again("alice")
		if a := back.guess(owner.code(1)); a.status != http.StatusUnprocessableEntity {
			t.Errorf("that code on the first node = %d, want 422", a.status)
		}
	})
}

func TestSKEW3_AClockThatIsSetBack(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	s.advance(10 * time.Minute)
	if a := owner.again("alice").guess(owner.code(0)); a.status != http.StatusSeeOther {
		t.Fatalf("a code = %d, want 303", a.status)
	}
	s.advance(-5 * time.Minute)
	b := owner.again("alice")
	for step := -2; step <= 2; step++ {
		if a := b.guess(owner.code(step)); a.status == http.StatusSeeOther {
			t.Errorf("the old code of step %d is right again after the clock was set back", step)
		}
		b.mustBeOut("account")
	}
	s.advance(6 * time.Minute)
	b.prove()
	b.mustBeIn("account")
}

func TestSKEW6_WhatAClientSaysOfTheTimeIsIgnored(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	s.advance(time.Hour)
	old := owner.code(-20)
	then := s.clock().Add(-10 * time.Minute)
	b := owner.again("alice")
	for _, h := range []string{"Date", "X-Date", "X-Time", "X-Timestamp", "X-Amz-Date", "If-Modified-Since", "Age"} {
		b = b.sending(h, then.Format(http.TimeFormat))
	}
	if a := b.guess(old); a.status != http.StatusUnprocessableEntity {
		t.Errorf("a code of ten minutes ago with headers of that time = %d, want 422", a.status)
	}
	for _, field := range []string{"time", "now", "timestamp", "t", "step", "counter"} {
		_, begun := b.call("POST", "/mfa/verify/totp/begin", nil)
		body := map[string]any{"ticket": begun["ticket"], "answer": old, field: fmt.Sprint(then.Unix())}
		if a, _ := b.call("POST", "/mfa/verify/totp", body); a.status != http.StatusBadRequest {
			t.Errorf("a code with the field %s = %d, want 400", field, a.status)
		}
	}
	b.mustBeOut("account")
	b.prove()
	b.mustBeIn("account")
}
