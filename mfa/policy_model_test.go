package mfa_test

import (
	"flag"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport/mfa"
)

// check runs a property on n generated cases; on twenty times as many where large sizes are wanted. A failure tells the
// seed that finds it again, and leaves no file behind: a deliberate fault may not change the tree.
func check(t *testing.T, n int, property func(*rapid.T)) {
	t.Helper()
	if full() {
		n *= 20
	}
	for name, value := range map[string]string{"rapid.checks": strconv.Itoa(n), "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, property)
}

// Few different values, so that they meet often, and those next to each boundary.
var (
	drawPolicy = rapid.Custom(func(t *rapid.T) mfa.Policy {
		return mfa.Policy{
			Factors:       rapid.SampledFrom([]int{0, 1, 1, 2, 2, 3, 4, -1}).Draw(t, "Factors"),
			Min:           mfa.Strength(rapid.IntRange(-1, 2).Draw(t, "Min")),
			Verified:      rapid.Bool().Draw(t, "Verified"),
			VerifiedIsTwo: rapid.Bool().Draw(t, "VerifiedIsTwo"),
			MaxAge:        rapid.SampledFrom(maxAges).Draw(t, "MaxAge"),
			Remembered:    rapid.Bool().Draw(t, "Remembered"),
			Waived:        rapid.SampledFrom(append(make([]string, 30), "w")).Draw(t, "Waived"),
		}
	})
	drawFactor = rapid.Custom(func(t *rapid.T) mfa.Factor {
		f := rapid.SampledFrom([]mfa.Factor{anApp, another, aKey, codes, aMail, aPhone, aPass}).Draw(t, "factor")
		f.Off = rapid.SampledFrom(offs).Draw(t, "Off")
		f.Expires = drawTime(t, "Expires", 0, 0, 0, 0, 0, 1, 30*60, 4*3600, -1)
		return f
	})
	drawProof = rapid.Custom(func(t *rapid.T) mfa.Proof {
		return mfa.Proof{
			FactorID: rapid.SampledFrom(factorIDs).Draw(t, "FactorID"),
			At:       drawTime(t, "At", -30, -60, -61, -1800, -3599, -3600, -2*3600, -4*3600, 60, 61, 0),
			Until:    drawTime(t, "Until", 0, 1, 60, 30*60, 3600, 2*3600, 3*3600, 5*3600, -1),
			Verified: rapid.Bool().Draw(t, "Verified"),
			Device:   rapid.SampledFrom([]string{"", "", "", "", "", "b1", "b1", "b2"}).Draw(t, "Device"),
		}
	})
	drawScene = rapid.Custom(func(t *rapid.T) *scene {
		least := rapid.SampledFrom([]int{2, 3, 3, 0}).Draw(t, "least factors")
		s := alices(rapid.SliceOfNDistinct(drawFactor, least, 5, idOf).Draw(t, "factors")...)
		if rapid.IntRange(0, 3).Draw(t, "browsers") > 0 {
			s.acct.Browsers = []mfa.Browser{{ID: "b1", Until: drawTime(t, "browser", 1, 1800, 7200, -1)}}
		}
		s.a.Proofs = rapid.SliceOfN(drawProof, rapid.SampledFrom([]int{2, 4, 5, 0}).Draw(t, "least proofs"), 6).Draw(t, "proofs")
		s.methods = drawMethods(t, s.methods)
		switch rapid.SampledFrom(specials).Draw(t, "special") {
		case "nobody":
			s.user.ID = ""
		case "no login":
			s.user.Session = ""
		case "epoch":
			s.a.Epoch++
		case "another user":
			s.a.UserID = "bob"
		case "another login":
			s.a.Session = "s2"
		}
		return s
	})
)

var (
	maxAges   = []time.Duration{0, 0, -1, time.Minute, time.Hour, 4 * time.Hour}
	offs      = append(make([]mfa.Off, 8), mfa.Paused, mfa.StoppedBySupport, mfa.StoppedByGuesses)
	factorIDs = []string{"app", "key", "codes", "mail", "app2", "phone", "pass", "gone"}
)

func idOf(f mfa.Factor) string { return f.ID }

// specials are rare.
var specials = append(make([]string, 30), "nobody", "no login", "epoch", "another user", "another login")

// drawTime draws one of some seconds from midday; 0 is the zero time.
func drawTime(t *rapid.T, name string, seconds ...int) time.Time {
	n := rapid.SampledFrom(seconds).Draw(t, name)
	if n == 0 {
		return time.Time{}
	}
	return midday.Add(time.Duration(n) * time.Second)
}

func drawMethods(t *rapid.T, all []string) []string {
	gone := rapid.SampledFrom(append([]string{"", "", "", "", "", "", "", "", "", ""}, all...)).Draw(t, "method switched off")
	return slices.DeleteFunc(slices.Clone(all), func(m string) bool { return m == gone })
}

// modelCounts says whether a proof counts, from the words of Policy and Decide.
func modelCounts(p mfa.Policy, s *scene, proof mfa.Proof, now time.Time) (mfa.Factor, bool) {
	var f mfa.Factor
	for _, owned := range s.acct.Factors {
		if owned.ID == proof.FactorID {
			f = owned
		}
	}
	rememberedUntil := time.Time{}
	for _, b := range s.acct.Browsers {
		if b.ID == proof.Device {
			rememberedUntil = b.Until
		}
	}
	sameLogin := s.a.UserID == s.user.ID && s.a.Session == s.user.Session && s.a.Epoch == s.acct.Epoch
	return f, sameLogin && f.ID != "" && f.Method != mfa.MethodPass && f.Strength >= p.Min && modelUsable(s, f, now) &&
		proof.At.Sub(now) <= time.Minute && (proof.Until.IsZero() || proof.Until.After(now)) &&
		(!p.Verified || proof.Verified) &&
		(proof.Device == "" || p.Remembered && rememberedUntil.After(now))
}

func modelUsable(s *scene, f mfa.Factor, now time.Time) bool {
	return f.Off == 0 && (f.Expires.IsZero() || f.Expires.After(now)) && slices.Contains(s.methods, f.Method)
}

// modelWorth is what factors are worth: the size of a set of names.
type modelWorth map[string]bool

func (w modelWorth) add(p mfa.Policy, f mfa.Factor, verified bool) {
	name := f.ID
	if f.Method == mfa.MethodSent {
		name = "all that is sent"
	}
	w[name] = true
	if p.VerifiedIsTwo && verified && f.Strength == mfa.PhishingResistant {
		w[name+", verified"] = true
	}
}

// modelProved says how many factors are proved, and whether one of the proofs is fresh.
func modelProved(p mfa.Policy, s *scene, now time.Time) (n int, fresh bool) {
	worth := modelWorth{}
	for _, proof := range s.a.Proofs {
		if f, ok := modelCounts(p, s, proof, now); ok {
			worth.add(p, f, proof.Verified)
			fresh = fresh || p.MaxAge == 0 || now.Sub(proof.At) < p.MaxAge
		}
	}
	return len(worth), fresh
}

func modelNeed(p mfa.Policy, s *scene) int {
	if p.Factors > 0 {
		return p.Factors
	}
	if len(s.acct.Factors) > 0 || p.Min >= mfa.Typed || p.Verified || p.MaxAge != 0 {
		return 1
	}
	return 0
}

func modelAllows(p mfa.Policy, s *scene, now time.Time) bool {
	n, fresh := modelProved(p, s, now)
	return n >= modelNeed(p, s) && (fresh || modelNeed(p, s) == 0)
}

// modelDecide is what DESIGN says, slowly: one question after the other.
func modelDecide(p mfa.Policy, s *scene) (mfa.Action, mfa.Reason) {
	if s.user.ID == "" {
		return mfa.Deny, mfa.ReasonNobody
	}
	if s.user.Session == "" {
		return mfa.Deny, mfa.ReasonNoLogin
	}
	if p.Waived != "" {
		return mfa.Allow, mfa.ReasonWaived
	}
	if len(s.acct.Factors) == 0 {
		if modelNeed(p, s) == 0 {
			return mfa.Allow, mfa.ReasonNotEnrolled
		}
		return mfa.Enroll, mfa.ReasonNotEnrolled
	}
	if modelAllows(p, s, s.now) {
		return mfa.Allow, mfa.ReasonProved
	}
	passOnly, stuck, possible := true, true, modelWorth{}
	for _, f := range s.acct.Factors {
		passOnly = passOnly && f.Method == mfa.MethodPass
		if f.Method == mfa.MethodPass || !modelUsable(s, f, s.now) {
			continue
		}
		stuck = false
		if f.Strength >= p.Min && (!p.Verified || f.Strength == mfa.PhishingResistant) {
			possible.add(p, f, true)
		}
	}
	if passOnly {
		return mfa.Enroll, mfa.ReasonReset
	}
	if stuck {
		return mfa.Verify, mfa.ReasonStuck
	}
	if len(possible) < modelNeed(p, s) {
		return mfa.Enroll, mfa.ReasonTooWeak
	}
	if n, _ := modelProved(p, s, s.now); n >= modelNeed(p, s) {
		return mfa.Verify, mfa.ReasonStale
	}
	return mfa.Verify, mfa.ReasonUnproved
}

func TestDecideAgreesWithAModel(t *testing.T) {
	check(t, 5000, func(t *rapid.T) {
		s, p := drawScene.Draw(t, "scene"), drawPolicy.Draw(t, "policy")
		before := fmt.Sprintf("%+v", s)
		d := s.decide(p)
		if action, reason := modelDecide(p, s); d.Action != action || d.Reason != reason {
			t.Fatalf("Decide of %+v by %+v = %v, %v; the model says %v, %v", s, p, d.Action, d.Reason, action, reason)
		}
		if again := s.decide(p); !reflect.DeepEqual(again, d) || fmt.Sprintf("%+v", s) != before {
			t.Fatalf("Decide is not pure: %+v, then %+v, of %s, then %+v", d, again, before, s)
		}
	})
}

// moments are all times at which something that a decision looks at may end.
func (s *scene) moments(p mfa.Policy) []time.Time {
	var list []time.Time
	for _, proof := range s.a.Proofs {
		list = append(list, proof.Until, proof.At.Add(p.MaxAge))
	}
	for _, f := range s.acct.Factors {
		list = append(list, f.Expires)
	}
	for _, b := range s.acct.Browsers {
		list = append(list, b.Until)
	}
	list = slices.DeleteFunc(list, func(at time.Time) bool { return at.IsZero() || !at.After(s.now) })
	slices.SortFunc(list, time.Time.Compare)
	return list
}

func TestAnAllowLastsUntilDueAt(t *testing.T) {
	allowed := 0
	check(t, 5000, func(t *rapid.T) {
		s, p := drawScene.Draw(t, "scene"), drawPolicy.Draw(t, "policy")
		// A proof from the future does not count, and would begin to.
		s.a.Proofs = slices.DeleteFunc(s.a.Proofs, func(proof mfa.Proof) bool { return proof.At.Sub(s.now) > time.Minute })
		d := s.decide(p)
		if d.Action != mfa.Allow || d.Reason != mfa.ReasonProved {
			if !d.DueAt.IsZero() {
				t.Fatalf("Decide = %v, %v, and due at %v", d.Action, d.Reason, d.DueAt)
			}
			return
		}
		allowed++
		var want time.Time
		for _, at := range s.moments(p) {
			if !modelAllows(p, s, at) {
				want = at
				break
			}
		}
		if !d.DueAt.Equal(want) {
			t.Fatalf("DueAt of %+v by %+v = %v, want %v", s, p, d.DueAt, want)
		}
		if want.IsZero() {
			return
		}
		if s.now = want.Add(-1); s.decide(p).Action != mfa.Allow {
			t.Fatalf("just before DueAt %+v is not allowed by %+v", s, p)
		}
		if s.now = want; s.decide(p).Action == mfa.Allow {
			t.Fatalf("at DueAt %+v is still allowed by %+v", s, p)
		}
	})
	t.Logf("%d allowed", allowed)
	if allowed < 200 {
		t.Errorf("%d of the cases were allowed: too few to tell", allowed)
	}
}
