package mfa_test

import (
	"context"
	"testing"
	"time"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

// factorChange is one way to change factors.
type factorChange struct {
	name string
	run  func(d *enginetest.Desk, v mfa.Visit, factorID string) (mfa.Done, error)
}

var gatedChanges = []factorChange{
	{"pause", func(d *enginetest.Desk, v mfa.Visit, id string) (mfa.Done, error) { return d.Pause(d.Context(), v, id) }},
	{"resume", func(d *enginetest.Desk, v mfa.Visit, id string) (mfa.Done, error) {
		return d.Resume(d.Context(), v, id)
	}},
	{"remove", func(d *enginetest.Desk, v mfa.Visit, id string) (mfa.Done, error) {
		return d.Remove(d.Context(), v, id)
	}},
	{"begin to enroll", func(d *enginetest.Desk, v mfa.Visit, _ string) (mfa.Done, error) {
		_, err := d.BeginEnroll(d.Context(), v, mfa.MethodTOTP)
		return mfa.Done{}, err
	}},
}

var provedChanges = []factorChange{
	{"rename", func(d *enginetest.Desk, v mfa.Visit, id string) (mfa.Done, error) {
		return d.Rename(d.Context(), v, id, "new")
	}},
	{"prefer", func(d *enginetest.Desk, v mfa.Visit, id string) (mfa.Done, error) {
		return d.Prefer(d.Context(), v, id)
	}},
	{"end sessions", func(d *enginetest.Desk, v mfa.Visit, _ string) (mfa.Done, error) {
		return d.EndSessions(d.Context(), v)
	}},
}

// Each change is tried by visits that may not make it, then by one that may.
func TestChangesOfFactorsAskForAFreshProof(t *testing.T) {
	for _, c := range gatedChanges {
		t.Run(c.name, func(t *testing.T) {
			d := enginetest.New(t, mfa.NewMemory())
			v := d.SignIn("alice")
			app := d.Enroll(&v)
			d.Enroll(&v)
			d.Clock.Move(mfa.FreshProof + time.Second)
			stranger, pending := mfa.Visit{}, d.SignIn("alice")
			pending.Pending = "attempt"
			foreign := d.SignIn("alice")
			foreign.Assurance = v.Assurance
			for name, other := range map[string]mfa.Visit{
				"a login with nothing proved": d.SignIn("alice"), "a proof six minutes old": v,
				"a sign-in that has no session": pending, "the assurance of another login": foreign,
			} {
				if _, err := c.run(d, other, app.FactorID); enginetest.Why(err) != mfa.WhyMustVerify {
					t.Errorf("by %s = %v, want the refusal %s", name, err, mfa.WhyMustVerify)
				}
			}
			if done, err := c.run(d, stranger, app.FactorID); err == nil {
				t.Errorf("by nobody = %+v, want an error", done)
			}
			d.ProveApp(&v, app)
			if _, err := c.run(d, v, app.FactorID); err != nil {
				t.Errorf("after a fresh proof = %v, want no error", err)
			}
		})
	}
}

func TestOtherChangesAskForAProvedSession(t *testing.T) {
	for _, c := range provedChanges {
		t.Run(c.name, func(t *testing.T) {
			d := enginetest.New(t, mfa.NewMemory())
			v := d.SignIn("alice")
			app := d.Enroll(&v)
			_, err := c.run(d, d.SignIn("alice"), app.FactorID)
			enginetest.Refused(t, "by a login with nothing proved", err, mfa.WhyMustVerify)
			if done, err := c.run(d, mfa.Visit{}, app.FactorID); err == nil {
				t.Errorf("by nobody = %+v, want an error", done)
			}
			d.Clock.Move(2 * time.Hour)
			if _, err := c.run(d, v, app.FactorID); err != nil {
				t.Errorf("by a login proved two hours ago = %v, want no error", err)
			}
			d.Clock.Move(5 * time.Hour)
			_, err = c.run(d, v, app.FactorID)
			enginetest.Refused(t, "by a proof that has ended", err, mfa.WhyMustVerify)
		})
	}
}

func TestTheGate(t *testing.T) {
	pass := with(token{name: mfa.MethodPass, strength: mfa.Recovered})
	briefly := func(c *mfa.EngineConfig) { c.Recheck = mfa.Recheck{Min: time.Minute, Max: time.Minute} }
	for _, c := range []struct {
		name  string
		story func(d *enginetest.Desk, v *mfa.Visit)
		want  mfa.Why // "": it opens
		with  []func(*mfa.EngineConfig)
	}{
		{"nothing enrolled, a fresh login", func(d *enginetest.Desk, v *mfa.Visit) { d.Clock.Move(mfa.FreshLogin) }, "", nil},
		{"nothing enrolled, a login older than ten minutes", func(d *enginetest.Desk, v *mfa.Visit) {
			d.Clock.Move(mfa.FreshLogin + time.Microsecond)
		}, mfa.WhyMustSignIn, nil},
		{"nothing enrolled, a login of unknown age", func(d *enginetest.Desk, v *mfa.Visit) {
			v.User.LoginAt = time.Time{}
		}, mfa.WhyMustSignIn, nil},
		{"nothing enrolled, a login of the future", func(d *enginetest.Desk, v *mfa.Visit) {
			v.User.LoginAt = d.Clock.Now().Add(time.Hour)
		}, mfa.WhyMustSignIn, nil},
		{"nothing enrolled, a login without a name", func(d *enginetest.Desk, v *mfa.Visit) {
			v.User.Session = ""
		}, mfa.WhyMustSignIn, nil},
		{"a fresh proof of the strongest factor", func(d *enginetest.Desk, v *mfa.Visit) {
			enrollToken(d, v, mfa.MethodPasskey, "key")
			d.Enroll(v)
			d.Clock.Move(time.Hour)
			proveToken(d, v, mfa.MethodPasskey, "key")
			d.Clock.Move(mfa.FreshProof)
		}, "", nil},
		{"a fresh proof of a weaker factor", func(d *enginetest.Desk, v *mfa.Visit) {
			enrollToken(d, v, mfa.MethodPasskey, "key")
			app := d.Enroll(v)
			d.Clock.Move(time.Hour)
			d.Prove(v, mfa.MethodTOTP, app.Code())
		}, mfa.WhyMustVerify, nil},
		{"a fresh proof of a weaker factor while the stronger is paused", func(d *enginetest.Desk, v *mfa.Visit) {
			f := enrollToken(d, v, mfa.MethodPasskey, "key")
			app := d.Enroll(v)
			turn(d, "alice", func(acct *mfa.Account) { acct.Factors[factorIndex(acct, f.ID)].Off = mfa.Paused })
			d.Clock.Move(time.Hour)
			d.Prove(v, mfa.MethodTOTP, app.Code())
		}, "", nil},
		{"a fresh proof that was moved to another browser", func(d *enginetest.Desk, v *mfa.Visit) {
			d.Enroll(v)
			v.Assurance.Proofs[0].Device = "remembered"
		}, mfa.WhyMustVerify, nil},
		{"a fresh proof of a factor that was stopped since", func(d *enginetest.Desk, v *mfa.Visit) {
			app := d.Enroll(v)
			d.Enroll(v)
			d.Clock.Move(time.Hour)
			d.ProveApp(v, app)
			turn(d, "alice", func(acct *mfa.Account) {
				acct.Factors[factorIndex(acct, app.FactorID)].Off = mfa.StoppedBySupport
			})
		}, mfa.WhyMustVerify, nil},
		{"a fresh proof of a recovery code", func(d *enginetest.Desk, v *mfa.Visit) {
			enrollToken(d, v, mfa.MethodPasskey, "key")
			codes, _ := d.EnrollRecovery(v)
			d.Clock.Move(time.Hour)
			d.Prove(v, mfa.MethodRecovery, codes[0])
		}, "", nil},
		{"a fresh proof of a temporary pass", func(d *enginetest.Desk, v *mfa.Visit) {
			enrollToken(d, v, mfa.MethodPass, "pass")
			d.Clock.Move(time.Hour)
			proveToken(d, v, mfa.MethodPass, "pass")
		}, "", []func(*mfa.EngineConfig){pass}},
		{"a fresh proof whose life is over", func(d *enginetest.Desk, v *mfa.Visit) {
			d.Enroll(v)
			d.Clock.Move(2 * time.Minute)
		}, mfa.WhyMustVerify, []func(*mfa.EngineConfig){briefly}},
		{"a proof of another epoch", func(d *enginetest.Desk, v *mfa.Visit) {
			d.Enroll(v)
			if err := d.EndAllSessions(d.Context(), *v, "support", "asked for"); err != nil {
				d.Fatal(err)
			}
		}, mfa.WhyMustVerify, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := enginetest.New(t, mfa.NewMemory(), append(c.with, withKeys)...)
			v := d.SignIn("alice")
			c.story(d, &v)
			if got := enginetest.Why(d.Gate(d.Kept("alice"), v)); got != c.want {
				t.Errorf("Gate = %q, want %q", got, c.want)
			}
		})
	}
}

func factorIndex(acct *mfa.Account, factorID string) int {
	for i, f := range acct.Factors {
		if f.ID == factorID {
			return i
		}
	}
	return -1
}

// The gate was open when the enrollment was begun; that is no reason to let it be finished.
func TestTheGateIsCheckedAgainWhenAnEnrollmentIsFinished(t *testing.T) {
	for _, c := range []struct {
		name     string
		enrolled bool
		since    func(d *enginetest.Desk, v *mfa.Visit)
		want     mfa.Why
	}{
		{"the proof has become old", true, func(d *enginetest.Desk, v *mfa.Visit) {
			d.Clock.Move(mfa.FreshProof)
		}, mfa.WhyMustVerify},
		{"the login has become old", false, func(d *enginetest.Desk, v *mfa.Visit) {
			v.User.LoginAt = v.User.LoginAt.Add(-mfa.FreshLogin)
			d.Clock.Move(time.Second)
		}, mfa.WhyMustSignIn},
		{"another login has enrolled the first factor", false, func(d *enginetest.Desk, v *mfa.Visit) {
			other := d.SignIn("alice")
			d.Enroll(&other)
		}, mfa.WhyMustVerify},
		{"a stronger factor was added by another login", true, func(d *enginetest.Desk, v *mfa.Visit) {
			other := *v
			enrollToken(d, &other, mfa.MethodPasskey, "key")
		}, mfa.WhyMustVerify},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := enginetest.New(t, mfa.NewMemory(), withKeys, func(c *mfa.EngineConfig) { c.KeepSessions = true })
			v := d.SignIn("alice")
			if c.enrolled {
				d.Enroll(&v)
			}
			b := d.BeganEnrollment(v, mfa.MethodTOTP)
			app := enginetest.NewApp(t, d.Clock, b.Prompt)
			c.since(d, &v)
			before := len(d.Kept("alice").Factors)
			_, err := d.FinishEnroll(t.Context(), v, mfa.MethodTOTP, b.Ticket, []byte(app.Code()), "")
			enginetest.Refused(t, "FinishEnroll", err, c.want)
			if n := len(d.Kept("alice").Factors); n != before {
				t.Errorf("the account holds %d factors, want %d as before", n, before)
			}
		})
	}
}

func TestRenamePreferPauseResumeAndRemove(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	one, two := d.Enroll(&v), d.Enroll(&v)
	keep := func(done mfa.Done, err error) mfa.Done {
		t.Helper()
		if err != nil {
			t.Fatalf("the change = %v, want no error", err)
		}
		v.Assurance = done.Assurance
		return done
	}
	kept := func(id string) mfa.Factor { f, _ := d.Kept("alice").Factor(id); return f }

	if done := keep(d.Rename(t.Context(), v, one.FactorID, " left\n pocket ")); done.Factor.Label != "left pocket" {
		t.Errorf("Rename = %q, want %q", done.Factor.Label, "left pocket")
	}
	_, err := d.Rename(t.Context(), v, one.FactorID, " \n ")
	enginetest.Refused(t, "an empty name", err, mfa.WhyInvalid)
	if keep(d.Prefer(t.Context(), v, one.FactorID)); d.Began(v, mfa.MethodTOTP).Factor.ID != one.FactorID {
		t.Error("the preferred factor is not asked for first")
	}
	if keep(d.Pause(t.Context(), v, one.FactorID)); kept(one.FactorID).Off != mfa.Paused {
		t.Errorf("a paused factor is off by %v, want %v", kept(one.FactorID).Off, mfa.Paused)
	}
	_, err = d.BeginVerify(t.Context(), v, mfa.MethodTOTP, one.FactorID)
	enginetest.Refused(t, "proving a paused factor", err, mfa.WhyNotFound)
	if keep(d.Resume(t.Context(), v, one.FactorID)); kept(one.FactorID).Off != 0 {
		t.Errorf("a resumed factor is off by %v, want nothing", kept(one.FactorID).Off)
	}
	done := keep(d.Remove(t.Context(), v, one.FactorID))
	if kept(one.FactorID).ID != "" || done.Factor.Label != "left pocket" || done.Factor.State != nil {
		t.Errorf("Remove = %+v, want what it was, without its state, and gone", done.Factor)
	}
	if d.Kept("alice").Preferences.FactorID != "" {
		t.Error("what was removed is still preferred")
	}
	_, err = d.Remove(t.Context(), v, one.FactorID)
	enginetest.Refused(t, "removing it again", err, mfa.WhyNotFound)
	if kept(two.FactorID).ID == "" {
		t.Error("the other factor is gone too")
	}
}

// What support or wrong guesses have stopped is not the owner's to start again.
func TestResumeDoesNotUndoWhatSupportOrGuessesDid(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	one := d.Enroll(&v)
	d.Enroll(&v)
	turn(d, "alice", func(acct *mfa.Account) {
		acct.Factors[0].Off = mfa.Paused | mfa.StoppedBySupport | mfa.StoppedByGuesses
	})
	done, err := d.Resume(t.Context(), v, one.FactorID)
	if err != nil || done.Factor.Off != mfa.StoppedBySupport|mfa.StoppedByGuesses {
		t.Errorf("Resume = %v, %v; want it stopped as before", done.Factor.Off, err)
	}
}

func TestWhatWouldLockTheOwnerOutIsRefused(t *testing.T) {
	stop := func(i int, off mfa.Off) func(*mfa.Account) {
		return func(acct *mfa.Account) { acct.Factors[i].Off = off }
	}
	none := func(*mfa.Account) {}
	managed := func(acct *mfa.Account) { acct.Factors[0].Managed = true }
	const last = mfa.WhyLastFactor
	for _, c := range []struct {
		name      string
		apps      int
		recovery  bool
		first     func(*mfa.Account)
		pick      int // which factor
		pause     mfa.Why
		remove    mfa.Why
		remaining int // after the removal
	}{
		{"the only factor", 1, false, none, 0, last, "", 0},
		{"the only factor besides recovery codes", 1, true, none, 0, last, "", 0},
		{"recovery codes beside a factor in use", 1, true, none, 1, "", "", 1},
		{"one of two", 2, false, none, 0, "", "", 1},
		{"one of two while the other is paused", 2, false, stop(1, mfa.Paused), 0, last, last, 0},
		{"one of two while the other is stopped", 2, true, stop(1, mfa.StoppedByGuesses), 0, last, last, 0},
		{"the one of two that is out of use", 2, false, stop(1, mfa.Paused), 1, "", "", 1},
		{"recovery codes while the factor is stopped", 1, true, stop(0, mfa.StoppedByGuesses), 1, last, last, 0},
		{"the stopped factor beside recovery codes", 1, true, stop(0, mfa.StoppedByGuesses), 0, "", "", 0},
		{"a factor of the organization", 2, false, managed, 0, mfa.WhyManaged, mfa.WhyManaged, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			try := func(change factorChange) (*enginetest.Desk, mfa.Done, error) {
				d := enginetest.New(t, mfa.NewMemory())
				v := d.SignIn("alice")
				for range c.apps {
					d.Enroll(&v)
				}
				codes := []string{}
				if c.recovery {
					codes, _ = d.EnrollRecovery(&v)
				}
				turn(d, "alice", c.first)
				if c.recovery {
					d.Prove(&v, mfa.MethodRecovery, codes[0])
				}
				done, err := change.run(d, v, d.Kept("alice").Factors[c.pick].ID)
				return d, done, err
			}
			if _, _, err := try(gatedChanges[0]); enginetest.Why(err) != c.pause {
				t.Errorf("Pause = %v, want %q", err, c.pause)
			}
			d, done, err := try(gatedChanges[2])
			if enginetest.Why(err) != c.remove {
				t.Errorf("Remove = %v, want %q", err, c.remove)
			}
			if err != nil {
				return
			}
			if n := len(d.Kept("alice").Factors); n != c.remaining || len(done.Account.Factors) != n {
				t.Errorf("%d factors remain and Done tells of %d, want %d", n, len(done.Account.Factors), c.remaining)
			}
		})
	}
}

func TestRecoveryCodesGoWithTheLastFactorAndAreTold(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	_, recovery := d.EnrollRecovery(&v)
	if _, err := d.Remove(t.Context(), v, app.FactorID); err != nil {
		t.Fatal(err)
	}
	var gone []string
	for _, ev := range d.Events("alice") {
		if ev.Kind == mfa.FactorRemoved {
			gone = append(gone, ev.FactorID)
		}
	}
	if len(gone) != 2 || gone[0] != app.FactorID || gone[1] != recovery.ID {
		t.Errorf("%v were told as removed, want %q and %q", gone, app.FactorID, recovery.ID)
	}
	if got := d.Action(mfa.Policy{}, d.SignIn("alice")); got != mfa.Allow {
		t.Errorf("without any factor Decide = %v, want %v", got, mfa.Allow)
	}
}

// Nothing but its owner or support takes an account out of the second door.
func TestAFactorOutOfUseStillCountsAsEnrolled(t *testing.T) {
	for _, c := range []struct {
		name string
		turn func(*mfa.Account)
	}{
		{"paused", func(acct *mfa.Account) { acct.Factors[0].Off = mfa.Paused }},
		{"stopped by support", func(acct *mfa.Account) { acct.Factors[0].Off = mfa.StoppedBySupport }},
		{"stopped by guesses", func(acct *mfa.Account) { acct.Factors[0].Off = mfa.StoppedByGuesses }},
		{"expired", func(acct *mfa.Account) { acct.Factors[0].Expires = time.Unix(1, 0) }},
		{"of a method that is not configured", func(acct *mfa.Account) { acct.Factors[0].Method = "retired" }},
		{"unreadable", func(acct *mfa.Account) { acct.Factors[0].State = []byte("nonsense") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := enginetest.New(t, mfa.NewMemory())
			v := d.SignIn("alice")
			app := d.Enroll(&v)
			turn(d, "alice", c.turn)
			fresh := d.SignIn("alice")
			if got := d.Action(mfa.Policy{}, fresh); got != mfa.Verify {
				t.Errorf("Decide = %v, want %v", got, mfa.Verify)
			}
			if _, err := d.BeginEnroll(t.Context(), fresh, mfa.MethodTOTP); enginetest.Why(err) != mfa.WhyMustVerify {
				t.Errorf("BeginEnroll = %v, want the refusal %s", err, mfa.WhyMustVerify)
			}
			if _, err := d.Try(fresh, mfa.MethodTOTP, app.Code()); err == nil {
				t.Error("it was proved")
			}
		})
	}
}

func TestAnEnrolledAccountWithNothingUsableIsStuck(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	d.Enroll(&v)
	turn(d, "alice", func(acct *mfa.Account) { acct.Factors[0].Off = mfa.StoppedBySupport })
	got, err := d.Decide(t.Context(), mfa.Policy{}, v)
	if err != nil || got.Action != mfa.Verify || got.Reason != mfa.ReasonStuck {
		t.Errorf("Decide = %v, %v, %v; want %v, %v", got.Action, got.Reason, err, mfa.Verify, mfa.ReasonStuck)
	}
	if err := d.Gate(d.Kept("alice"), v); enginetest.Why(err) != mfa.WhyMustVerify {
		t.Errorf("Gate = %v, want the refusal %s", err, mfa.WhyMustVerify)
	}
}

// A temporary pass opens the enrollment of a first factor and nothing else, and goes with it.
func TestAPassOpensEnrollmentAndNothingElse(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory(), with(token{name: mfa.MethodPass, strength: mfa.Recovered}))
	v := d.SignIn("alice")
	enrollToken(d, &v, mfa.MethodPass, "pass")
	d.Clock.Move(time.Hour)
	fresh := d.SignIn("alice")
	_, err := d.BeginEnroll(t.Context(), fresh, mfa.MethodTOTP)
	enginetest.Refused(t, "enrolling without the pass", err, mfa.WhyMustVerify)
	proveToken(d, &fresh, mfa.MethodPass, "pass")
	for name, p := range map[string]mfa.Policy{
		"the zero policy": {}, "the weakest": {Min: mfa.Sent}, "one factor": {Factors: 1},
	} {
		if got := d.Action(p, fresh); got != mfa.Enroll {
			t.Errorf("with a pass proved %s = %v, want %v", name, got, mfa.Enroll)
		}
	}
	d.Enroll(&fresh)
	if n := len(d.Kept("alice").Factors); n != 1 {
		t.Errorf("%d factors are left, want the new one alone", n)
	}
	if got := d.Action(mfa.Policy{}, fresh); got != mfa.Allow {
		t.Errorf("after enrollment Decide = %v, want %v", got, mfa.Allow)
	}
}

// What ends other logins carries the one that asked for it into the new epoch, and no other.
func TestWhatEndsOtherSessions(t *testing.T) {
	type story = func(d *enginetest.Desk, v mfa.Visit, app enginetest.App) (mfa.Done, error)
	byChange := func(c factorChange) story {
		return func(d *enginetest.Desk, v mfa.Visit, app enginetest.App) (mfa.Done, error) {
			return c.run(d, v, app.FactorID)
		}
	}
	enroll := func(d *enginetest.Desk, v mfa.Visit, _ enginetest.App) (mfa.Done, error) {
		d.Enroll(&v)
		return mfa.Done{Assurance: v.Assurance}, nil
	}
	for _, c := range []struct {
		name string
		run  story
		keep bool // KeepSessions
		ends bool
	}{
		{"a factor paused", byChange(gatedChanges[0]), false, true},
		{"a factor resumed", byChange(gatedChanges[1]), false, true},
		{"a factor removed", byChange(gatedChanges[2]), false, true},
		{"a factor added", enroll, false, true},
		{"a factor added where sessions are kept", enroll, true, false},
		{"a factor removed where sessions are kept", byChange(gatedChanges[2]), true, false},
		{"a factor renamed", byChange(provedChanges[0]), false, false},
		{"a factor preferred", byChange(provedChanges[1]), false, false},
		{"sessions ended", byChange(provedChanges[2]), true, true},
		{"the password changed", func(d *enginetest.Desk, v mfa.Visit, _ enginetest.App) (mfa.Done, error) {
			return d.PasswordChanged(d.Context(), v)
		}, true, true},
		{"the address changed", func(d *enginetest.Desk, v mfa.Visit, _ enginetest.App) (mfa.Done, error) {
			return d.AddressChanged(d.Context(), v)
		}, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := enginetest.New(t, mfa.NewMemory(), func(config *mfa.EngineConfig) { config.KeepSessions = c.keep })
			v := d.SignIn("alice")
			app, second := d.Enroll(&v), d.Enroll(&v)
			other := d.SignIn("alice")
			d.ProveApp(&other, second)
			done, err := c.run(d, v, app)
			if err != nil {
				t.Fatal(err)
			}
			want := map[bool]mfa.Action{true: mfa.Verify, false: mfa.Allow}[c.ends]
			if got := d.Action(mfa.Policy{}, other); got != want {
				t.Errorf("in another login Decide = %v, want %v", got, want)
			}
			old := v
			if got := d.Action(mfa.Policy{}, old); c.ends && got != mfa.Verify {
				t.Errorf("by the old assurance Decide = %v, want %v", got, mfa.Verify)
			}
			v.Assurance = done.Assurance
			if got := d.Action(mfa.Policy{}, v); got != mfa.Allow {
				t.Errorf("in the login that asked Decide = %v, want %v", got, mfa.Allow)
			}
		})
	}
}

// Whoever has proved nothing is not carried over.
func TestNothingIsCarriedForALoginThatHasProvedNothing(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	d.Enroll(&v)
	ended := v
	if err := d.EndAllSessions(t.Context(), v, "support", "stolen laptop"); err != nil {
		t.Fatal(err)
	}
	for name, visit := range map[string]mfa.Visit{"nothing proved": d.SignIn("alice"), "an ended epoch": ended} {
		done, err := d.PasswordChanged(t.Context(), visit)
		if err != nil || len(done.Assurance.Proofs) != 0 {
			t.Errorf("PasswordChanged with %s carries %d proofs, %v; want none", name, len(done.Assurance.Proofs), err)
		}
	}
	last := d.Events("alice")[1]
	if last.Kind != mfa.SessionsEnded || last.Actor != "support" || last.Reason != "stolen laptop" {
		t.Errorf("the event is %+v, want who ended the sessions, and why", last)
	}
}

func TestUnlockAndAChangedPasswordEmptyWhatTheyMay(t *testing.T) {
	for _, c := range []struct {
		name  string
		run   func(ctx context.Context, d *enginetest.Desk) error
		row   int
		again bool // it helps a second time
	}{
		{"unlocked by support", func(ctx context.Context, d *enginetest.Desk) error {
			return d.Unlock(ctx, "alice", "support", "called from her own number")
		}, 0, true},
		{"the password changed", func(ctx context.Context, d *enginetest.Desk) error {
			_, err := d.PasswordChanged(ctx, d.SignIn("alice"))
			return err
		}, 0, false},
		{"the address changed", func(ctx context.Context, d *enginetest.Desk) error {
			_, err := d.AddressChanged(ctx, d.SignIn("alice"))
			return err
		}, mfa.FreeTries, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := enginetest.New(t, mfa.NewMemory())
			v := d.SignIn("alice")
			app := d.Enroll(&v)
			exhaust := func() {
				for _, code := range app.Wrong(mfa.FreeTries) {
					if _, err := d.Try(d.SignIn("alice"), mfa.MethodTOTP, code); enginetest.Why(err) != mfa.WhyWrongAnswer {
						t.Fatalf("a wrong code = %v, want %s", err, mfa.WhyWrongAnswer)
					}
				}
			}
			row := func() int { return d.Kept("alice").Lanes[mfa.UnknownLane].Row }
			exhaust()
			if err := c.run(t.Context(), d); err != nil || row() != c.row {
				t.Fatalf("it left a row of %d, %v; want %d", row(), err, c.row)
			}
			if c.row != 0 {
				return
			}
			exhaust()
			want := map[bool]int{true: 0, false: mfa.FreeTries}[c.again]
			if err := c.run(t.Context(), d); err != nil || row() != want {
				t.Errorf("a second time it left a row of %d, %v; want %d", row(), err, want)
			}
		})
	}
}

// The id of somebody who was deleted is given to somebody else.
func TestNothingOfAnErasedUserCountsForTheNext(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory(), withKeys)
	old := d.SignIn("alice")
	app := d.Enroll(&old)
	enrollToken(d, &old, mfa.MethodPasskey, "key")
	known := d.SignInKnown("alice")
	b, enrolling := d.Began(old, mfa.MethodTOTP), d.BeganEnrollment(old, mfa.MethodTOTP)
	d.Clock.Move(time.Second)
	if err := d.Erase(t.Context(), "alice", "support", "deleted"); err != nil {
		t.Fatal(err)
	}
	if acct := d.Kept("alice"); acct.Enrolled() {
		t.Fatalf("%d factors are left, want none", len(acct.Factors))
	}
	if owner, err := d.Store.Find(t.Context(), mfa.KeyOf(mfa.MethodPasskey, []byte("key"))); err == nil {
		t.Errorf("the passkey still belongs to %q, want nobody", owner)
	}

	code := enginetest.NewApp(t, d.Clock, enrolling.Prompt).Code()
	_, err := d.FinishEnroll(t.Context(), old, mfa.MethodTOTP, enrolling.Ticket, []byte(code), "")
	enginetest.Refused(t, "an enrollment that the old user had begun", err, mfa.WhyNoTicket)
	if got := d.Action(mfa.Policy{Factors: 1}, old); got != mfa.Enroll {
		t.Errorf("by the old assurance Decide = %v, want %v", got, mfa.Enroll)
	}
	next := d.SignIn("alice")
	d.Enroll(&next)
	if got := d.Action(mfa.Policy{}, old); got != mfa.Verify {
		t.Errorf("once the next has enrolled, by the old assurance Decide = %v, want %v", got, mfa.Verify)
	}
	_, err = d.FinishVerify(t.Context(), old, mfa.MethodTOTP, b.Ticket, []byte(app.Code()))
	enginetest.Refused(t, "an old ticket", err, mfa.WhyNoTicket)
	_, err = d.Try(known, mfa.MethodTOTP, app.Wrong(1)[0])
	enginetest.Refused(t, "a wrong code from a browser that the old user had used", err, mfa.WhyWrongAnswer)
	if lanes := d.Kept("alice").Lanes; lanes[mfa.KnownLane].Row != 0 || lanes[mfa.UnknownLane].Row != 1 {
		t.Errorf("it was charged to the lanes %d and %d, want 0 and 1", lanes[mfa.KnownLane].Row, lanes[mfa.UnknownLane].Row)
	}
	events := d.Events("alice")
	for i, ev := range events {
		if ev.Number != uint64(i+1) {
			t.Fatalf("event %d has number %d: the events of the old user must stay", i+1, ev.Number)
		}
	}
}

// A change without a user would be kept for nobody.
func TestAChangeNeedsAUser(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	ctx := t.Context()
	_, changed := d.PasswordChanged(ctx, mfa.Visit{})
	for name, err := range map[string]error{
		"PasswordChanged": changed, "EndAllSessions": d.EndAllSessions(ctx, mfa.Visit{}, "support", ""),
		"Erase": d.Erase(ctx, "", "support", ""), "Unlock": d.Unlock(ctx, "", "support", ""),
		"Erase of a reserved id": d.Erase(ctx, "~sends", "support", ""),
	} {
		if err == nil {
			t.Errorf("%s = nil, want an error", name)
		}
	}
	if n := len(d.Events("")); n != 0 {
		t.Errorf("%d events were saved, want none", n)
	}
}
