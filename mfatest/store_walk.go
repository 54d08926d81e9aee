package mfatest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"sallyport/mfa"
)

var walkTests = []storeTest{
	{"from seed 1", func(t *testing.T, s storeUnderTest) { walk(t, s, 1) }},
	{"from seed 2", func(t *testing.T, s storeUnderTest) { walk(t, s, 2) }},
	{"from seed 3", func(t *testing.T, s storeUnderTest) { walk(t, s, 3) }},
}

// model is a second, slow and simple Store, which the one under test is compared with.
type model struct {
	records map[string]mfa.Record
	events  map[string]mfa.Event
}

func (m *model) owner(key string) string {
	for id, r := range m.records {
		if slices.Contains(r.Keys, key) {
			return id
		}
	}
	return ""
}

func (m *model) save(r mfa.Record, events []mfa.Event) error {
	if r.UserID != "" {
		old := m.records[r.UserID]
		if old.Version != r.Version {
			return mfa.ErrConflict
		}
		for _, key := range r.Keys {
			if owner := m.owner(key); owner != "" && owner != r.UserID {
				return mfa.ErrTaken
			}
		}
		if r.Keys == nil {
			r.Keys = old.Keys
		}
		r.Version++
		m.records[r.UserID] = r
	}
	for _, ev := range events {
		if _, there := m.events[ev.ID]; !there {
			m.events[ev.ID] = ev
		}
	}
	return nil
}

// walk makes random saves, few enough different ones to meet often, and compares records and keys after each of them,
// events now and then.
func walk(t *testing.T, s storeUnderTest, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	m := &model{map[string]mfa.Record{}, map[string]mfa.Event{}}
	for step := range size(100, 400) {
		r, events := m.randomSave(random, step)
		want := m.save(r, events)
		got := s.Save(t.Context(), r, events)
		if want == nil && got != nil || !errors.Is(got, want) {
			t.Fatalf("step %d: Save of %+v = %v, want %v", step, r, got, want)
		}
		m.compare(t, s)
		if step%25 == 24 {
			m.compareEvents(t, s)
		}
	}
}

var (
	walkUsers = []string{"alice", "ALICE", "bob", "~sends"}
	walkKeys  = []string{"k1", "K1", "k2", "k3", "k4"}
)

func (m *model) randomSave(random *rand.Rand, step int) (mfa.Record, []mfa.Event) {
	var events []mfa.Event
	for range random.IntN(3) {
		user := walkUsers[random.IntN(len(walkUsers))]
		events = append(events, event(fmt.Sprint("e", random.IntN(step+5)), user, uint64(random.IntN(5))))
	}
	if random.IntN(10) == 0 {
		return mfa.Record{}, events
	}
	r := record(walkUsers[random.IntN(len(walkUsers))], 0, fmt.Sprint("step ", step))
	r.Version = m.records[r.UserID].Version
	if random.IntN(5) == 0 {
		r.Version += int64(random.IntN(5)) - 2
	}
	if random.IntN(3) > 0 {
		r.Keys = []string{}
		for range random.IntN(4) {
			r.Keys = append(r.Keys, walkKeys[random.IntN(len(walkKeys))])
		}
	}
	return r, events
}

func (m *model) compare(t *testing.T, s storeUnderTest) {
	t.Helper()
	for _, user := range walkUsers {
		s.holds(t, user, m.records[user].Version, string(m.records[user].Data))
	}
	for _, key := range walkKeys {
		s.owned(t, key, m.owner(key))
	}
}

func (m *model) compareEvents(t *testing.T, s storeUnderTest) {
	t.Helper()
	if _, ok := s.Store.(mfa.EventReader); !ok {
		return
	}
	for _, user := range walkUsers {
		s.hasEvents(t, user, m.eventsOf(user)...)
	}
}

func (m *model) eventsOf(user string) []string {
	list := slices.DeleteFunc(slices.Collect(maps.Values(m.events)), func(ev mfa.Event) bool { return ev.UserID != user })
	slices.SortFunc(list, func(a, b mfa.Event) int {
		if a.Number != b.Number {
			return int(a.Number) - int(b.Number)
		}
		return slices.Compare([]byte(a.ID), []byte(b.ID))
	})
	ids := []string{}
	for _, ev := range list {
		ids = append(ids, ev.ID)
	}
	return ids
}
