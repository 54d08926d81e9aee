package mfatest_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/mfa"
	"sallyport/mfatest"
)

// faulty is a good store whose Save, Load, Find and Close may be replaced.
type faulty struct {
	*mfa.Memory
	save  func(ctx context.Context, r mfa.Record, events []mfa.Event) error
	load  func(ctx context.Context, userID string) (mfa.Record, error)
	find  func(ctx context.Context, key string) (string, error)
	read  func(ctx context.Context, userID string, after mfa.Event, limit int) ([]mfa.Event, error)
	list  func(ctx context.Context, after string, limit int) ([]mfa.Record, error)
	check func(ctx context.Context, keyIDs []string, now time.Time) error
}

func (f *faulty) Save(ctx context.Context, r mfa.Record, events []mfa.Event) error {
	return f.save(ctx, r, events)
}
func (f *faulty) Load(ctx context.Context, userID string) (mfa.Record, error) {
	return f.load(ctx, userID)
}
func (f *faulty) Find(ctx context.Context, key string) (string, error) { return f.find(ctx, key) }
func (f *faulty) Events(ctx context.Context, userID string, after mfa.Event, limit int) ([]mfa.Event, error) {
	return f.read(ctx, userID, after, limit)
}
func (f *faulty) List(ctx context.Context, after string, limit int) ([]mfa.Record, error) {
	return f.list(ctx, after, limit)
}
func (f *faulty) Check(ctx context.Context, keyIDs []string, now time.Time) error {
	return f.check(ctx, keyIDs, now)
}

// faults are what a Store may get wrong, and the test of the kit that must find it.
var faults = []struct {
	name, found string
	spoil       func(f *faulty, good *mfa.Memory)
}{
	{"the version is not compared", "versions/a_version_that_was_not_loaded", func(f *faulty, good *mfa.Memory) {
		var mu sync.Mutex
		f.save = func(ctx context.Context, r mfa.Record, events []mfa.Event) error {
			mu.Lock()
			defer mu.Unlock()
			if old, err := good.Load(ctx, r.UserID); err == nil && r.UserID != "" {
				r.Version = old.Version
			}
			return good.Save(ctx, r, events)
		}
	}},
	{"the version is read, then written", "versions/many_racers", func(f *faulty, good *mfa.Memory) {
		var readers atomic.Int32
		f.save = func(ctx context.Context, r mfa.Record, events []mfa.Event) error {
			if r.UserID == "" {
				return good.Save(ctx, r, events)
			}
			old, err := good.Load(ctx, r.UserID)
			if err != nil {
				return err
			}
			readers.Add(1)
			defer readers.Add(-1)
			for spins := 0; readers.Load() < 2 && spins < 10_000; spins++ {
				runtime.Gosched() // another one may read now
			}
			if old.Version != r.Version {
				return mfa.ErrConflict
			}
			for { // all who have read the same version win, one after the other
				err := good.Save(ctx, r, events)
				if !errors.Is(err, mfa.ErrConflict) {
					return err
				}
				r.Version++
			}
		}
	}},
	{"a first save overwrites", "versions/version_0_saves_once", func(f *faulty, good *mfa.Memory) {
		f.save = func(ctx context.Context, r mfa.Record, events []mfa.Event) error {
			if r.Version == 0 && r.UserID != "" {
				if old, err := good.Load(ctx, r.UserID); err == nil {
					r.Version = old.Version
				}
			}
			return good.Save(ctx, r, events)
		}
	}},
	{"events of a conflict are kept", "versions/a_conflict_keeps_nothing", func(f *faulty, good *mfa.Memory) {
		f.save = func(ctx context.Context, r mfa.Record, events []mfa.Event) error {
			err := good.Save(ctx, r, events)
			if errors.Is(err, mfa.ErrConflict) {
				return errors.Join(err, good.Save(ctx, mfa.Record{}, events))
			}
			return err
		}
	}},
	{"the record is saved before its keys are refused", "keys/a_key_of_another_user", func(f *faulty, good *mfa.Memory) {
		f.save = func(ctx context.Context, r mfa.Record, events []mfa.Event) error {
			err := good.Save(ctx, r, events)
			if errors.Is(err, mfa.ErrTaken) {
				r.Keys = nil
				return errors.Join(err, good.Save(ctx, r, nil))
			}
			return err
		}
	}},
	{"keys of others are left out silently", "keys/a_key_of_another_user", func(f *faulty, good *mfa.Memory) {
		f.save = func(ctx context.Context, r mfa.Record, events []mfa.Event) error {
			if r.Keys != nil {
				r.Keys = slices.DeleteFunc(slices.Clone(r.Keys), func(key string) bool {
					owner, err := good.Find(ctx, key)
					return err == nil && owner != r.UserID
				})
			}
			return good.Save(ctx, r, events)
		}
	}},
	{"an empty list leaves keys unchanged", "keys/an_empty_list_takes_all", func(f *faulty, good *mfa.Memory) {
		f.save = func(ctx context.Context, r mfa.Record, events []mfa.Event) error {
			if len(r.Keys) == 0 {
				r.Keys = nil
			}
			return good.Save(ctx, r, events)
		}
	}},
	{"nil takes all keys", "keys/nil_leaves_keys", func(f *faulty, good *mfa.Memory) {
		f.save = func(ctx context.Context, r mfa.Record, events []mfa.Event) error {
			if r.Keys == nil {
				r.Keys = []string{}
			}
			return good.Save(ctx, r, events)
		}
	}},
	{"ids are compared without their case", "records/ids_are_compared", func(f *faulty, good *mfa.Memory) { f.fold(good, strings.ToLower) }},
	{"spaces after ids do not count", "records/ids_are_compared", func(f *faulty, good *mfa.Memory) {
		f.fold(good, func(s string) string { return strings.TrimRight(s, " ") })
	}},
	{"ids end at a zero byte", "records/ids_are_compared", func(f *faulty, good *mfa.Memory) {
		f.fold(good, func(s string) string { before, _, _ := strings.Cut(s, "\x00"); return before })
	}},
	{"keys are compared without their case", "keys/keys_are_compared", func(f *faulty, good *mfa.Memory) {
		f.save = func(ctx context.Context, r mfa.Record, events []mfa.Event) error {
			if r.Keys != nil {
				keys := []string{}
				for _, key := range r.Keys {
					keys = append(keys, strings.ToLower(key))
				}
				r.Keys = keys
			}
			return good.Save(ctx, r, events)
		}
		f.find = func(ctx context.Context, key string) (string, error) { return good.Find(ctx, strings.ToLower(key)) }
	}},
	{"times are kept to the second", "records/key_id_and_summary_come_back", func(f *faulty, good *mfa.Memory) {
		f.save = func(ctx context.Context, r mfa.Record, events []mfa.Event) error {
			r.Summary.LastUsed = r.Summary.LastUsed.Truncate(time.Second)
			return good.Save(ctx, r, events)
		}
	}},
	{"what was given out is shared", "records/what_was_passed_in", func(f *faulty, good *mfa.Memory) {
		shared := sync.Map{}
		f.load = func(ctx context.Context, userID string) (mfa.Record, error) {
			r, err := good.Load(ctx, userID)
			if old, ok := shared.Load(userID); ok && old.(mfa.Record).Version == r.Version {
				return old.(mfa.Record), err
			}
			shared.Store(userID, r)
			return r, err
		}
	}},
	{"large data is cut", "records/data_may_be_empty", func(f *faulty, good *mfa.Memory) {
		f.save = func(ctx context.Context, r mfa.Record, events []mfa.Event) error {
			r.Data = r.Data[:min(len(r.Data), 1<<16-1)]
			return good.Save(ctx, r, events)
		}
	}},
	{"nobody's keys are found as an empty id", "keys/a_key_is_nobody's", func(f *faulty, good *mfa.Memory) {
		f.find = func(ctx context.Context, key string) (string, error) {
			owner, err := good.Find(ctx, key)
			if errors.Is(err, mfa.ErrNotFound) {
				return "", nil
			}
			return owner, err
		}
	}},
	{"an event that exists is an error", "events/an_event_whose_id_exists", func(f *faulty, good *mfa.Memory) {
		var mu sync.Mutex
		seen := map[string]bool{}
		f.save = func(ctx context.Context, r mfa.Record, events []mfa.Event) error {
			mu.Lock()
			defer mu.Unlock()
			for _, ev := range events {
				if seen[ev.ID] {
					return errors.New("there already")
				}
			}
			err := good.Save(ctx, r, events)
			for _, ev := range events {
				seen[ev.ID] = seen[ev.ID] || err == nil
			}
			return err
		}
	}},
	{"a record without a user id is saved", "events/without_a_user_id", func(f *faulty, good *mfa.Memory) {
		f.save = func(ctx context.Context, r mfa.Record, events []mfa.Event) error {
			if r.UserID == "" && r.Data != nil {
				f.load = func(context.Context, string) (mfa.Record, error) { return mfa.Record{Version: 1, Data: r.Data}, nil }
			}
			return good.Save(ctx, r, events)
		}
	}},
	{"a limit is not kept", "events/events_are_given_out", func(f *faulty, good *mfa.Memory) {
		f.read = func(ctx context.Context, userID string, after mfa.Event, _ int) ([]mfa.Event, error) {
			return good.Events(ctx, userID, after, 1000)
		}
	}},
	{"a list holds records of no account", "lists/records_are_listed", func(f *faulty, good *mfa.Memory) {
		f.list = func(ctx context.Context, after string, limit int) ([]mfa.Record, error) {
			list, err := good.List(ctx, after, limit)
			if r, missing := good.Load(ctx, "~"); after < "~" && r.Version > 0 && err == nil && missing == nil {
				list = append(list, r)
			}
			return list, err
		}
	}},
	{"keys that are missing in the ring are accepted", "checks/every_key_id_in_use", func(f *faulty, good *mfa.Memory) {
		f.check = func(context.Context, []string, time.Time) error { return nil }
	}},
	{"the context is not looked at", "ends/a_cancelled_context", func(f *faulty, good *mfa.Memory) {
		f.save = func(ctx context.Context, r mfa.Record, events []mfa.Event) error {
			return good.Save(context.WithoutCancel(ctx), r, events)
		}
	}},
	{"a cancelled save is kept but for its events", "ends/a_save_that_is_cancelled", func(f *faulty, good *mfa.Memory) {
		f.save = func(ctx context.Context, r mfa.Record, events []mfa.Event) error {
			if ctx.Err() != nil && strings.HasPrefix(r.UserID, "round") {
				return errors.Join(ctx.Err(), good.Save(context.WithoutCancel(ctx), r, nil))
			}
			return good.Save(ctx, r, events)
		}
	}},
	{"a closed store knows nobody", "ends/calls_on_a_closed_store", func(f *faulty, good *mfa.Memory) {
		f.find = func(ctx context.Context, key string) (string, error) {
			owner, err := good.Find(ctx, key)
			if err != nil && ctx.Err() == nil {
				return "", mfa.ErrNotFound
			}
			return owner, err
		}
	}},
	{"a closed store panics", "ends/calls_on_a_closed_store", func(f *faulty, good *mfa.Memory) {
		f.load = func(ctx context.Context, userID string) (mfa.Record, error) {
			r, err := good.Load(ctx, userID)
			if err != nil && ctx.Err() == nil {
				panic(err)
			}
			return r, err
		}
	}},
}

// fold makes ids the same that are not.
func (f *faulty) fold(good *mfa.Memory, same func(string) string) {
	f.save = func(ctx context.Context, r mfa.Record, events []mfa.Event) error {
		r.UserID = same(r.UserID)
		return good.Save(ctx, r, events)
	}
	f.load = func(ctx context.Context, userID string) (mfa.Record, error) {
		r, err := good.Load(ctx, same(userID))
		r.UserID = userID
		return r, err
	}
}

const faultVariable = "SALLYPORT_TEST_FAULT"

// TestKitFindsFaults runs the kit on each faulty store, in a process of its own, since it must fail.
func TestKitFindsFaults(t *testing.T) {
	if name := os.Getenv(faultVariable); name != "" {
		runWithFault(t, name)
		return
	}
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			group, _, _ := strings.Cut(fault.found, "/")
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKitFindsFaults$/^"+group+"$", "-test.v")
			child.Env = append(os.Environ(), faultVariable+"="+fault.name)
			out, err := child.CombinedOutput()
			if err == nil {
				t.Fatalf("the kit accepts a store with this fault")
			}
			want := []byte("--- FAIL: TestKitFindsFaults/" + fault.found)
			if !bytes.Contains(out, want) {
				t.Errorf("the kit failed without %s:\n%.2000s", want, out)
			}
		})
	}
}

func runWithFault(t *testing.T, name string) {
	mfatest.TestStore(t, func(t *testing.T) mfa.Store {
		good := mfa.NewMemory()
		f := &faulty{good, good.Save, good.Load, good.Find, good.Events, good.List, good.Check}
		for _, fault := range faults {
			if fault.name == name {
				fault.spoil(f, good)
			}
		}
		return f
	})
}
