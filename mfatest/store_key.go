package mfatest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"sallyport/mfa"
)

var keyTests = []storeTest{
	{"a key is nobody's before it is saved", func(t *testing.T, s storeUnderTest) {
		s.owned(t, "key", "")
		s.owned(t, "", "")
		s.save(t, record("alice", 0, "a"))
		s.owned(t, "key", "")
		s.owned(t, "alice", "")
	}},
	{"nil leaves keys unchanged", func(t *testing.T, s storeUnderTest) {
		s.save(t, record("alice", 0, "a", "k1", "k2"))
		s.save(t, record("alice", 1, "b"))
		s.owned(t, "k1", "alice")
		s.owned(t, "k2", "alice")
	}},
	{"an empty list takes all keys away", func(t *testing.T, s storeUnderTest) {
		s.save(t, record("alice", 0, "a", "k1", "k2"))
		s.save(t, withoutKeys(record("alice", 1, "b")))
		s.owned(t, "k1", "")
		s.owned(t, "k2", "")
		s.holds(t, "alice", 2, "b")
	}},
	{"keys are replaced", func(t *testing.T, s storeUnderTest) {
		s.save(t, record("alice", 0, "a", "k1", "k2"))
		s.save(t, record("alice", 1, "b", "k3", "k2"))
		for key, owner := range map[string]string{"k1": "", "k2": "alice", "k3": "alice"} {
			s.owned(t, key, owner)
		}
	}},
	{"a user keeps a key over many saves", func(t *testing.T, s storeUnderTest) {
		for v := range int64(4) {
			s.save(t, record("alice", v, "a", "k1", "k2"))
			s.owned(t, "k1", "alice")
		}
	}},
	{"a key that is given twice counts once", func(t *testing.T, s storeUnderTest) {
		s.save(t, record("alice", 0, "a", "k1", "k1"))
		s.save(t, record("alice", 1, "b", "k1", "k1", "k2", "k2"))
		s.owned(t, "k1", "alice")
		s.owned(t, "k2", "alice")
		s.save(t, withoutKeys(record("alice", 2, "c")))
		s.owned(t, "k1", "")
	}},
	{"a key of another user is taken, and nothing of that save is kept", testTakenKeepsNothing},
	{"a first save that meets a taken key makes no record", func(t *testing.T, s storeUnderTest) {
		s.save(t, record("alice", 0, "a", "k1"))
		s.refused(t, mfa.ErrTaken, record("bob", 0, "b", "free", "k1"), event("e1", "bob", 1))
		s.holds(t, "bob", 0, "")
		s.owned(t, "free", "")
		s.hasEvents(t, "bob")
		s.save(t, record("bob", 0, "b", "free"))
	}},
	{"a key that was given up may be taken", func(t *testing.T, s storeUnderTest) {
		s.save(t, record("alice", 0, "a", "k1"))
		s.save(t, withoutKeys(record("alice", 1, "a")))
		s.save(t, record("bob", 0, "b", "k1"))
		s.owned(t, "k1", "bob")
		s.refused(t, mfa.ErrTaken, record("alice", 2, "a", "k1"))
	}},
	{"records under ids that begin with ~ own keys as others do", func(t *testing.T, s storeUnderTest) {
		s.save(t, record("~node", 0, "a", "k1"))
		s.owned(t, "k1", "~node")
		s.refused(t, mfa.ErrTaken, record("alice", 0, "a", "k1"))
	}},
	{"keys are compared byte by byte", testOddKeys},
	{"many keys", func(t *testing.T, s storeUnderTest) {
		keys := make([]string, 100)
		for i := range keys {
			keys[i] = fmt.Sprint("key", i)
		}
		s.save(t, record("alice", 0, "a", keys...))
		s.save(t, record("alice", 1, "b", keys[50:]...))
		for i, key := range keys {
			owner := ""
			if i >= 50 {
				owner = "alice"
			}
			s.owned(t, key, owner)
		}
	}},
	{"two users race for one key", func(t *testing.T, s storeUnderTest) { raceForKeys(t, s, 2, 16) }},
	{"many users race for one key", func(t *testing.T, s storeUnderTest) { raceForKeys(t, s, racers, rounds) }},
	{"two users take the same keys in opposite order", testOppositeOrder},
	{"two users take each other's keys", testSwap},
}

func testTakenKeepsNothing(t *testing.T, s storeUnderTest) {
	s.save(t, record("alice", 0, "a", "k1"))
	s.save(t, record("bob", 0, "b", "old"), event("e1", "bob", 1))
	lost := record("bob", 1, "lost", "a first", "k1", "z last")
	lost.KeyID = "k2"
	s.refused(t, mfa.ErrTaken, lost, event("e2", "bob", 2), event("e3", "", 0))
	s.holds(t, "bob", 1, "b")
	if r := s.load(t, "bob"); r.KeyID != "k1" {
		t.Errorf("key id after a refused save = %q, want k1", r.KeyID)
	}
	for key, owner := range map[string]string{"old": "bob", "k1": "alice", "a first": "", "z last": ""} {
		s.owned(t, key, owner)
	}
	s.hasEvents(t, "bob", "e1")
	s.hasEvents(t, "")
	s.save(t, record("bob", 1, "next", "old"))
}

func testOddKeys(t *testing.T, s storeUnderTest) {
	for i, key := range oddIDs() {
		s.save(t, record(fmt.Sprint("user", i), 0, "a", key))
	}
	for i, key := range oddIDs() {
		s.owned(t, key, fmt.Sprint("user", i))
	}
}

// raceForKeys lets n users save one key, in several rounds.
func raceForKeys(t *testing.T, s storeUnderTest, n, rounds int) {
	for round := range rounds {
		key := fmt.Sprint("key", round)
		name := func(i int) string { return fmt.Sprintf("round%d.user%02d", round, i) }
		errs := race(t, n, func(ctx context.Context, i int) error {
			return s.Save(ctx, record(name(i), 0, "a", key), []mfa.Event{event("e."+name(i), name(i), 1)})
		})
		winner := oneWinner(t, errs, mfa.ErrTaken)
		s.owned(t, key, name(winner))
		for i := range n {
			if i == winner {
				s.holds(t, name(i), 1, "a")
				s.hasEvents(t, name(i), "e."+name(i))
				continue
			}
			s.holds(t, name(i), 0, "")
			s.hasEvents(t, name(i))
		}
	}
}

// testOppositeOrder finds stores in which two savers wait for each other.
func testOppositeOrder(t *testing.T, s storeUnderTest) {
	keys := []string{"k1", "k2", "k3", "k4", "k5"}
	for round := range int64(8) {
		errs := race(t, 2, func(ctx context.Context, i int) error {
			mine := slices.Clone(keys)
			if i == 1 {
				slices.Reverse(mine)
			}
			return s.Save(ctx, record(fmt.Sprint("user", round, i), 0, "a", mine...), nil)
		})
		winner := oneWinner(t, errs, mfa.ErrTaken)
		user := fmt.Sprint("user", round, winner)
		for _, key := range keys {
			s.owned(t, key, user)
		}
		s.save(t, withoutKeys(record(user, 1, "b")))
	}
}

// testSwap lets two users want the key that the other one gives up in the same moment. Either may be refused; what
// was told must be what is kept.
func testSwap(t *testing.T, s storeUnderTest) {
	users, keys := []string{"alice", "bob"}, []string{"k1", "k2"}
	for i, user := range users {
		s.save(t, record(user, 0, "a", keys[i]))
	}
	errs := race(t, 2, func(ctx context.Context, i int) error {
		return s.Save(ctx, record(users[i], 1, "b", keys[1-i]), nil)
	})
	for i, err := range errs {
		switch {
		case err == nil:
			s.owned(t, keys[1-i], users[i])
			s.holds(t, users[i], 2, "b")
		case errors.Is(err, mfa.ErrTaken):
			s.owned(t, keys[i], users[i])
			s.holds(t, users[i], 1, "a")
		default:
			t.Errorf("Save of %s = %v, want nil or ErrTaken", users[i], err)
		}
	}
}
