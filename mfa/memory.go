package mfa

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is a Store that forgets everything when the process ends. It is for tests and trials: a restart makes every
// user unenrolled, and what is kept grows without bound.
type Memory struct {
	mu      sync.Mutex
	closed  bool
	records map[string]Record
	owners  map[string]string // key to user id
	events  map[string][]Event
	eventID map[string]bool
}

// NewMemory makes an empty Memory.
func NewMemory() *Memory {
	return &Memory{
		records: map[string]Record{}, owners: map[string]string{}, events: map[string][]Event{}, eventID: map[string]bool{},
	}
}

var errMemoryClosed = errors.New("the memory store is closed")

// Close forgets everything. All later calls but Close are errors.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.records, m.owners, m.events, m.eventID = nil, nil, nil, nil
	return nil
}

// enter locks m for one call, unless the call has no chance.
func (m *Memory) enter(ctx context.Context) (leave func(), err error) {
	m.mu.Lock()
	switch {
	case m.closed:
		err = errMemoryClosed
	case ctx.Err() != nil:
		err = ctx.Err()
	}
	if err != nil {
		m.mu.Unlock()
		return nil, err
	}
	return m.mu.Unlock, nil
}

// Load implements Store.
func (m *Memory) Load(ctx context.Context, userID string) (Record, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return Record{}, err
	}
	defer leave()
	return m.load(userID), nil
}

func (m *Memory) load(userID string) Record {
	r, ok := m.records[userID]
	if !ok {
		return Record{UserID: userID}
	}
	r.Data, r.Summary.Methods = slices.Clone(r.Data), slices.Clone(r.Summary.Methods)
	r.Keys = nil
	return r
}

// Save implements Store.
func (m *Memory) Save(ctx context.Context, r Record, events []Event) error {
	if err := CheckSave(r, events); err != nil {
		return err
	}
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if r.UserID != "" {
		if err := m.put(r); err != nil {
			return err
		}
	}
	for _, ev := range events {
		m.append(ev)
	}
	return nil
}

// put stores r or changes nothing.
func (m *Memory) put(r Record) error {
	old := m.records[r.UserID]
	if old.Version != r.Version {
		return ErrConflict
	}
	for _, k := range r.Keys {
		if owner, taken := m.owners[k]; taken && owner != r.UserID {
			return ErrTaken
		}
	}
	keys := old.Keys
	if r.Keys != nil {
		for _, k := range old.Keys {
			delete(m.owners, k)
		}
		for _, k := range r.Keys {
			m.owners[k] = r.UserID
		}
		keys = slices.Clone(r.Keys)
	}
	m.records[r.UserID] = Record{
		UserID: r.UserID, Version: r.Version + 1, Data: slices.Clone(r.Data), Keys: keys, KeyID: r.KeyID,
		Summary: Summary{
			Methods: slices.Clone(r.Summary.Methods), LastUsed: toMicros(r.Summary.LastUsed), Stopped: r.Summary.Stopped,
		},
	}
	return nil
}

func (m *Memory) append(ev Event) {
	if m.eventID[ev.ID] {
		return
	}
	m.eventID[ev.ID] = true
	ev.At, ev.MAC = toMicros(ev.At), slices.Clone(ev.MAC)
	m.events[ev.UserID] = append(m.events[ev.UserID], ev)
}

// Find implements Store.
func (m *Memory) Find(ctx context.Context, key string) (string, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	userID, ok := m.owners[key]
	if !ok {
		return "", ErrNotFound
	}
	return userID, nil
}

// Events implements EventReader.
func (m *Memory) Events(ctx context.Context, userID string, after Event, limit int) ([]Event, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	list := slices.SortedFunc(slices.Values(m.events[userID]), compareEvents)
	list = slices.DeleteFunc(list, func(ev Event) bool { return compareEvents(ev, after) <= 0 })
	list = list[:min(len(list), max(limit, 0))]
	for i := range list {
		list[i].MAC = slices.Clone(list[i].MAC)
	}
	return list, nil
}

func compareEvents(a, b Event) int {
	return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.ID, b.ID))
}

// List implements Lister.
func (m *Memory) List(ctx context.Context, after string, limit int) ([]Record, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var list []Record
	for _, id := range slices.Sorted(maps.Keys(m.records)) {
		if len(list) >= limit {
			break
		}
		if id > after && !strings.HasPrefix(id, "~") {
			list = append(list, m.load(id))
		}
	}
	return list, nil
}

// Check implements Checker. Memory can lose nothing that it promised to keep and has no clock of its own, so it looks
// at the keys only.
func (m *Memory) Check(ctx context.Context, keyIDs []string, _ time.Time) error {
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	missing := map[string]bool{}
	for _, r := range m.records {
		if r.KeyID != "" && !slices.Contains(keyIDs, r.KeyID) {
			missing[r.KeyID] = true
		}
	}
	var mistakes []error
	for _, id := range slices.Sorted(maps.Keys(missing)) {
		mistakes = append(mistakes, fmt.Errorf("records are sealed under key %q, which is not in the ring: put it back", id))
	}
	return errors.Join(mistakes...)
}

// toMicros drops what no database keeps.
func toMicros(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}
