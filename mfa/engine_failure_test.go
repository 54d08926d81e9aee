package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

var errAway = errors.New("the database is away")

// mode is how a call of a store goes wrong.
type mode int

const (
	before  mode = iota // an error, and nothing was done
	after               // done, and reported as an error
	timeout             // no answer until the caller gives up, and nothing was done
	stale               // a read of what was there before the last save; a save: an error
	panics              // a bug in the store
)

func (m mode) String() string {
	return [...]string{"an error", "success reported as an error", "a time-out", "a stale read", "a panic"}[m]
}

// failing is a store of which one call, or all after it, go wrong.
type failing struct {
	*mfa.Memory
	mu    sync.Mutex
	calls int
	from  int // the first call that fails, from 1; 0: none
	until int
	how   mode
	old   map[string]mfa.Record // what was there before the last save
}

// fail lets the next n calls go wrong.
func (f *failing) fail(n int, how mode) { f.failAt(1, n, how) }

// failAt lets n calls go wrong, from the given one on, counted from now.
func (f *failing) failAt(first, n int, how mode) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls, f.from, f.until, f.how = 0, first, first+n-1, how
}

// next reports whether this call goes wrong.
func (f *failing) next() (mode, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	return f.how, f.calls >= f.from && f.calls <= f.until
}

func (f *failing) Load(ctx context.Context, userID string) (mfa.Record, error) {
	how, fails := f.next()
	switch {
	case !fails:
		return f.Memory.Load(ctx, userID)
	case how == stale:
		f.mu.Lock()
		defer f.mu.Unlock()
		if r, ok := f.old[userID]; ok {
			return r, nil
		}
		return f.Memory.Load(ctx, userID)
	}
	return mfa.Record{}, f.wrong(ctx, how)
}

func (f *failing) Save(ctx context.Context, r mfa.Record, events []mfa.Event) error {
	how, fails := f.next()
	if fails && how != after {
		return f.wrong(ctx, how)
	}
	was, _ := f.Memory.Load(ctx, r.UserID)
	err := f.Memory.Save(ctx, r, events)
	if err == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.old == nil {
			f.old = map[string]mfa.Record{}
		}
		f.old[r.UserID] = was
	}
	if err == nil && fails {
		return errAway
	}
	return err
}

func (f *failing) wrong(ctx context.Context, how mode) error {
	switch how {
	case timeout:
		// The caller's patience is over at once: real time would make the test long.
		return fmt.Errorf("the store: %w", context.DeadlineExceeded)
	case panics:
		panic("a bug in the store")
	}
	return errAway
}

// saga is a story in which every step must either work or change nothing that it should not.
type saga struct {
	*enginetest.Desk
	store    *failing
	app      enginetest.App
	codes    []string
	recovery string // id of their factor
	v        mfa.Visit
}

// step is one thing that a user does. Whoever does it again although it was stored is refused with done, and goes on
// with next.
type step struct {
	name string
	run  func(s *saga) error
	done mfa.Why
	next func(s *saga) error
}

// try calls a function that may panic.
func try(run func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return run()
}

// steps are enrollment, proof, recovery and changes, each of which loads and saves.
var steps = []step{
	{name: "enrolling an app", run: tellOfAnApp},
	{name: "enrolling recovery codes", run: tellOfCodes},
	{name: "a wrong code", run: func(s *saga) error {
		_, err := s.Try(s.v, mfa.MethodTOTP, s.app.Wrong(1)[0])
		if enginetest.Why(err) == mfa.WhyWrongAnswer {
			return nil
		}
		return err
	}},
	{name: "a right code", run: func(s *saga) error { return s.take(s.Try(s.v, mfa.MethodTOTP, s.app.Code())) }},
	{
		name: "a recovery code", run: func(s *saga) error { return s.take(s.Try(s.v, mfa.MethodRecovery, s.codes[1])) },
		done: mfa.WhyWrongAnswer, next: func(s *saga) error { return s.take(s.Try(s.v, mfa.MethodRecovery, s.codes[2])) },
	},
	{name: "a new name", run: func(s *saga) error {
		return s.take(s.Rename(s.Context(), s.v, s.app.FactorID, "new name"))
	}},
	{name: "sessions ended", run: func(s *saga) error { return s.take(s.EndSessions(s.Context(), s.v)) }},
	{
		name: "recovery codes removed", run: func(s *saga) error { return s.take(s.Remove(s.Context(), s.v, s.recovery)) },
		done: mfa.WhyNotFound, next: func(*saga) error { return nil },
	},
}

func tellOfAnApp(s *saga) error {
	b, err := s.BeginEnroll(s.Context(), s.v, mfa.MethodTOTP)
	if err != nil {
		return err
	}
	s.app = enginetest.NewApp(s, s.Clock, b.Prompt)
	done, err := s.FinishEnroll(s.Context(), s.v, mfa.MethodTOTP, b.Ticket, []byte(s.app.Code()), "phone")
	s.app.FactorID = done.Factor.ID
	return s.take(done, err)
}

func tellOfCodes(s *saga) error {
	b, err := s.BeginEnroll(s.Context(), s.v, mfa.MethodRecovery)
	if err != nil {
		return err
	}
	s.codes = b.Prompt.(mfa.RecoveryPrompt).Codes
	done, err := s.FinishEnroll(s.Context(), s.v, mfa.MethodRecovery, b.Ticket, []byte(s.codes[0]), "")
	s.recovery = done.Factor.ID
	return s.take(done, err)
}

// take keeps the assurance of what worked. What failed hands nothing out.
func (s *saga) take(done mfa.Done, err error) error {
	s.Helper()
	if err != nil {
		if len(done.Assurance.Proofs) > 0 || done.Proof.FactorID != "" || done.Account != nil {
			s.Errorf("a call that failed with %v handed out %+v", err, done)
		}
		return err
	}
	s.v.Assurance = done.Assurance
	return nil
}

// begin tells the story up to a step.
func begin(t *testing.T, upTo int) *saga {
	t.Helper()
	store := &failing{Memory: mfa.NewMemory()}
	s := &saga{Desk: enginetest.New(t, store), store: store}
	s.v = s.SignIn("alice")
	for _, earlier := range steps[:upTo] {
		if err := earlier.run(s); err != nil {
			t.Fatalf("%s = %v, want no error", earlier.name, err)
		}
		s.Clock.Move(enginetest.Step)
	}
	return s
}

// For each call of the store in each step, and each way in which it goes wrong: nothing is half done, nobody is proved
// whose proof is not saved, and when the store is back the story goes on by itself.
func TestFAIL1_AStoreThatFailsAtAnyCallProvesNothingAndHeals(t *testing.T) {
	tried := 0
	for i, step := range steps {
		for how := before; how <= panics; how++ {
			for call := 1; ; call++ {
				s := begin(t, i)
				s.store.failAt(call, 1, how)
				err := try(func() error { return step.run(s) })
				if !s.store.mended(call) {
					break
				}
				tried++
				t.Run(fmt.Sprintf("%s, call %d, %v", step.name, call, how), func(t *testing.T) {
					s.TB = t
					s.healed(t, step, how, err)
				})
			}
		}
	}
	if tried < 2*len(steps)*int(panics) {
		t.Errorf("%d calls were made to fail: too few to tell", tried)
	}
}

// mended lets all calls work again and reports whether there were so many.
func (f *failing) mended(calls int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.from, f.until = 0, 0
	return f.calls >= calls
}

// healed checks what a failed step has left, and repeats it as a user would: who was signed out proves a factor first.
func (s *saga) healed(t *testing.T, step step, how mode, err error) {
	if err == nil && how != stale {
		t.Error("it worked, though the store did not")
	}
	events, acct := s.Events("alice"), s.Kept("alice")
	if uint64(len(events)) != acct.Events {
		t.Errorf("%d events are stored and the account counts %d: something is half done", len(events), acct.Events)
	}
	if proofs, saved := len(s.v.Assurance.Proofs), s.Count("alice", mfa.Proved, mfa.FactorAdded); proofs > saved {
		t.Errorf("the login has %d proofs, of which %d are on record", proofs, saved)
	}
	s.Clock.Move(2 * enginetest.Step)
	if acct.Enrolled() && s.Action(mfa.Policy{}, s.v) != mfa.Allow {
		s.Prove(&s.v, mfa.MethodTOTP, s.app.Code())
		s.Clock.Move(enginetest.Step)
	}
	err = step.run(s)
	if step.done != "" && enginetest.Why(err) == step.done {
		err = step.next(s)
	}
	if err != nil {
		t.Errorf("when the store is back, %s = %v, want no error", step.name, err)
	}
	if got := s.Action(mfa.Policy{}, s.v); got != mfa.Allow {
		t.Errorf("then Decide = %v, want %v", got, mfa.Allow)
	}
}

func TestFAIL1_GuessesAreNotUnlimitedWhileTheStoreFails(t *testing.T) {
	for how := before; how <= panics; how++ {
		t.Run(how.String(), func(t *testing.T) {
			s := begin(t, 1)
			right := 0
			for n := range 200 {
				v := s.SignIn("alice")
				s.store.failAt(1+n%3, 1, how) // the read at the beginning, the read at the end, the save
				err := try(func() error { _, err := s.Try(v, mfa.MethodTOTP, s.app.Wrong(1)[0]); return err })
				if err == nil {
					right++
				}
			}
			s.store.fail(0, before)
			if n := s.Count("alice", mfa.WrongAnswer); right > 0 || n > mfa.FreeTries {
				t.Errorf("%d wrong codes opened and %d were judged, want none and at most %d", right, n, mfa.FreeTries)
			}
		})
	}
}

// A save that was reported as failed may have been stored: then its ticket is answered, and its code spent.
func TestFAIL1_WhatWasStoredButReportedAsFailedIsNotJudgedTwice(t *testing.T) {
	s := begin(t, 1)
	b := s.Began(s.v, mfa.MethodTOTP)
	code := []byte(s.app.Code())
	s.store.failAt(2, 1, after)
	done, err := s.FinishVerify(t.Context(), s.v, mfa.MethodTOTP, b.Ticket, code)
	if !errors.Is(err, errAway) || done.Proof.FactorID != "" {
		t.Fatalf("FinishVerify = %+v, %v; want no proof and %v", done.Proof, err, errAway)
	}
	s.store.fail(0, before)
	_, err = s.FinishVerify(t.Context(), s.v, mfa.MethodTOTP, b.Ticket, code)
	enginetest.Refused(t, "the same ticket", err, mfa.WhyNoTicket)
	_, err = s.Try(s.v, mfa.MethodTOTP, string(code))
	enginetest.Refused(t, "the same code", err, mfa.WhyWrongAnswer)
	s.Clock.Move(enginetest.Step)
	s.Prove(&s.v, mfa.MethodTOTP, s.app.Code())
}

func TestFAIL1_ARequestIsDeniedWhileTheStoreIsAway(t *testing.T) {
	s := begin(t, 1)
	s.Clock.Move(enginetest.Step)
	s.store.fail(1<<20, before)
	for name, p := range map[string]mfa.Policy{"the zero policy": {}, "one factor": {Factors: 1}} {
		got, err := s.Decide(t.Context(), p, s.v)
		if !errors.Is(err, errAway) || got.Action != mfa.Deny {
			t.Errorf("%s: Decide = %v, %v; want %v and %v", name, got.Action, err, mfa.Deny, errAway)
		}
	}
	if _, err := s.BeginVerify(t.Context(), s.v, mfa.MethodTOTP, ""); !errors.Is(err, errAway) {
		t.Errorf("BeginVerify = %v, want %v", err, errAway)
	}
	s.store.fail(0, before)
	if got := s.Action(mfa.Policy{}, s.v); got != mfa.Allow {
		t.Errorf("when it is back Decide = %v, want %v", got, mfa.Allow)
	}
}

// A store that always says that somebody else was faster is given up after two seconds, not never.
func TestFAIL1_ChangesThatKeepMeetingOthersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &contested{Memory: mfa.NewMemory()}
		d := enginetest.New(t, store)
		v := d.SignIn("alice")
		app := d.Enroll(&v)
		store.busy = true
		done, err := d.Try(v, mfa.MethodTOTP, app.Code())
		if !errors.Is(err, context.DeadlineExceeded) || done.Proof.FactorID != "" {
			t.Errorf("it ended with %+v, %v; want no proof and %v", done.Proof, err, context.DeadlineExceeded)
		}
		store.busy = false
		d.Prove(&v, mfa.MethodTOTP, app.Code())
	})
}

// contested is a store in which, while it is busy, somebody else was always faster.
type contested struct {
	*mfa.Memory
	busy bool
}

func (c *contested) Save(ctx context.Context, r mfa.Record, events []mfa.Event) error {
	if c.busy {
		return mfa.ErrConflict
	}
	return c.Memory.Save(ctx, r, events)
}

// What was judged stays judged although the hook has failed; the proof stays here.
func TestAHookThatFailsKeepsTheProofAndNotTheMemory(t *testing.T) {
	for name, hook := range map[string]func() error{
		"an error": func() error { return errAway }, "a panic": func() error { panic("a bug in the hook") },
	} {
		t.Run(name, func(t *testing.T) {
			fails := false
			d := enginetest.New(t, mfa.NewMemory(), func(c *mfa.EngineConfig) {
				c.Hook = func(context.Context, mfa.User, []mfa.Event) error {
					if fails {
						return hook()
					}
					return nil
				}
			})
			v := d.SignIn("alice")
			app := d.Enroll(&v)
			b, spent := d.Began(v, mfa.MethodTOTP), app.Code()
			fails = true
			done, err := d.FinishVerify(t.Context(), v, mfa.MethodTOTP, b.Ticket, []byte(spent))
			if err == nil || enginetest.Why(err) != "" || done.Proof.FactorID != "" || len(done.Assurance.Proofs) != 0 {
				t.Errorf("a right code = %+v, %v; want no proof, and an error that is no refusal", done, err)
			}
			_, err = d.Try(v, mfa.MethodTOTP, app.Wrong(1)[0])
			if err == nil || enginetest.Why(err) != "" {
				t.Errorf("a wrong code = %v, want an error that is no refusal", err)
			}
			done, err = d.EndSessions(t.Context(), v)
			if err == nil || len(done.Assurance.Proofs) != 0 {
				t.Errorf("ended sessions = %+v, %v; want nothing carried, and an error", done, err)
			}
			fails = false
			if row := d.Kept("alice").Lanes[mfa.UnknownLane].Row; row != 1 {
				t.Errorf("%d wrong answers are counted, want 1", row)
			}
			if got := d.Action(mfa.Policy{}, v); got != mfa.Verify {
				t.Errorf("after ended sessions Decide = %v, want %v", got, mfa.Verify)
			}
			_, err = d.Try(v, mfa.MethodTOTP, spent)
			enginetest.Refused(t, "the code that was judged", err, mfa.WhyWrongAnswer)
		})
	}
}

func TestTheHookIsToldWhatWasSavedAfterItWasSaved(t *testing.T) {
	store := mfa.NewMemory()
	var told []mfa.Event
	d := enginetest.New(t, store, func(c *mfa.EngineConfig) {
		c.Hook = func(ctx context.Context, u mfa.User, events []mfa.Event) error {
			kept, err := store.Events(ctx, u.ID, mfa.Event{}, 1000)
			if err != nil || len(kept) != len(told)+len(events) {
				t.Errorf("with %d events told, %d are stored, %v", len(told)+len(events), len(kept), err)
			}
			told = append(told, events...)
			return nil
		}
	})
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	guess(d, v, app)
	d.Prove(&v, mfa.MethodTOTP, app.Code())
	if len(told) != len(d.Events("alice")) {
		t.Errorf("%d events were told, want %d", len(told), len(d.Events("alice")))
	}
}

func TestACanceledRequestProvesAndSpendsNothing(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	b := d.Began(v, mfa.MethodTOTP)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	done, err := d.FinishVerify(gone, v, mfa.MethodTOTP, b.Ticket, []byte(app.Code()))
	if !errors.Is(err, context.Canceled) || done.Proof.FactorID != "" {
		t.Errorf("FinishVerify = %+v, %v; want no proof and %v", done.Proof, err, context.Canceled)
	}
	if _, err := d.FinishVerify(t.Context(), v, mfa.MethodTOTP, b.Ticket, []byte(app.Code())); err != nil {
		t.Errorf("the same answer again = %v, want no error", err)
	}
}

// Records that do not open are no empty accounts.
func TestSEED2_ARecordInAnotherPlaceDoesNotOpen(t *testing.T) {
	put := func(t *testing.T, m *mfa.Memory, r mfa.Record) {
		t.Helper()
		if err := m.Save(t.Context(), r, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		wrong func(t *testing.T, m *mfa.Memory, alice mfa.Record) (userID string)
	}{
		{"of another user", func(t *testing.T, m *mfa.Memory, r mfa.Record) string {
			for v := range r.Version { // bob's row is overwritten by alice's, at the same version
				put(t, m, mfa.Record{UserID: "bob", Version: v, Data: r.Data})
			}
			return "bob"
		}},
		{"of another version", func(t *testing.T, m *mfa.Memory, r mfa.Record) string {
			put(t, m, mfa.Record{UserID: "alice", Version: r.Version, Data: r.Data})
			return "alice"
		}},
		{"cut short", func(t *testing.T, m *mfa.Memory, r mfa.Record) string {
			put(t, m, mfa.Record{UserID: "alice", Version: r.Version, Data: r.Data[:len(r.Data)/2]})
			return "alice"
		}},
		{"emptied", func(t *testing.T, m *mfa.Memory, r mfa.Record) string {
			put(t, m, mfa.Record{UserID: "alice", Version: r.Version})
			return "alice"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := mfa.NewMemory()
			d := enginetest.New(t, m)
			v := d.SignIn("alice")
			d.Enroll(&v)
			r, err := m.Load(t.Context(), "alice")
			if err != nil {
				t.Fatal(err)
			}
			victim := d.SignIn(c.wrong(t, m, r))
			got, err := d.Decide(t.Context(), mfa.Policy{}, victim)
			if err == nil || got.Action != mfa.Deny {
				t.Errorf("Decide = %v, %v; want %v and an error", got.Action, err, mfa.Deny)
			}
			if _, err := d.BeginEnroll(t.Context(), victim, mfa.MethodTOTP); err == nil || enginetest.Why(err) != "" {
				t.Errorf("BeginEnroll = %v, want an error that is no refusal", err)
			}
			if err != nil && strings.Contains(err.Error(), string(r.Data)) {
				t.Error("the error shows the record")
			}
		})
	}
}
