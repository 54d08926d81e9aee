package mfa_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

// line is a courier that reaches phones, of which five digits make a range.
type line struct{ name string }

func (l line) Name() string                                 { return l.name }
func (line) Address(u mfa.User) string                      { return u.Phone }
func (line) Canonical(typed string) (string, bool)          { return typed, strings.HasPrefix(typed, "+") }
func (line) Mask(address string) string                     { return "••• " + address[len(address)-2:] }
func (line) Carry(ctx context.Context, _ mfa.Message) error { return ctx.Err() }
func (line) Group(address string) string                    { return address[:6] }

// letterbox is a courier that reaches e-mail addresses and costs nothing.
type letterbox struct{}

func (letterbox) Name() string                                   { return "email" }
func (letterbox) Address(u mfa.User) string                      { return u.Email }
func (letterbox) Canonical(typed string) (string, bool)          { return typed, strings.Contains(typed, "@") }
func (letterbox) Mask(string) string                             { return "•••" }
func (letterbox) Carry(ctx context.Context, _ mfa.Message) error { return ctx.Err() }

// pump is a site whose codes somebody has sent to numbers that pay them.
type pump struct {
	*enginetest.Desk
	log   *bytes.Buffer
	mu    *sync.Mutex
	users *atomic.Int64
}

func newPump(t *testing.T, m mfa.SentCodes, changes ...func(*mfa.EngineConfig)) pump {
	t.Helper()
	p := pump{log: &bytes.Buffer{}, mu: &sync.Mutex{}, users: &atomic.Int64{}}
	if m.Couriers == nil {
		m.Couriers = []mfa.Courier{line{"sms"}}
	}
	configure := func(c *mfa.EngineConfig) {
		c.Methods = append(c.Methods, m)
		c.Log = slog.New(slog.NewTextHandler(p.log, nil))
	}
	p.Desk = enginetest.New(t, mfa.NewMemory(), append([]func(*mfa.EngineConfig){configure}, changes...)...)
	return p
}

// somebody signs in who has a number of their own in a range.
func (p pump) somebody(group string) mfa.Visit {
	n := p.users.Add(1)
	v := p.SignIn(fmt.Sprint("user", n))
	v.User.Phone = fmt.Sprintf("%s%06d", group, n)
	return v
}

// asks has a code sent, and reports whether it is.
func (p pump) asks(v mfa.Visit) (mfa.Begun, bool) {
	p.Helper()
	b := p.Began(v, mfa.MethodSent)
	if b.Sending == nil {
		p.Fatal("nothing is to be sent, want a code that may be held back")
	}
	return b, len(b.Sending.To) > 0
}

// proves answers with the code that was sent.
func (p pump) proves(v mfa.Visit, b mfa.Begun) {
	p.Helper()
	if _, err := p.FinishVerify(p.Context(), v, mfa.MethodSent, b.Ticket, []byte(b.Sending.Code)); err != nil {
		p.Errorf("the code that was sent = %v, want no error", err)
	}
}

// sends has so many codes sent to a range, the first of which are proved, and demands that all go out.
func (p pump) sends(group string, n, proved int) {
	p.Helper()
	for i := range n {
		v := p.somebody(group)
		b, sent := p.asks(v)
		if !sent {
			p.Fatalf("code %d to %s was held back, want it sent", i+1, group)
		}
		if i < proved {
			p.proves(v, b)
		}
	}
}

// demands fails unless the next code to a range is sent, or is held back.
func (p pump) demands(what, group string, want bool) {
	p.Helper()
	if _, sent := p.asks(p.somebody(group)); sent != want {
		p.Errorf("%s a code to %s was sent: %v, want %v", what, group, sent, want)
	}
}

const (
	range1 = "+99911"
	range2 = "+99922"
)

func TestOOB5_ARangeOfNumbersGetsSoManyCodesADay(t *testing.T) {
	p := newPump(t, mfa.SentCodes{PerGroup: 30})
	p.sends(range1, 30, 30)
	p.demands("beyond the limit,", range1, false)
	p.demands("beyond the limit of another range,", range2, true)
	p.Clock.Move(11*time.Hour + 59*time.Minute) // it was noon
	p.demands("at the end of the day,", range1, false)
	p.Clock.Move(time.Minute)
	p.demands("on the next day,", range1, true)
}

func TestOOB5_ByDefaultTwoHundredCodesADayGoToARange(t *testing.T) {
	p := newPump(t, mfa.SentCodes{})
	p.sends(range1, 200, 10)
	p.demands("after 200,", range1, false)
}

func TestOOB5_ARangeWhoseCodesAreHardlyEverProvedIsStopped(t *testing.T) {
	for name, c := range map[string]struct{ proved, sent int }{
		"20 codes and no proof":       {0, 20},
		"21 codes and one proof":      {1, 21},
		"41 codes and two proofs":     {2, 41},
		"of 61 codes three are right": {3, 61},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPump(t, mfa.SentCodes{})
			p.sends(range1, c.sent, c.proved)
			p.demands("after that", range1, false)
			p.demands("after that", range2, true)
			p.Clock.Move(11 * time.Hour)
			p.demands("for the rest of the day", range1, false)
			p.Clock.Move(time.Hour)
			p.demands("on the next day", range1, true)
		})
	}
}

func TestOOB5_WrongAnswersAreNoProofs(t *testing.T) {
	p := newPump(t, mfa.SentCodes{})
	for range 20 {
		v := p.somebody(range1)
		b, _ := p.asks(v)
		wrong := []byte(b.Sending.Code)
		wrong[0] = '0' + (wrong[0]-'0'+1)%10
		_, err := p.FinishVerify(t.Context(), v, mfa.MethodSent, b.Ticket, wrong)
		enginetest.Refused(t, "a wrong code", err, mfa.WhyWrongAnswer)
	}
	p.demands("after 20 wrong answers,", range1, false)
}

// Many people of one range who sign in at once have proved nothing yet. Their answers let the others in.
func TestAnswersToCodesOnTheirWayLetARangeGoOn(t *testing.T) {
	p := newPump(t, mfa.SentCodes{})
	v := p.somebody(range1)
	b, _ := p.asks(v)
	p.sends(range1, 19, 0)
	p.demands("before the first answer,", range1, false)
	p.proves(v, b)
	p.demands("after the first answer,", range1, true)
}

func TestOOB5_CodesThatConfirmANewNumberAreCounted(t *testing.T) {
	p := newPump(t, mfa.SentCodes{})
	enroll := func(n int) (mfa.Visit, mfa.Begun) {
		v := p.SignIn(fmt.Sprint("new", n))
		b, err := p.BeginEnrollAt(t.Context(), v, mfa.MethodSent, fmt.Sprintf("%s5%05d", range1, n))
		if err != nil {
			t.Fatalf("BeginEnrollAt = %v, want no error", err)
		}
		return v, b
	}
	v, b := enroll(0)
	for n := range 20 {
		if _, b := enroll(n + 1); n < 19 && len(b.Sending.To) == 0 || n == 19 && len(b.Sending.To) > 0 {
			t.Errorf("code %d goes to %d destinations, want the 21st and no other held back", n+2, len(b.Sending.To))
		}
	}
	if _, err := p.FinishEnroll(t.Context(), v, mfa.MethodSent, b.Ticket, []byte(b.Sending.Code), ""); err != nil {
		t.Fatalf("FinishEnroll = %v, want no error", err)
	}
	p.demands("after one of 20 was proved,", range1, true)
}

func TestOOB5_AllRangesTogetherGetSoManyCodesADay(t *testing.T) {
	p := newPump(t, mfa.SentCodes{InAll: 10, Couriers: []mfa.Courier{line{"sms"}, letterbox{}}})
	for n := range 10 {
		p.sends(fmt.Sprintf("+9990%d", n), 1, 0)
	}
	p.demands("beyond the limit of all,", range1, false)
	v := p.somebody(range1)
	v.User.Email = "alice@example.net"
	b, _ := p.asks(v)
	if len(b.Sending.To) != 1 || b.Sending.To[0].Courier.Name() != "email" {
		t.Errorf("a code goes to %v, want to the mailbox alone", b.Sending.To)
	}
	p.Clock.Move(12 * time.Hour)
	p.demands("on the next day,", range1, true)
}

func TestOOB5_WhoAsksIsToldTheSameWhenNothingIsSent(t *testing.T) {
	p := newPump(t, mfa.SentCodes{PerGroup: 1})
	first, second := p.somebody(range1), p.somebody(range1)
	second.User.Phone = range1 + "9999" + first.User.Phone[len(first.User.Phone)-2:]
	a, sent := p.asks(first)
	b, held := p.asks(second)
	if !sent || held {
		t.Fatalf("the codes were sent: %v and %v, want the first alone", sent, held)
	}
	one, other := a.Prompt.(mfa.SentPrompt), b.Prompt.(mfa.SentPrompt)
	one.Factor, other.Factor = "", ""
	if !reflect.DeepEqual(one, other) || !other.Sent || len(a.Ticket) != len(b.Ticket) {
		t.Errorf("the prompts are %+v and %+v, want the same", one, other)
	}
}

func TestOOB5_AnOperatorIsToldOfARangeOnceADay(t *testing.T) {
	var told []mfa.Event
	p := newPump(t, mfa.SentCodes{PerGroup: 2}, func(c *mfa.EngineConfig) {
		c.Hook = func(_ context.Context, u mfa.User, events []mfa.Event) error {
			for _, ev := range events {
				if ev.Kind == mfa.SendsStopped {
					told = append(told, ev)
					if u.SignedIn() {
						t.Errorf("the hook got the user %v, want nobody", u)
					}
					return errors.New("not now")
				}
			}
			return nil
		}
	})
	p.sends(range1, 2, 2)
	for range 3 {
		p.demands("beyond the limit,", range1, false)
	}
	p.sends(range2, 2, 2)
	p.demands("beyond the limit,", range2, false)
	p.Clock.Move(12 * time.Hour)
	p.sends(range1, 2, 2)
	p.demands("beyond the limit,", range1, false)
	events := p.Events("")
	if len(events) != 3 || len(told) != 3 {
		t.Fatalf("%d events are kept and %d told, want 3: two of the first day and one of the second", len(events), len(told))
	}
	for _, ev := range events {
		if ev.Kind != mfa.SendsStopped || ev.UserID != "" || ev.Method != mfa.MethodSent || !p.Ring.Authentic(ev) {
			t.Errorf("the event is %+v, want an authentic one that is nobody's", ev)
		}
		if !strings.HasPrefix(ev.Reason, range1+": 2 sent") && !strings.HasPrefix(ev.Reason, range2+": 2 sent") {
			t.Errorf("the reason is %q, want the range and how many were sent", ev.Reason)
		}
	}
	if n := strings.Count(p.log.String(), "no more codes are sent there today"); n != 3 {
		t.Errorf("the log has %d lines of it, want 3:\n%s", n, p.log)
	}
	if strings.Contains(p.log.String(), range1+"0") {
		t.Errorf("the log tells a number:\n%s", p.log)
	}
}

func TestACodeByTwoCouriersCountsOnce(t *testing.T) {
	p := newPump(t, mfa.SentCodes{PerGroup: mfa.SendsAnHour, Couriers: []mfa.Courier{line{"sms"}, line{"voice"}}})
	v := p.somebody(range1)
	for n := range mfa.SendsAnHour {
		if b, _ := p.asks(v); len(b.Sending.To) != 2 {
			t.Errorf("code %d goes to %d couriers, want 2", n+1, len(b.Sending.To))
		}
		p.Clock.Move(mfa.SendAgainIn)
	}
	p.demands("beyond the limit,", range1, false)
}

// The limits of a destination hold however its address is written.
func TestOOB5_ADestinationIsOneInCapitalsToo(t *testing.T) {
	p := newPump(t, mfa.SentCodes{Couriers: []mfa.Courier{letterbox{}}})
	for n := range mfa.SendsAnHour + 1 {
		v := p.somebody(range1)
		v.User.Email = strings.Replace("abcdef@example.net", string(rune('a'+n)), string(rune('A'+n)), 1)
		if _, sent := p.asks(v); sent != (n < mfa.SendsAnHour) {
			t.Errorf("code %d was sent: %v, want the first %d alone", n+1, sent, mfa.SendsAnHour)
		}
		p.Clock.Move(mfa.SendAgainIn)
	}
}

func TestOOB5_TheLimitOfARangeHoldsOverNodes(t *testing.T) {
	m := mfa.SentCodes{PerGroup: 5, Couriers: []mfa.Courier{line{"sms"}}}
	p := newPump(t, m)
	other := p
	other.Desk = p.Beside(p.Store, with(m))
	var sent atomic.Int64
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			node := [...]pump{p, other}[i%2]
			b, err := node.BeginVerify(t.Context(), node.somebody(range1), mfa.MethodSent, "")
			if err != nil {
				t.Errorf("BeginVerify = %v, want no error", err)
				return
			}
			sent.Add(int64(len(b.Sending.To)))
		})
	}
	wg.Wait()
	if sent.Load() != 5 {
		t.Errorf("%d codes were sent, want 5", sent.Load())
	}
}

// shaky is a store that cannot save records of groups while it shakes.
type shaky struct {
	*mfa.Memory
	shakes atomic.Bool
}

func (s *shaky) Save(ctx context.Context, r mfa.Record, events []mfa.Event) error {
	if strings.HasPrefix(r.UserID, "~group:") && s.shakes.Load() {
		return errors.New("the store is shaking")
	}
	return s.Memory.Save(ctx, r, events)
}

func TestAProofThatCannotBeCountedKeepsNobodyOut(t *testing.T) {
	store := &shaky{Memory: mfa.NewMemory()}
	p := newPump(t, mfa.SentCodes{}, func(c *mfa.EngineConfig) { c.Store = store })
	v := p.somebody(range1)
	b, _ := p.asks(v)
	store.shakes.Store(true)
	p.proves(v, b)
	if _, err := p.BeginVerify(t.Context(), p.somebody(range1), mfa.MethodSent, ""); err == nil {
		t.Error("BeginVerify = nil while sends cannot be counted, want an error: no code goes out uncounted")
	}
}

func TestNegativeLimitsAreMistakes(t *testing.T) {
	for _, m := range []mfa.SentCodes{{PerGroup: -1}, {InAll: -1}} {
		m.Couriers = []mfa.Courier{letterbox{}}
		if err := m.Check(); err == nil {
			t.Errorf("Check of %d, %d = nil, want an error", m.PerGroup, m.InAll)
		}
	}
}
