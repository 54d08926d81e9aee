package mfa_test

import (
	"fmt"
	"testing"
	"time"

	"sallyport/mfa"
)

// signIns lets an app that is ahead by so many steps sign in, a day apart, and returns what the factor has learnt then.
func signIns(t *testing.T, a app, ahead ...int64) mfa.TOTPSeed {
	t.Helper()
	f := a.factor(t)
	for i, d := range ahead {
		now := midday.Add(time.Duration(i) * 24 * time.Hour)
		next, err := answer(f, a.at(now, d), now)
		if err != nil {
			t.Fatalf("sign-in %d, %d steps ahead, with a drift of %d = %v", i+1, d, seed(t, f).Drift, err)
		}
		if moved := seed(t, next).Drift - seed(t, f).Drift; moved < -1 || moved > 1 {
			t.Fatalf("sign-in %d moved the drift by %d steps, want at most one", i+1, moved)
		}
		f = next
	}
	return seed(t, f)
}

func TestTheDriftOfAClockIsLearntOneStepASuccess(t *testing.T) {
	for _, c := range []struct {
		name  string
		seed  mfa.TOTPSeed
		ahead []int64
		want  int
	}{
		{"a clock that is right", mfa.TOTPSeed{}, []int64{0, 0, 0}, 0},
		{"a clock one step ahead", mfa.TOTPSeed{}, []int64{1}, 1},
		{"a clock one step behind", mfa.TOTPSeed{}, []int64{-1, -1}, -1},
		{"a clock that gets faster", mfa.TOTPSeed{}, []int64{1, 2}, 2},
		{"at most two", mfa.TOTPSeed{}, []int64{1, 2, 3, 3, 3}, 2},
		{"at most two behind", mfa.TOTPSeed{}, []int64{-1, -2, -3, -3}, -2},
		{"a clock that was mended", mfa.TOTPSeed{}, []int64{1, 2, 1, 0, 0}, 0},
		{"an imported drift stays", mfa.TOTPSeed{Drift: 7}, []int64{7, 7}, 7},
		{"an imported drift is the most", mfa.TOTPSeed{Drift: 7}, []int64{8, 8}, 7},
		{"an imported drift goes either way", mfa.TOTPSeed{Drift: -7}, []int64{-6, -5, -4, -3, -2, -1, 0, 1}, 1},
		{"a seed that may drift far", mfa.TOTPSeed{MaxDrift: 5}, []int64{1, 2, 3, 4, 5, 6, 6}, 5},
		{"a seed that may drift by one", mfa.TOTPSeed{MaxDrift: 1}, []int64{1, 2, 2}, 1},
	} {
		a := apart(c.seed, midday, 40)
		if got := signIns(t, a, c.ahead...); got.Drift != c.want {
			t.Errorf("%s: the drift after %v is %d, want %d", c.name, c.ahead, got.Drift, c.want)
		}
	}
}

func TestTheWindowFollowsTheLearntDrift(t *testing.T) {
	a := apart(mfa.TOTPSeed{Digits: 8}, midday, 40)
	f, err := answer(a.factor(t), a.at(midday, 1), midday)
	if err != nil {
		t.Fatal(err)
	}
	tomorrow := midday.Add(24 * time.Hour)
	if got := fmt.Sprint(rightSteps(a, f, tomorrow, 40)); got != "[0 1 2]" {
		t.Errorf("with a clock one step ahead the steps %s are right, want [0 1 2]", got)
	}
}

func TestARefusedCodeTeachesNothing(t *testing.T) {
	a := apart(mfa.TOTPSeed{}, midday, 40)
	f, err := answer(a.factor(t), a.at(midday, 0), midday)
	if err != nil {
		t.Fatal(err)
	}
	for d := int64(-5); d <= 5; d++ {
		out, err := mfa.TOTP{}.Finish(t.Context(), mfa.Attempt{Factor: f, Answer: []byte(a.at(midday, d)), Now: midday})
		if err != nil && (out.Factor.ID != "" || out.Factor.State != nil || out.Verified || out.Note != "") {
			t.Errorf("the refused code of step %d came with %+v, want nothing", d, out)
		}
	}
}

// What a factor was made with stays with it, whatever new ones are made with.
func TestAFactorKeepsItsParameters(t *testing.T) {
	a := apart(mfa.TOTPSeed{Algorithm: mfa.SHA512, Digits: 8, Period: time.Minute, T0: 7}, midday, 5)
	for _, m := range []mfa.TOTP{{}, {Algorithm: mfa.SHA256, Digits: 7, Period: 15 * time.Second}} {
		out, err := m.Finish(t.Context(), mfa.Attempt{Factor: a.factor(t), Answer: []byte(a.at(midday, 0)), Now: midday})
		if err != nil {
			t.Errorf("Finish by %+v = %v, want no error", m, err)
			continue
		}
		got := seed(t, out.Factor)
		if got.Algorithm != mfa.SHA512 || got.Digits != 8 || got.Period != time.Minute || got.T0 != 7 {
			t.Errorf("Finish by %+v left %+v, want the factor's own parameters", m, got)
		}
	}
}

func TestAPromptTellsHowManyDigits(t *testing.T) {
	f := app{mfa.TOTPSeed{Key: make([]byte, 20), Digits: 8}}.factor(t)
	prompt, state, err := mfa.TOTP{}.Begin(t.Context(), mfa.Attempt{Factor: f, Now: midday})
	if want := (mfa.OTPPrompt{Factor: "f1", Digits: 8}); prompt != want || state != nil || err != nil {
		t.Errorf("Begin = %+v, %x, %v; want %+v, no state", prompt, state, err, want)
	}
	f.State = nil
	if _, _, err := (mfa.TOTP{}).Begin(t.Context(), mfa.Attempt{Factor: f, Now: midday}); err == nil {
		t.Error("Begin of a factor without a state = nil, want an error")
	}
}
