package mfatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"sallyport/mfa"
)

var eventTests = []storeTest{
	{"everything that an event holds comes back", testWholeEvent},
	{"events come in the order of their numbers, then ids", func(t *testing.T, s storeUnderTest) {
		s.save(t, record("alice", 0, "a"),
			event("m", "alice", 10), event("z", "alice", 2), event("b", "alice", 0), event("a", "alice", 0),
			event("k", "alice", 3), event("j", "alice", 3), event("0", "alice", 1))
		s.hasEvents(t, "alice", "a", "b", "0", "z", "j", "k", "m")
	}},
	{"events are given out from a place on, and no more than asked for", testEventPages},
	{"events of one user are not those of another", func(t *testing.T, s storeUnderTest) {
		for i, id := range oddIDs() {
			s.save(t, mfa.Record{}, event(fmt.Sprintf("e%02d", i), id, 1))
		}
		for i, id := range oddIDs() {
			s.hasEvents(t, id, fmt.Sprintf("e%02d", i))
		}
	}},
	{"an event whose id exists is skipped", testEventSkipped},
	{"event ids are compared byte by byte", func(t *testing.T, s storeUnderTest) {
		for i, id := range oddIDs() {
			s.save(t, mfa.Record{}, event(id, "alice", uint64(i)+1))
		}
		s.hasEvents(t, "alice", oddIDs()...)
	}},
	{"savers race for one event id", testEventRace},
	{"savers bring the same events in opposite order", func(t *testing.T, s storeUnderTest) {
		for round := range 8 {
			user := fmt.Sprint("user", round)
			a, b := event(user+".1", user, 1), event(user+".2", user, 2)
			errs := race(t, 2, func(ctx context.Context, i int) error {
				return s.Save(ctx, mfa.Record{}, [][]mfa.Event{{a, b}, {b, a}}[i])
			})
			if err := errors.Join(errs...); err != nil {
				t.Fatalf("Save = %v, want no error", err)
			}
			s.hasEvents(t, user, a.ID, b.ID)
		}
	}},
	{"without a user id only events are saved", func(t *testing.T, s storeUnderTest) {
		s.save(t, record("alice", 0, "a", "k1"))
		r := record("", 0, "nobody's", "k2")
		for range 3 {
			s.save(t, r, event("e1", "alice", 0), event("e2", "", 0))
		}
		r.Version = 7
		s.save(t, r)
		s.holds(t, "", 0, "")
		s.holds(t, "alice", 1, "a")
		s.owned(t, "k2", "")
		s.hasEvents(t, "alice", "e1")
		s.hasEvents(t, "", "e2")
	}},
	{"events without an id are an error, and nothing of that save is kept", func(t *testing.T, s storeUnderTest) {
		err := s.Save(t.Context(), record("alice", 0, "a", "k1"), []mfa.Event{event("e1", "alice", 1), event("", "alice", 2)})
		plain(t, "Save with an event without an ID", err)
		s.holds(t, "alice", 0, "")
		s.owned(t, "k1", "")
		s.hasEvents(t, "alice")
	}},
	{"a save may bring many events", func(t *testing.T, s storeUnderTest) {
		var events []mfa.Event
		var ids []string
		for i := range 300 {
			ids = append(ids, fmt.Sprintf("e%03d", i))
			events = append(events, event(ids[i], "alice", uint64(i+1)))
		}
		s.save(t, record("alice", 0, "a"), events...)
		s.hasEvents(t, "alice", ids...)
	}},
}

func testWholeEvent(t *testing.T, s storeUnderTest) {
	want := []mfa.Event{
		{
			ID: "e1", UserID: "alice", Number: 1, At: noon, Kind: mfa.Proved, Actor: "bob", FactorID: "f1", Method: "totp",
			Address: "2001:db8::1", Browser: "Browser/1.0 \x00\xff é", Reason: "a\nreason\x00\xfe", Known: true, Epoch: 7,
			MAC: []byte{0, 1, 2, 0xff, 0},
		},
		{ID: "e2", UserID: "alice", Number: 2, Kind: "of somebody else", Actor: "\xff\x00", At: noon.In(time.FixedZone("", -7200))},
		{ID: "e3", UserID: "alice", Number: math.MaxInt64, Epoch: math.MaxUint64, Browser: large(4 << 10), At: time.Date(2106, 2, 7, 6, 28, 16, 1000, time.UTC)},
	}
	s.save(t, record("alice", 0, "a"), want...)
	got := s.events(t, "alice")
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
	for i := range want {
		sameEvent(t, got[i], want[i])
	}
}

func sameEvent(t *testing.T, got, want mfa.Event) {
	t.Helper()
	if !sameTime(got.At, want.At) || !bytes.Equal(got.MAC, want.MAC) {
		t.Errorf("event %q: At %v, MAC %x; want %v, %x", want.ID, got.At, got.MAC, want.At, want.MAC)
	}
	got.At, got.MAC, want.At, want.MAC = time.Time{}, nil, time.Time{}, nil
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("event = %.400s\nwant    %.400s", g, w)
	}
}

func testEventPages(t *testing.T, s storeUnderTest) {
	reader := s.reader(t)
	for i := range uint64(10) {
		s.save(t, mfa.Record{}, event(fmt.Sprintf("e%d", i), "alice", i))
	}
	for _, c := range []struct {
		after mfa.Event
		limit int
		want  string
	}{
		{mfa.Event{}, 3, "[e0 e1 e2]"},
		{mfa.Event{}, 100, "[e0 e1 e2 e3 e4 e5 e6 e7 e8 e9]"},
		{mfa.Event{Number: 4, ID: "e4"}, 2, "[e5 e6]"},
		{mfa.Event{Number: 4}, 2, "[e4 e5]"},
		{mfa.Event{Number: 4, ID: "e4\x00"}, 2, "[e5 e6]"},
		{mfa.Event{Number: 4, ID: "zz", UserID: "bob", Kind: "no matter"}, 1, "[e5]"},
		{mfa.Event{Number: 9, ID: "e9"}, 5, "[]"},
		{mfa.Event{}, 0, "[]"},
		{mfa.Event{}, -1, "[]"},
	} {
		page, err := reader.Events(t.Context(), "alice", c.after, c.limit)
		if err != nil {
			t.Fatalf("Events = %v, want no error", err)
		}
		ids := []string{}
		for _, ev := range page {
			ids = append(ids, ev.ID)
		}
		if got := fmt.Sprint(ids); got != c.want {
			t.Errorf("Events after %d %q, limit %d = %v, want %v", c.after.Number, c.after.ID, c.limit, got, c.want)
		}
	}
}

func testEventSkipped(t *testing.T, s storeUnderTest) {
	first := event("e1", "alice", 1)
	first.Reason = "first"
	s.save(t, record("alice", 0, "a"), first)
	second := event("e1", "alice", 5)
	second.Reason = "second"
	s.save(t, record("alice", 1, "b"), second, event("e2", "alice", 2))
	s.holds(t, "alice", 2, "b")

	foreign := event("e1", "bob", 1)
	s.save(t, record("bob", 0, "b"), foreign, event("e3", "bob", 2), event("e3", "bob", 2))
	s.hasEvents(t, "bob", "e3")
	s.hasEvents(t, "alice", "e1", "e2")
	sameEvent(t, s.events(t, "alice")[0], first)
}

func testEventRace(t *testing.T, s storeUnderTest) {
	for round := range rounds {
		id := fmt.Sprint("e", round)
		user := fmt.Sprint("user", round)
		errs := race(t, racers, func(ctx context.Context, i int) error {
			ev := event(id, user, 0)
			if i%2 == 0 {
				return s.Save(ctx, mfa.Record{}, []mfa.Event{ev})
			}
			saver := fmt.Sprintf("saver%d.%d", round, i)
			return s.Save(ctx, record(saver, 0, "a"), []mfa.Event{ev, event("of "+saver, saver, 1)})
		})
		if err := errors.Join(errs...); err != nil {
			t.Fatalf("Save with an event that another one saves too = %v, want no error", err)
		}
		s.hasEvents(t, user, id)
		s.holds(t, fmt.Sprintf("saver%d.1", round), 1, "a")
		s.hasEvents(t, fmt.Sprintf("saver%d.1", round), fmt.Sprintf("of saver%d.1", round))
	}
}
