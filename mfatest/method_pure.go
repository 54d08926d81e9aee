package mfatest

import (
	"bytes"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"sallyport/mfa"
)

// A Method has no store, no clock and no memory of its own.
var purityTests = []methodTest{
	{"what is passed in is not changed", func(t *testing.T, c *ceremony) {
		prompt, a := c.begin(t)
		attempts := map[string]mfa.Attempt{}
		for i, wrong := range c.owner.Wrong(t, prompt, c.now) {
			wrongly := copied(a)
			wrongly.Answer = c.canonical(t, wrong)
			attempts[fmt.Sprint("wrong answer ", i+1)] = wrongly
		}
		a.Answer = c.canonical(t, c.owner.Right(t, prompt, c.now))
		attempts["the right answer"] = a
		for what, a := range attempts {
			before := copied(a)
			c.Method.Finish(t.Context(), a)
			if !reflect.DeepEqual(a, before) {
				t.Errorf("%s: Finish changed the attempt to %+v, want %+v", what, a, before)
			}
		}
		before := copied(a)
		c.Method.Begin(t.Context(), a)
		if !reflect.DeepEqual(a, before) {
			t.Errorf("Begin changed the attempt to %+v, want %+v", a, before)
		}
	}},
	{"the same attempt has the same outcome", func(t *testing.T, c *ceremony) {
		a := c.answered(t)
		first := c.proves(t, "a right answer", copied(a))
		for range 3 {
			if out, err := c.Method.Finish(t.Context(), copied(a)); err != nil || !reflect.DeepEqual(out, first) {
				t.Errorf("the same attempt again: Finish = %+v, %v; want %+v", out, err, first)
			}
		}
	}},
	{"what comes out shares no memory with what goes in", func(t *testing.T, c *ceremony) {
		a := c.answered(t)
		out, err := c.Method.Finish(t.Context(), a)
		if err != nil {
			t.Fatalf("Finish = %v, want no error", err)
		}
		kept := bytes.Clone(out.Factor.State)
		changed := !bytes.Equal(kept, c.f.State)
		for _, b := range [][]byte{a.Factor.State, a.Own[0].State, a.State, a.Answer} {
			clear(b)
		}
		if changed && !bytes.Equal(out.Factor.State, kept) {
			t.Error("the new state of the factor lies in the memory of what was passed in")
		}
	}},
	{"beginning changes nothing", func(t *testing.T, c *ceremony) {
		first, second, third := c.answered(t), c.answered(t), c.answered(t)
		for what, a := range map[string]mfa.Attempt{"first": first, "second": second, "third": third} {
			if _, err := c.Method.Finish(t.Context(), a); err != nil {
				t.Errorf("the %s of three ceremonies: Finish = %v, want no error", what, err)
			}
		}
	}},
	{"the zone of the clock does not matter", func(t *testing.T, c *ceremony) {
		a := c.answered(t)
		here, err := c.Method.Finish(t.Context(), copied(a))
		a.Now = a.Now.In(time.FixedZone("elsewhere", 5*3600+45*60))
		there, err2 := c.Method.Finish(t.Context(), copied(a))
		if err != nil || err2 != nil || !bytes.Equal(here.Factor.State, there.Factor.State) {
			t.Errorf("Finish = %v, %v in two zones; want no error and the same state", err, err2)
		}
	}},
	{"many at once", func(t *testing.T, c *ceremony) {
		var attempts []mfa.Attempt
		for range 4 {
			attempts = append(attempts, c.answered(t))
		}
		var wg sync.WaitGroup
		for i := range racers {
			wg.Go(func() {
				a := attempts[i%len(attempts)]
				if _, err := c.Method.Finish(t.Context(), a); err != nil {
					t.Errorf("one of many: Finish = %v, want no error", err)
				}
				a.Answer, a.State = nil, nil
				if _, _, err := c.Method.Begin(t.Context(), a); err != nil {
					t.Errorf("one of many: Begin = %v, want no error", err)
				}
			})
		}
		wg.Wait()
	}},
}
