package mfatest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/mfa"
)

var endTests = []storeTest{
	{"a cancelled context ends every call before it does anything", func(t *testing.T, s storeUnderTest) {
		s.save(t, record("alice", 0, "a", "k1"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for what, err := range everyCall(ctx, s) {
			plain(t, what+" with a cancelled context", err)
		}
		s.unharmed(t)
	}},
	{"a deadline that has passed ends every call", func(t *testing.T, s storeUnderTest) {
		s.save(t, record("alice", 0, "a", "k1"))
		ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		defer cancel()
		for what, err := range everyCall(ctx, s) {
			plain(t, what+" after the deadline", err)
		}
		s.unharmed(t)
	}},
	{"a save that is cancelled on its way is kept whole or not at all", testCancelled},
	{"calls on a closed store are errors", func(t *testing.T, s storeUnderTest) {
		c := closer(t, s)
		s.save(t, record("alice", 0, "a", "k1"))
		if err := c.Close(); err != nil {
			t.Fatalf("Close = %v, want nil", err)
		}
		for what, err := range everyCall(t.Context(), s) {
			plain(t, what+" of a closed store", err)
		}
		c.Close() // may be an error, must not panic
	}},
	{"a store that was never used can be closed", func(t *testing.T, s storeUnderTest) {
		if err := closer(t, s).Close(); err != nil {
			t.Errorf("Close = %v, want nil", err)
		}
		for what, err := range everyCall(t.Context(), s) {
			plain(t, what+" of a closed store", err)
		}
	}},
	{"closing while others call", func(t *testing.T, s storeUnderTest) {
		c := closer(t, s)
		race(t, racers, func(ctx context.Context, i int) error {
			if i == racers/2 {
				return c.Close()
			}
			for what, err := range everyCall(ctx, s) {
				if errors.Is(err, mfa.ErrNotFound) && what != "Find" || errors.Is(err, mfa.ErrTaken) {
					t.Errorf("%s while the store is closed = %v", what, err)
				}
			}
			return nil
		})
		plain(t, "Save of a closed store", s.Save(t.Context(), record("zoe", 0, "a"), nil))
	}},
}

// everyCall makes each call once, as if alice were new, and returns their errors by name.
func everyCall(ctx context.Context, s storeUnderTest) map[string]error {
	errs := map[string]error{}
	_, errs["Load"] = s.Load(ctx, "alice")
	_, errs["Load of nobody"] = s.Load(ctx, "nobody")
	_, errs["Find"] = s.Find(ctx, "k1")
	errs["Save"] = s.Save(ctx, record("alice", 1, "b", "k2"), []mfa.Event{event("e1", "alice", 1)})
	errs["first Save"] = s.Save(ctx, record("bob", 0, "b", "k3"), nil)
	errs["Save of an event"] = s.Save(ctx, mfa.Record{}, []mfa.Event{event("e2", "alice", 0)})
	if reader, ok := s.Store.(mfa.EventReader); ok {
		_, errs["Events"] = reader.Events(ctx, "alice", mfa.Event{}, 10)
	}
	if lister, ok := s.Store.(mfa.Lister); ok {
		_, errs["List"] = lister.List(ctx, "", 10)
	}
	if checker, ok := s.Store.(mfa.Checker); ok {
		errs["Check"] = checker.Check(ctx, []string{"k1"}, time.Now())
	}
	return errs
}

// unharmed checks that everyCall has changed nothing.
func (s storeUnderTest) unharmed(t *testing.T) {
	t.Helper()
	s.holds(t, "alice", 1, "a")
	s.holds(t, "bob", 0, "")
	for key, owner := range map[string]string{"k1": "alice", "k2": "", "k3": ""} {
		s.owned(t, key, owner)
	}
	s.hasEvents(t, "alice")
	s.save(t, record("alice", 1, "b"))
}

// testCancelled ends the context while many save. Data, key and event of each must agree, and agree with what was told.
func testCancelled(t *testing.T, s storeUnderTest) {
	for round := range rounds {
		var saved atomic.Int32
		inner, cancel := context.WithCancel(t.Context())
		name := func(i int) string { return fmt.Sprintf("round%d.user%02d", round, i) }
		errs := race(t, racers, func(_ context.Context, i int) error {
			err := s.Save(inner, record(name(i), 0, "a", "key of "+name(i)), []mfa.Event{event("e."+name(i), name(i), 1)})
			if saved.Add(1) == 8 {
				cancel()
			}
			return err
		})
		cancel()
		for i, err := range errs {
			s.wholeOrNothing(t, name(i), err)
		}
	}
	s.save(t, record("alice", 0, "a"))
}

func (s storeUnderTest) wholeOrNothing(t *testing.T, user string, err error) {
	t.Helper()
	switch r := s.load(t, user); r.Version {
	case 0:
		if err == nil {
			t.Fatalf("Save of %s = nil, but nothing is there", user)
		}
		plain(t, "cancelled Save", err)
		s.owned(t, "key of "+user, "")
		s.hasEvents(t, user)
	default:
		s.holds(t, user, 1, "a")
		s.owned(t, "key of "+user, user)
		s.hasEvents(t, user, "e."+user)
	}
}
