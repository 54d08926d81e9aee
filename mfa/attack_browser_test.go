package mfa_test

import (
	"fmt"
	"testing"
	"time"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

// remembering is a policy for which a remembered browser is enough.
var remembering = mfa.Policy{Factors: 1, Remembered: true}

// device is what a browser holds of a user.
type device struct{ series, token string }

// trusting is a desk at which alice has an app and recovery codes, and one browser that is remembered.
type trusting struct {
	*enginetest.Desk
	app   enginetest.App
	codes []string
	owner mfa.Visit // proved, not by the browser
	device
}

func newTrusting(t testing.TB, store mfa.Store, changes ...func(*mfa.EngineConfig)) *trusting {
	t.Helper()
	d := &trusting{Desk: enginetest.New(t, store, changes...)}
	d.owner = d.SignIn("alice")
	d.app = d.Enroll(&d.owner)
	d.codes, _ = d.EnrollRecovery(&d.owner)
	d.device = d.trust(30 * 24 * time.Hour)
	return d
}

// trust makes another browser of alice's a remembered one.
func (d *trusting) trust(life time.Duration) device {
	d.Helper()
	d.Clock.Move(2 * enginetest.Step)
	v := d.SignIn("alice")
	v.Remember, v.Label = life, "Firefox on Linux"
	done := d.Prove(&v, mfa.MethodTOTP, d.app.Code())
	if done.Series == "" || done.Token == "" {
		d.Fatalf("the browser is not remembered: %+v", done)
	}
	d.Clock.Move(2 * enginetest.Step)
	d.owner = d.SignIn("alice")
	d.Prove(&d.owner, mfa.MethodTOTP, d.app.Code())
	return device{done.Series, done.Token}
}

// comes presents what a browser holds in a fresh login, and keeps what it gets in return.
func (d *trusting) comes(held *device) (mfa.Visit, error) {
	d.Helper()
	v := d.SignIn("alice")
	done, err := d.Present(d.Context(), v, held.series, held.token)
	if err == nil {
		v.Assurance, held.token = done.Assurance, done.Token
	}
	return v, err
}

// welcome demands that a browser is remembered.
func (d *trusting) welcome(what string, held *device) mfa.Visit {
	d.Helper()
	v, err := d.comes(held)
	if err != nil {
		d.Fatalf("%s: Present = %v, want no error", what, err)
	}
	if got := d.Action(remembering, v); got != mfa.Allow {
		d.Fatalf("%s: Decide = %v, want %v", what, got, mfa.Allow)
	}
	return v
}

// foreign demands that a browser is not, and is asked for a factor.
func (d *trusting) foreign(what string, held device) {
	d.Helper()
	v, err := d.comes(&held)
	if enginetest.Why(err) != mfa.WhyNotFound {
		d.Errorf("%s: Present = %v, want the refusal %s", what, err, mfa.WhyNotFound)
	}
	if got := d.Action(remembering, v); got != mfa.Verify {
		d.Errorf("%s: Decide = %v, want %v", what, got, mfa.Verify)
	}
}

// must ends a story that cannot go on.
func (d *trusting) must(_ any, err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func TestTD1_EachOfTheseEndsARememberedBrowser(t *testing.T) {
	for _, c := range []struct {
		name string
		ends func(d *trusting)
	}{
		{"the password is changed", func(d *trusting) { d.must(d.PasswordChanged(d.Context(), d.owner)) }},
		{"the password is reset", func(d *trusting) {
			d.must(d.PasswordChanged(d.Context(), mfa.Visit{User: mfa.User{ID: "alice"}}))
		}},
		{"the address is changed", func(d *trusting) { d.must(d.AddressChanged(d.Context(), d.owner)) }},
		{"a factor is added", func(d *trusting) { d.Enroll(&d.owner) }},
		{"a factor is removed", func(d *trusting) {
			d.must(d.Remove(d.Context(), d.owner, d.Kept("alice").Factors[1].ID))
		}},
		{"a factor is paused", func(d *trusting) {
			d.must(d.Pause(d.Context(), d.owner, d.Kept("alice").Factors[1].ID))
		}},
		{"a recovery code is used", func(d *trusting) {
			v := d.SignIn("alice")
			d.Prove(&v, mfa.MethodRecovery, d.codes[1])
		}},
		{"the user signs out everywhere", func(d *trusting) { d.must(d.EndSessions(d.Context(), d.owner)) }},
		{"the site ends all sessions, as for a new role or a lock", func(d *trusting) {
			d.must(nil, d.EndAllSessions(d.Context(), d.owner, "site", "a new role"))
		}},
		{"the user forgets this browser", func(d *trusting) { d.must(d.ForgetBrowser(d.Context(), d.owner, d.series)) }},
		{"the user forgets all browsers", func(d *trusting) { d.must(d.ForgetBrowsers(d.Context(), d.owner)) }},
	} {
		for _, keep := range []bool{false, true} {
			name := fmt.Sprintf("%s, other sessions kept: %v", c.name, keep)
			d := newTrusting(t, mfa.NewMemory(), func(c *mfa.EngineConfig) { c.KeepSessions = keep })
			before := d.welcome(name+": the control", &d.device)
			c.ends(d)
			d.foreign(name, d.device)
			if got := d.Action(remembering, before); got != mfa.Verify {
				t.Errorf("%s: where it was presented before, Decide = %v, want %v", name, got, mfa.Verify)
			}
		}
	}
}

func TestTD1_AFactorThatIsTakenAwayTakesItsBrowserAlong(t *testing.T) {
	for name, off := range map[string]mfa.Off{
		"stopped by support": mfa.StoppedBySupport, "by guesses": mfa.StoppedByGuesses,
	} {
		d := newTrusting(t, mfa.NewMemory())
		d.welcome("the control", &d.device)
		turn(d.Desk, "alice", func(acct *mfa.Account) { acct.Factors[0].Off = off })
		if v, _ := d.comes(&d.device); d.Action(remembering, v) != mfa.Verify {
			t.Errorf("%s: a browser stands for a factor that is not in use", name)
		}
	}
}

func TestTD2_ADeviceInAnotherUsersJarHasNoEffect(t *testing.T) {
	d := newTrusting(t, mfa.NewMemory())
	bob := d.SignIn("bob")
	d.Enroll(&bob)
	bob = d.SignIn("bob")
	done, err := d.Present(t.Context(), bob, d.series, d.token)
	enginetest.Refused(t, "alice's device for bob", err, mfa.WhyNotFound)
	bob.Assurance = done.Assurance
	if got := d.Action(remembering, bob); got != mfa.Verify {
		t.Errorf("bob with alice's device: Decide = %v, want %v", got, mfa.Verify)
	}
	d.welcome("alice after that", &d.device)
}

func TestTD4_ABrowserIsForgottenByTheClockOfTheServer(t *testing.T) {
	for _, c := range []struct {
		asked, lasts time.Duration
	}{{time.Hour, time.Hour}, {30 * 24 * time.Hour, 30 * 24 * time.Hour}, {365 * 24 * time.Hour, mfa.MaxRemember}} {
		d := newTrusting(t, mfa.NewMemory())
		held := d.trust(c.asked)
		d.Clock.Move(c.lasts - 2*enginetest.Step - time.Second)
		late := d.welcome(fmt.Sprint("near the end of ", c.asked), &held)
		d.Clock.Move(time.Second)
		d.foreign(fmt.Sprint("after ", c.asked), held)
		if got := d.Action(remembering, late); got != mfa.Verify {
			t.Errorf("after %v in a login of before: Decide = %v, want %v", c.asked, got, mfa.Verify)
		}
	}
}

func TestTD5_ARememberedBrowserOpensNothingThatMatters(t *testing.T) {
	d := newTrusting(t, mfa.NewMemory())
	v := d.welcome("the control", &d.device)
	for name, p := range map[string]mfa.Policy{
		"the zero policy": {}, "a second factor": {Factors: 2, Remembered: true}, "typed": {Min: mfa.Typed},
		"fresh": {MaxAge: time.Minute, Remembered: true}, "verified": {Verified: true, Remembered: true},
	} {
		if got := d.Action(p, v); got == mfa.Allow {
			t.Errorf("%s: Decide = %v, want a detour", name, got)
		}
	}
	id := d.Kept("alice").Factors[0].ID
	for name, change := range map[string]func() error{
		"enroll":  func() error { _, err := d.BeginEnroll(t.Context(), v, mfa.MethodTOTP); return err },
		"remove":  func() error { _, err := d.Remove(t.Context(), v, id); return err },
		"pause":   func() error { _, err := d.Pause(t.Context(), v, id); return err },
		"rename":  func() error { _, err := d.Rename(t.Context(), v, id, "mine"); return err },
		"prefer":  func() error { _, err := d.Prefer(t.Context(), v, id); return err },
		"end":     func() error { _, err := d.EndSessions(t.Context(), v); return err },
		"forget":  func() error { _, err := d.ForgetBrowser(t.Context(), v, d.series); return err },
		"all":     func() error { _, err := d.ForgetBrowsers(t.Context(), v); return err },
		"a name":  func() error { _, err := d.RenameBrowser(t.Context(), v, d.series, "mine"); return err },
		"courier": func() error { _, err := d.Mute(t.Context(), v, "email"); return err },
	} {
		if err := change(); enginetest.Why(err) != mfa.WhyMustVerify {
			t.Errorf("%s = %v, want the refusal %s", name, err, mfa.WhyMustVerify)
		}
	}
}

func TestTD5_TheProofKeepsItsOriginalTime(t *testing.T) {
	d := newTrusting(t, mfa.NewMemory())
	at := d.Kept("alice").Browsers[0].At
	for range 3 {
		d.Clock.Move(24 * time.Hour)
		v := d.welcome("a day later", &d.device)
		if p := v.Assurance.Proofs[0]; !p.At.Equal(at) || p.Device != d.series || p.FactorID != d.app.FactorID {
			t.Errorf("the proof is %+v, want one of %v by the device", p, at)
		}
		if got := d.Action(mfa.Policy{MaxAge: 23 * time.Hour, Remembered: true}, v); got != mfa.Verify {
			t.Errorf("for a policy of 23 hours Decide = %v, want %v", got, mfa.Verify)
		}
	}
}

// What was proved in a login itself counts for more, and is not lost to what the browser stands for.
func TestPresentingABrowserTakesNothingFromALogin(t *testing.T) {
	d := newTrusting(t, mfa.NewMemory())
	done, err := d.Present(t.Context(), d.owner, d.series, d.token)
	if err != nil {
		t.Fatal(err)
	}
	d.owner.Assurance = done.Assurance
	for name, p := range map[string]mfa.Policy{"the zero policy": {}, "a remembered browser": remembering} {
		if got := d.Action(p, d.owner); got != mfa.Allow {
			t.Errorf("%s: Decide = %v, want %v", name, got, mfa.Allow)
		}
	}
	if got := d.Action(mfa.Policy{Factors: 2, Remembered: true}, d.owner); got == mfa.Allow {
		t.Error("one factor counts as two: proved in the login, and by the browser")
	}
	d.must(d.Rename(t.Context(), d.owner, d.app.FactorID, "still mine"))
}

func TestOnlyWhoAsksIsRememberedAndNeverByARecoveryCode(t *testing.T) {
	d := newTrusting(t, mfa.NewMemory())
	n := len(d.Kept("alice").Browsers)
	v := d.SignIn("alice")
	d.Clock.Move(2 * enginetest.Step)
	if done := d.Prove(&v, mfa.MethodTOTP, d.app.Code()); done.Series != "" || len(d.Kept("alice").Browsers) != n {
		t.Error("a browser is remembered that did not ask for it")
	}
	v = d.SignIn("alice")
	v.Remember = time.Hour
	if done := d.Prove(&v, mfa.MethodRecovery, d.codes[2]); done.Series != "" || len(d.Kept("alice").Browsers) != 0 {
		t.Error("a browser is remembered for a recovery code")
	}
}

func TestAnAccountRemembersTwentyBrowsersAndTheOldestGivesWay(t *testing.T) {
	d := newTrusting(t, mfa.NewMemory())
	held := []device{d.device}
	for range mfa.MaxBrowsers {
		held = append(held, d.trust(24*time.Hour))
	}
	if n := len(d.Kept("alice").Browsers); n != mfa.MaxBrowsers {
		t.Errorf("%d browsers are remembered, want %d", n, mfa.MaxBrowsers)
	}
	d.foreign("the oldest of twenty-one", held[0])
	for i := range held[1:] {
		d.welcome("one of the last twenty", &held[1+i])
	}
	d.Clock.Move(24 * time.Hour)
	d.trust(time.Hour)
	if n := len(d.Kept("alice").Browsers); n != 1 {
		t.Errorf("with nineteen expired %d browsers are kept, want 1", n)
	}
}

func TestABrowserIsRenamedAndForgottenByName(t *testing.T) {
	d := newTrusting(t, mfa.NewMemory())
	second := d.trust(time.Hour)
	d.must(d.RenameBrowser(t.Context(), d.owner, second.series, " My\nbrowser "))
	if got := d.Kept("alice").Browsers[1].Label; got != "Mybrowser" {
		t.Errorf("the browser is called %q, want Mybrowser", got)
	}
	_, err := d.RenameBrowser(t.Context(), d.owner, second.series, " \n ")
	enginetest.Refused(t, "an empty name", err, mfa.WhyInvalid)
	_, err = d.RenameBrowser(t.Context(), d.owner, "x", "name")
	enginetest.Refused(t, "a browser that is not there", err, mfa.WhyNotFound)
	d.must(d.ForgetBrowser(t.Context(), d.owner, d.series))
	_, err = d.ForgetBrowser(t.Context(), d.owner, d.series)
	enginetest.Refused(t, "a browser that is forgotten already", err, mfa.WhyNotFound)
	d.welcome("the other browser", &second)
	known := d.SignInKnown("alice")
	d.Clock.Move(time.Second)
	d.must(d.ForgetBrowsers(t.Context(), d.owner))
	if !known.KnownAt.Before(d.Kept("alice").KnownSince) {
		t.Error("after all were forgotten an old browser is known")
	}
}
