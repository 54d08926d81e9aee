package mfatest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"sallyport/mfa"
)

var versionTests = []storeTest{
	{"a version that was not loaded is a conflict", func(t *testing.T, s storeUnderTest) {
		for v := range int64(3) {
			s.save(t, record("alice", v, fmt.Sprint(v)))
		}
		for _, version := range []int64{0, 1, 2, 4, 5, -1, -3, math.MaxInt64, math.MinInt64} {
			s.refused(t, mfa.ErrConflict, record("alice", version, "lost"))
			s.holds(t, "alice", 3, "2")
		}
	}},
	{"a first save with a version is a conflict", func(t *testing.T, s storeUnderTest) {
		for _, version := range []int64{1, 2, -1, math.MaxInt64} {
			s.refused(t, mfa.ErrConflict, record("alice", version, "lost"))
			s.holds(t, "alice", 0, "")
		}
	}},
	{"version 0 saves once", func(t *testing.T, s storeUnderTest) {
		s.save(t, record("alice", 0, "first"))
		s.refused(t, mfa.ErrConflict, record("alice", 0, "second"))
		s.holds(t, "alice", 1, "first")
	}},
	{"a conflict keeps nothing of its save", testConflictKeepsNothing},
	{"no version comes back", func(t *testing.T, s storeUnderTest) {
		s.save(t, record("alice", 0, "a", "key"))
		s.save(t, withoutKeys(mfa.Record{UserID: "alice", Version: 1}))
		s.holds(t, "alice", 2, "")
		for version := range int64(2) {
			s.refused(t, mfa.ErrConflict, record("alice", version, "back"))
		}
		s.save(t, record("alice", 2, "again"))
		s.holds(t, "alice", 3, "again")
	}},
	{"two racers for one version", func(t *testing.T, s storeUnderTest) { raceForVersions(t, s, 2, 16) }},
	{"many racers for one version", func(t *testing.T, s storeUnderTest) { raceForVersions(t, s, racers, rounds) }},
	{"no update is lost", testNoLostUpdate},
	{"accounts do not hinder each other", func(t *testing.T, s storeUnderTest) {
		errs := race(t, racers, func(ctx context.Context, i int) error {
			id := fmt.Sprintf("user%d", i)
			return s.Save(ctx, record(id, 0, "a", "key of "+id), []mfa.Event{event("e."+id, id, 1)})
		})
		if err := errors.Join(errs...); err != nil {
			t.Fatalf("saves of different users = %v, want no error", err)
		}
		for i := range racers {
			s.holds(t, fmt.Sprintf("user%d", i), 1, "a")
		}
	}},
}

func testConflictKeepsNothing(t *testing.T, s storeUnderTest) {
	r := record("alice", 0, "kept", "old key")
	r.Summary.Methods = []string{"totp"}
	s.save(t, r, event("e1", "alice", 1))
	lost := record("alice", 0, "lost", "new key")
	lost.KeyID, lost.Summary = "k2", mfa.Summary{Methods: []string{"passkey"}, LastUsed: noon, Stopped: true}
	for _, version := range []int64{0, 2} {
		lost.Version = version
		s.refused(t, mfa.ErrConflict, lost, event("e2", "alice", 2), event("e3", "", 0))
	}
	got := s.load(t, "alice")
	if got.Version != 1 || string(got.Data) != "kept" || got.KeyID != "k1" || !sameSummary(got.Summary, r.Summary) {
		t.Errorf("after a conflict: %+v, want what was there", got)
	}
	s.owned(t, "old key", "alice")
	s.owned(t, "new key", "")
	s.hasEvents(t, "alice", "e1")
	s.hasEvents(t, "")
}

// raceForVersions lets n writers save the same version with data, a key and an event of their own, in several rounds.
func raceForVersions(t *testing.T, s storeUnderTest, n, rounds int) {
	var events []string
	for round := range rounds {
		name := func(i int) string { return fmt.Sprintf("round%d.racer%02d", round, i) }
		errs := race(t, n, func(ctx context.Context, i int) error {
			ev := event(name(i), "alice", uint64(round+1))
			return s.Save(ctx, record("alice", int64(round), name(i), name(i)), []mfa.Event{ev})
		})
		winner := oneWinner(t, errs, mfa.ErrConflict)
		s.holds(t, "alice", int64(round)+1, name(winner))
		for i := range n {
			owner := ""
			if i == winner {
				owner = "alice"
			}
			s.owned(t, name(i), owner)
		}
		events = append(events, name(winner))
	}
	s.hasEvents(t, "alice", events...)
}

// testNoLostUpdate lets writers add to one record until each has added its own.
func testNoLostUpdate(t *testing.T, s storeUnderTest) {
	const writers = 16
	errs := race(t, writers, func(ctx context.Context, i int) error {
		for {
			r, err := s.Load(ctx, "alice")
			if err != nil {
				return err
			}
			r.Data = append(r.Data, byte('a'+i))
			if err := s.Save(ctx, r, nil); !errors.Is(err, mfa.ErrConflict) {
				return err
			}
		}
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("writers = %v, want no error", err)
	}
	r := s.load(t, "alice")
	seen := map[byte]bool{}
	for _, c := range r.Data {
		seen[c] = true
	}
	if r.Version != writers || len(r.Data) != writers || len(seen) != writers {
		t.Errorf("after %d writers: version %d, data %q; want each of them once", writers, r.Version, r.Data)
	}
}
