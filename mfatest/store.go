package mfatest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"sallyport/mfa"
)

// TestStore checks that a Store keeps its contract. It calls open for each of its tests, which must return an empty
// store, and see to it by t.Cleanup that it is closed.
//
// What a Store may have besides is tested where it is there: mfa.EventReader, without which nothing can be said about
// events, mfa.Lister, mfa.Checker and io.Closer.
func TestStore(t *testing.T, open func(t *testing.T) mfa.Store) {
	t.Helper()
	for _, group := range []struct {
		name  string
		tests []storeTest
	}{
		{"records", recordTests}, {"versions", versionTests}, {"keys", keyTests}, {"events", eventTests},
		{"lists", listTests}, {"checks", checkTests}, {"ends", endTests}, {"walks", walkTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, test := range group.tests {
				t.Run(test.name, func(t *testing.T) { test.run(t, storeUnderTest{open(t)}) })
			}
		})
	}
}

type storeTest struct {
	name string
	run  func(*testing.T, storeUnderTest)
}

// racers is how many goroutines meet at a barrier, rounds how often. SALLYPORT_TEST_FULL makes both larger.
var racers, rounds = size(24, 64), size(2, 8)

func size(small, large int) int {
	if os.Getenv("SALLYPORT_TEST_FULL") != "" {
		return large
	}
	return small
}

// patience is how long a test waits for a store that hangs.
const patience = time.Minute

// storeUnderTest is a Store with words for tests.
type storeUnderTest struct{ mfa.Store }

// save saves and must succeed.
func (s storeUnderTest) save(t *testing.T, r mfa.Record, events ...mfa.Event) {
	t.Helper()
	if err := s.Save(t.Context(), r, events); err != nil {
		t.Fatalf("Save of %q at version %d = %v, want no error", r.UserID, r.Version, err)
	}
}

// refused saves and must fail with a sentinel.
func (s storeUnderTest) refused(t *testing.T, want error, r mfa.Record, events ...mfa.Event) {
	t.Helper()
	if err := s.Save(t.Context(), r, events); !errors.Is(err, want) {
		t.Fatalf("Save of %q at version %d = %v, want %v", r.UserID, r.Version, err, want)
	}
}

func (s storeUnderTest) load(t *testing.T, userID string) mfa.Record {
	t.Helper()
	r, err := s.Load(t.Context(), userID)
	if err != nil {
		t.Fatalf("Load(%q) = %v, want no error", userID, err)
	}
	return r
}

// holds compares what is stored for a user: version and data.
func (s storeUnderTest) holds(t *testing.T, userID string, version int64, data string) {
	t.Helper()
	if r := s.load(t, userID); r.Version != version || string(r.Data) != data {
		t.Fatalf("Load(%q) = version %d, data %.40q; want version %d, data %.40q", userID, r.Version, r.Data, version, data)
	}
}

// owned checks who owns a key; "" is nobody.
func (s storeUnderTest) owned(t *testing.T, key, want string) {
	t.Helper()
	got, err := s.Find(t.Context(), key)
	switch {
	case want == "" && !errors.Is(err, mfa.ErrNotFound):
		t.Fatalf("Find(%q) = %q, %v; want ErrNotFound", key, got, err)
	case want != "" && (err != nil || got != want):
		t.Fatalf("Find(%q) = %q, %v; want %q", key, got, err, want)
	}
}

// events returns all events of a user, page by page. Without an EventReader the test ends here.
func (s storeUnderTest) events(t *testing.T, userID string) []mfa.Event {
	t.Helper()
	var all []mfa.Event
	var last mfa.Event
	for {
		page, err := s.reader(t).Events(t.Context(), userID, last, 50)
		if err != nil {
			t.Fatalf("Events(%q) = %v, want no error", userID, err)
		}
		if len(page) == 0 {
			return all
		}
		if all = append(all, page...); len(all) > 10_000 {
			t.Fatalf("Events(%q) never ends", userID)
		}
		last = all[len(all)-1]
	}
}

func (s storeUnderTest) reader(t *testing.T) mfa.EventReader {
	t.Helper()
	return ability[mfa.EventReader](t, s.Store, "EventReader")
}

// hasEvents compares the ids of a user's events. A store that does not give them back is not asked.
func (s storeUnderTest) hasEvents(t *testing.T, userID string, want ...string) {
	t.Helper()
	if _, ok := s.Store.(mfa.EventReader); !ok {
		t.Log("not an EventReader: events are not looked at")
		return
	}
	got := []string{}
	for _, ev := range s.events(t, userID) {
		got = append(got, ev.ID)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("events of %q = %q, want %q", userID, got, want)
	}
}

// ability returns what a store can do besides, or skips the test.
func ability[T any](t *testing.T, s mfa.Store, name string) T {
	t.Helper()
	able, ok := s.(T)
	if !ok {
		t.Skipf("not tested: the store is no %s", name)
	}
	return able
}

func closer(t *testing.T, s storeUnderTest) io.Closer {
	t.Helper()
	return ability[io.Closer](t, s.Store, "io.Closer")
}

// record makes a record whose keys are left unchanged if none are given.
func record(userID string, version int64, data string, keys ...string) mfa.Record {
	return mfa.Record{UserID: userID, Version: version, Data: []byte(data), Keys: keys, KeyID: "k1"}
}

// withoutKeys makes r one that gives up all its keys.
func withoutKeys(r mfa.Record) mfa.Record {
	r.Keys = []string{}
	return r
}

func event(id, userID string, number uint64) mfa.Event {
	return mfa.Event{ID: id, UserID: userID, Number: number, At: noon, Kind: mfa.Proved, Actor: userID, MAC: []byte{1}}
}

// noon has more digits than a database keeps.
var noon = time.Date(2026, 7, 1, 12, 0, 0, 123_456_789, time.UTC)

// race lets n goroutines go at once and returns what each of them got.
func race(t *testing.T, n int, do func(ctx context.Context, i int) error) []error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	errs := make([]error, n)
	var ready, done sync.WaitGroup
	barrier := make(chan struct{})
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			<-barrier
			errs[i] = do(ctx, i)
		})
	}
	ready.Wait()
	close(barrier)
	done.Wait()
	return errs
}

// oneWinner returns who succeeded; it must be one, and all others must have got want.
func oneWinner(t *testing.T, errs []error, want error) int {
	t.Helper()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Fatalf("racers %d and %d both succeeded, want one", winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, want):
			t.Fatalf("racer %d got %v, want %v", i, err, want)
		}
	}
	if winner < 0 {
		t.Fatalf("none of %d racers succeeded, want one", len(errs))
	}
	return winner
}

// plain checks that err is an error and none of the sentinels that the Engine acts on.
func plain(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s = nil, want an error", what)
	}
	for _, sentinel := range []error{mfa.ErrConflict, mfa.ErrTaken, mfa.ErrNotFound, mfa.ErrWrongAnswer, mfa.ErrSpent} {
		if errors.Is(err, sentinel) {
			t.Errorf("%s = %v, want an error that is no sentinel", what, err)
		}
	}
}

func large(size int) string { return string(bytes.Repeat([]byte{0, 'x', 0xff, '\n'}, size/4)) }
