package mfatest_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/mfa"
	"sallyport/mfatest"
)

// spoilt is method totp with something replaced.
type spoilt struct {
	mfa.TOTP
	name         string
	strength     mfa.Strength
	begin        func(mfa.Attempt) (any, []byte, error)
	finish       func(mfa.Attempt) (mfa.Outcome, error)
	finishEnroll func(mfa.Attempt) (mfa.Outcome, error)
	reprompt     func(mfa.Attempt) (any, error)
	canonical    func(mfa.Factor, []byte) ([]byte, bool)
}

func newSpoilt() *spoilt {
	var good mfa.TOTP
	return &spoilt{
		name: "totp", strength: mfa.Typed, reprompt: good.Reprompt, canonical: good.Canonical,
		begin:        func(a mfa.Attempt) (any, []byte, error) { return good.Begin(context.Background(), a) },
		finish:       func(a mfa.Attempt) (mfa.Outcome, error) { return good.Finish(context.Background(), a) },
		finishEnroll: func(a mfa.Attempt) (mfa.Outcome, error) { return good.FinishEnroll(context.Background(), a) },
	}
}

func (s *spoilt) Name() string           { return s.name }
func (s *spoilt) Strength() mfa.Strength { return s.strength }
func (s *spoilt) Begin(_ context.Context, a mfa.Attempt) (any, []byte, error) {
	return s.begin(a)
}
func (s *spoilt) Finish(_ context.Context, a mfa.Attempt) (mfa.Outcome, error) { return s.finish(a) }
func (s *spoilt) FinishEnroll(_ context.Context, a mfa.Attempt) (mfa.Outcome, error) {
	return s.finishEnroll(a)
}
func (s *spoilt) Reprompt(a mfa.Attempt) (any, error) { return s.reprompt(a) }
func (s *spoilt) Canonical(f mfa.Factor, answer []byte) ([]byte, bool) {
	return s.canonical(f, answer)
}

// anApp shows the codes of a key: RFC 6238 with six digits and 30 seconds.
type anApp []byte

func (key anApp) code(now time.Time, steps int64) []byte {
	h := hmac.New(sha1.New, key)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(now.Unix()/30+steps)))
	sum := h.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[19]&15:]) & 0x7fff_ffff
	return fmt.Appendf(nil, "%06d", n%1_000_000)
}

func (key anApp) Right(_ *testing.T, _ any, now time.Time) []byte { return key.code(now, 0) }

func (key anApp) Wrong(_ *testing.T, _ any, now time.Time) [][]byte {
	return [][]byte{key.code(now, 7), key.code(now, -7)}
}

var made atomic.Uint32 // apps, each of which has a key of its own

func testSpoilt(t *testing.T, m *spoilt) {
	mfatest.TestMethod(t, mfatest.MethodTest{
		Method: m,
		Factor: func(t *testing.T, _ mfa.User, _ time.Time) (mfa.Factor, mfatest.Owner) {
			key := fmt.Appendf(nil, "the key of app %d", made.Add(1))
			f, err := mfa.TOTPSeed{Key: key}.Factor()
			if err != nil {
				t.Fatal(err)
			}
			return f, anApp(key)
		},
		Confirm: func(t *testing.T, prompt any, now time.Time) (right, wrong []byte) {
			secret := prompt.(mfa.OTPEnrollPrompt).Secret
			key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
			if err != nil {
				t.Fatal(err)
			}
			return anApp(key).code(now, 0), anApp(key).code(now, 7)
		},
		Forms: func(code []byte) [][]byte { return [][]byte{append([]byte("  "), code...)} },
	})
}

// methodFaults are what a Method may get wrong, and the test of the kit that must find it.
var methodFaults = []struct {
	name, found string
	spoil       func(s *spoilt, good mfa.TOTP)
}{
	{"nothing is spent", "answers/a_right_answer_is_good_once", func(s *spoilt, good mfa.TOTP) {
		s.finish = func(a mfa.Attempt) (mfa.Outcome, error) {
			out, err := good.Finish(context.Background(), a)
			out.Factor.State = a.Factor.State
			return out, err
		}
	}},
	{"every answer is right", "answers/a_wrong_answer_is_told", func(s *spoilt, _ mfa.TOTP) {
		s.finish = func(a mfa.Attempt) (mfa.Outcome, error) { return mfa.Outcome{Factor: a.Factor}, nil }
	}},
	{"a wrong answer is an error of another kind", "answers/a_wrong_answer_is_told", func(s *spoilt, good mfa.TOTP) {
		s.finish = func(a mfa.Attempt) (mfa.Outcome, error) {
			out, err := good.Finish(context.Background(), a)
			if errors.Is(err, mfa.ErrWrongAnswer) {
				err = errors.New("no")
			}
			return out, err
		}
	}},
	{"the real clock is read", "answers/a_right_answer_proves", func(s *spoilt, good mfa.TOTP) {
		s.finish = func(a mfa.Attempt) (mfa.Outcome, error) {
			a.Now = time.Now()
			return good.Finish(context.Background(), a)
		}
	}},
	{"another factor is proved", "answers/a_right_answer_proves", func(s *spoilt, good mfa.TOTP) {
		s.finish = func(a mfa.Attempt) (mfa.Outcome, error) {
			out, err := good.Finish(context.Background(), a)
			out.Factor.ID = "another"
			return out, err
		}
	}},
	{"the last secret seen is taken for everybody", "others/another_user's_answer", func(s *spoilt, good mfa.TOTP) {
		var states [][]byte
		s.begin = func(a mfa.Attempt) (any, []byte, error) {
			states = append(states, bytes.Clone(a.Factor.State))
			return good.Begin(context.Background(), a)
		}
		s.finish = func(a mfa.Attempt) (mfa.Outcome, error) {
			for _, state := range states {
				a.Factor.State = state
				if out, err := good.Finish(context.Background(), a); err == nil {
					return out, nil
				}
			}
			return mfa.Outcome{}, mfa.ErrWrongAnswer
		}
	}},
	{"what cannot be read proves", "garbage/a_factor_that_cannot_be_read", func(s *spoilt, good mfa.TOTP) {
		s.finish = func(a mfa.Attempt) (mfa.Outcome, error) {
			out, err := good.Finish(context.Background(), a)
			if err != nil && !errors.Is(err, mfa.ErrWrongAnswer) && !errors.Is(err, mfa.ErrSpent) {
				return mfa.Outcome{Factor: a.Factor}, nil
			}
			return out, err
		}
	}},
	{"what cannot be read panics", "garbage/a_factor_that_cannot_be_read", func(s *spoilt, good mfa.TOTP) {
		s.finish = func(a mfa.Attempt) (mfa.Outcome, error) {
			_ = a.Factor.State[10]
			return good.Finish(context.Background(), a)
		}
	}},
	{"a long answer panics", "garbage/an_answer_that_is_none", func(s *spoilt, good mfa.TOTP) {
		s.finish = func(a mfa.Attempt) (mfa.Outcome, error) {
			var space [100]byte
			_ = space[len(a.Answer)]
			return good.Finish(context.Background(), a)
		}
	}},
	{"the state is written into", "purity/what_is_passed_in_is_not_changed", func(s *spoilt, good mfa.TOTP) {
		s.finish = func(a mfa.Attempt) (mfa.Outcome, error) {
			out, err := good.Finish(context.Background(), a)
			if err == nil {
				copy(a.Factor.State, out.Factor.State)
			}
			return out, err
		}
	}},
	{"something is remembered", "purity/the_same_attempt_has_the_same_outcome", func(s *spoilt, good mfa.TOTP) {
		seen := map[string]bool{}
		s.finish = func(a mfa.Attempt) (mfa.Outcome, error) {
			if seen[string(a.Answer)] {
				return mfa.Outcome{}, mfa.ErrSpent
			}
			seen[string(a.Answer)] = true
			return good.Finish(context.Background(), a)
		}
	}},
	{"beginning ends what was begun before", "purity/beginning_changes_nothing", func(s *spoilt, good mfa.TOTP) {
		begun := byte(0)
		s.begin = func(a mfa.Attempt) (any, []byte, error) {
			begun++
			prompt, _, err := good.Begin(context.Background(), a)
			return prompt, []byte{begun}, err
		}
		s.finish = func(a mfa.Attempt) (mfa.Outcome, error) {
			if len(a.State) != 1 || a.State[0] != begun {
				return mfa.Outcome{}, mfa.ErrWrongAnswer
			}
			return good.Finish(context.Background(), a)
		}
	}},
	{"the canonical form is not one", "abilities/the_canonical_form_is_one", func(s *spoilt, good mfa.TOTP) {
		s.canonical = func(_ mfa.Factor, answer []byte) ([]byte, bool) { return append([]byte(" "), answer...), true }
		s.finish = func(a mfa.Attempt) (mfa.Outcome, error) {
			a.Answer = bytes.TrimSpace(a.Answer)
			return good.Finish(context.Background(), a)
		}
	}},
	{"a form is refused", "abilities/the_canonical_form_is_one", func(s *spoilt, _ mfa.TOTP) {
		s.canonical = func(_ mfa.Factor, answer []byte) ([]byte, bool) { return answer, len(answer) == 6 }
	}},
	{"the name is no word", "abilities/the_name_is_good_for_a_URL", func(s *spoilt, _ mfa.TOTP) { s.name = "my codes" }},
	{"the strength is less than its factors'", "abilities/the_strength_is_one", func(s *spoilt, _ mfa.TOTP) {
		s.strength = mfa.Sent
	}},
	{"a wrong confirmation makes a factor", "enrollment/a_wrong_answer_makes_none", func(s *spoilt, _ mfa.TOTP) {
		s.finishEnroll = func(a mfa.Attempt) (mfa.Outcome, error) {
			return mfa.Outcome{Factor: mfa.Factor{Strength: mfa.Typed, State: a.State}}, nil
		}
	}},
	{"a wrong confirmation leaves a factor behind", "enrollment/a_wrong_answer_makes_none", func(s *spoilt, good mfa.TOTP) {
		s.finishEnroll = func(a mfa.Attempt) (mfa.Outcome, error) {
			out, err := good.FinishEnroll(context.Background(), a)
			out.Factor.State = a.State
			return out, err
		}
	}},
	{"a bad enrollment panics", "enrollment/an_enrollment_that_cannot_be_read", func(s *spoilt, good mfa.TOTP) {
		s.finishEnroll = func(a mfa.Attempt) (mfa.Outcome, error) {
			_ = a.State[3]
			return good.FinishEnroll(context.Background(), a)
		}
	}},
	{"the second prompt is another one", "enrollment/the_prompt_is_JSON", func(s *spoilt, good mfa.TOTP) {
		s.reprompt = func(a mfa.Attempt) (any, error) {
			prompt, _, err := good.BeginEnroll(context.Background(), a)
			return prompt, err
		}
	}},
}

const methodFaultVariable = "SALLYPORT_TEST_METHOD_FAULT"

// TestMethodKitFindsFaults runs the kit on each spoilt method, in a process of its own, since it must fail.
func TestMethodKitFindsFaults(t *testing.T) {
	if name := os.Getenv(methodFaultVariable); name != "" {
		s := newSpoilt()
		for _, fault := range methodFaults {
			if fault.name == name {
				fault.spoil(s, mfa.TOTP{})
			}
		}
		testSpoilt(t, s)
		return
	}
	for _, fault := range methodFaults {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			group, _, _ := strings.Cut(fault.found, "/")
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMethodKitFindsFaults$/^"+group+"$", "-test.v")
			child.Env = append(os.Environ(), methodFaultVariable+"="+fault.name)
			out, err := child.CombinedOutput()
			if err == nil {
				t.Fatal("the kit accepts a method with this fault")
			}
			want := []byte("--- FAIL: TestMethodKitFindsFaults/" + fault.found)
			if !bytes.Contains(out, want) {
				t.Errorf("the kit failed without %s:\n%.2000s", want, out)
			}
		})
	}
}

func TestTheKitAcceptsAGoodMethod(t *testing.T) { testSpoilt(t, newSpoilt()) }
