package mfa_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

func TestARevocationByAnotherNodeHoldsWithinASecond(t *testing.T) {
	for _, c := range []struct {
		name   string
		revoke func(other *enginetest.Desk, v mfa.Visit, factorID string) error
	}{
		{"sessions ended", func(other *enginetest.Desk, v mfa.Visit, _ string) error {
			return other.EndAllSessions(other.Context(), v, "support", "")
		}},
		{"the factor removed", func(other *enginetest.Desk, v mfa.Visit, id string) error {
			_, err := other.Remove(other.Context(), v, id)
			return err
		}},
		{"the user erased", func(other *enginetest.Desk, _ mfa.Visit, _ string) error {
			return other.Erase(other.Context(), "alice", "support", "")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := &counting{Memory: mfa.NewMemory()}
			d := enginetest.New(t, store)
			other := d.Beside(store)
			v := d.SignIn("alice")
			app := d.Enroll(&v)
			if got := d.Action(mfa.Policy{Factors: 1}, v); got != mfa.Allow {
				t.Fatalf("before Decide = %v, want %v", got, mfa.Allow)
			}
			if err := c.revoke(other, v, app.FactorID); err != nil {
				t.Fatal(err)
			}
			if got := other.Action(mfa.Policy{Factors: 1}, v); got == mfa.Allow {
				t.Error("the node that revoked still allows")
			}
			d.Clock.Move(time.Second - time.Microsecond)
			store.costs(t, "a request in the same second", 0, 0, func() { d.Action(mfa.Policy{Factors: 1}, v) })
			d.Clock.Move(time.Microsecond)
			if got := d.Action(mfa.Policy{Factors: 1}, v); got == mfa.Allow {
				t.Error("after a second the other node still allows")
			}
		})
	}
}

// slow is a store whose answers arrive later than they were asked for.
type slow struct {
	*mfa.Memory
	clock *enginetest.Clock
	takes time.Duration
}

func (s *slow) Load(ctx context.Context, userID string) (mfa.Record, error) {
	r, err := s.Memory.Load(ctx, userID)
	s.clock.Move(s.takes)
	return r, err
}

// The second counts from when the store was asked: what it read is as old as that, however long the answer took.
func TestTheSecondCountsFromTheQuestion(t *testing.T) {
	memory := mfa.NewMemory()
	other := enginetest.New(t, memory)
	store := &slow{Memory: memory, clock: other.Clock, takes: 600 * time.Millisecond}
	d := other.Beside(store)
	v := other.SignIn("alice")
	other.Enroll(&v)
	if got := d.Action(mfa.Policy{}, v); got != mfa.Allow {
		t.Fatalf("before Decide = %v, want %v", got, mfa.Allow)
	}
	if err := other.EndAllSessions(t.Context(), v, "support", ""); err != nil {
		t.Fatal(err)
	}
	d.Clock.Move(400 * time.Millisecond)
	if got := d.Action(mfa.Policy{}, v); got != mfa.Verify {
		t.Errorf("a second after the question Decide = %v, want %v", got, mfa.Verify)
	}
}

// What a node has saved itself it knows at once, also against a read that was under way.
func TestANodesOwnSaveHoldsAtOnce(t *testing.T) {
	store := &counting{Memory: mfa.NewMemory()}
	d := enginetest.New(t, store)
	v := d.SignIn("alice")
	d.Enroll(&v)
	d.Action(mfa.Policy{}, v)
	if err := d.EndAllSessions(t.Context(), v, "support", ""); err != nil {
		t.Fatal(err)
	}
	if got := d.Action(mfa.Policy{}, v); got != mfa.Verify {
		t.Errorf("Decide = %v, want %v", got, mfa.Verify)
	}
}

// held answers one Load with what was stored before a save that comes between.
type held struct {
	*mfa.Memory
	between func()
}

func (h *held) Load(ctx context.Context, userID string) (mfa.Record, error) {
	r, err := h.Memory.Load(ctx, userID)
	if between := h.between; between != nil {
		h.between = nil
		between()
	}
	return r, err
}

func TestAReadThatWasOvertakenByASaveIsNotKept(t *testing.T) {
	store := &held{Memory: mfa.NewMemory()}
	d := enginetest.New(t, store)
	v := d.SignIn("alice")
	d.Enroll(&v)
	d.Clock.Move(time.Minute)
	store.between = func() {
		if err := d.EndAllSessions(t.Context(), v, "support", ""); err != nil {
			t.Fatal(err)
		}
	}
	d.Action(mfa.Policy{}, v) // its read is the older one
	if got := d.Action(mfa.Policy{}, v); got != mfa.Verify {
		t.Errorf("Decide = %v, want %v", got, mfa.Verify)
	}
}

// A cached account may only allow: before a request is sent away the store is asked.
func TestACachedAccountNeverRefuses(t *testing.T) {
	store := &counting{Memory: mfa.NewMemory()}
	d := enginetest.New(t, store)
	other := d.Beside(store)
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	if got := other.Action(mfa.Policy{}, v); got != mfa.Allow {
		t.Fatalf("Decide = %v, want %v", got, mfa.Allow)
	}
	fresh := d.SignIn("alice")
	second := d.Enroll(&v) // a new epoch, of which the other node does not know yet
	if got := other.Action(mfa.Policy{}, v); got != mfa.Allow {
		t.Errorf("by the new assurance the other node's Decide = %v, want %v", got, mfa.Allow)
	}
	store.costs(t, "each request that is not allowed", 3, 0, func() {
		for range 3 {
			if got := other.Action(mfa.Policy{}, fresh); got != mfa.Verify {
				t.Errorf("Decide = %v, want %v", got, mfa.Verify)
			}
		}
	})
	if app.FactorID == second.FactorID {
		t.Error("two factors have one id")
	}
}

// A clock that was put back must not, when it comes round again, make what was read long ago fresh.
func TestAClockThatWasPutBackMakesNothingFreshAgain(t *testing.T) {
	memory := mfa.NewMemory()
	d := enginetest.New(t, memory)
	other := d.Beside(memory)
	v := d.SignIn("alice")
	d.Enroll(&v)
	d.Action(mfa.Policy{}, v)
	d.Clock.Move(-50 * time.Second)
	store := &counting{Memory: memory}
	again := d.Beside(store)
	again.Action(mfa.Policy{}, v)
	if got := d.Action(mfa.Policy{}, v); got != mfa.Allow {
		t.Fatalf("after the clock was put back Decide = %v, want %v", got, mfa.Allow)
	}
	if err := other.EndAllSessions(t.Context(), v, "support", ""); err != nil {
		t.Fatal(err)
	}
	d.Clock.Move(50 * time.Second)
	if got := d.Action(mfa.Policy{}, v); got != mfa.Verify {
		t.Errorf("when it came round Decide = %v, want %v", got, mfa.Verify)
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	const size = 100
	d := enginetest.New(t, mfa.NewMemory(), func(c *mfa.EngineConfig) { c.CacheSize = size })
	for i := range 10 * size {
		d.Action(mfa.Policy{}, d.SignIn(fmt.Sprint("user ", i)))
		if n := d.CacheEntries(); n > size {
			t.Fatalf("after %d users %d accounts are in memory, want at most %d", i+1, n, size)
		}
	}
}

func TestTheCacheServesNobodyElsesAccount(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	alice, bob := d.SignIn("alice"), d.SignIn("bob")
	d.Enroll(&alice)
	d.Enroll(&bob)
	for range 3 {
		if got := d.Action(mfa.Policy{}, alice); got != mfa.Allow {
			t.Errorf("alice's Decide = %v, want %v", got, mfa.Allow)
		}
		mixed := bob
		mixed.Assurance = alice.Assurance
		if got := d.Action(mfa.Policy{}, mixed); got != mfa.Verify {
			t.Errorf("bob with alice's assurance is asked to %v, want %v", got, mfa.Verify)
		}
	}
}
