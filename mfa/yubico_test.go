package mfa_test

import (
	"context"
	"crypto/aes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

// touchKey is a token that types an OTP at a touch, written down a second time: the block is put together field by
// field and its CRC is computed by long division.
type touchKey struct {
	id            string // modhex
	secret        mfa.YubicoSecret
	uses, touches int
}

func newTouchKey(n byte) *touchKey {
	k := &touchKey{id: "cccccc" + modhexOf([]byte{n, n, n}), uses: 1}
	copy(k.secret.Private[:], newApp(n).Key)
	copy(k.secret.Key[:], newApp(n+100).Key)
	return k
}

func modhexOf(b []byte) string {
	return strings.NewReplacer("0", "c", "1", "b", "2", "d", "3", "e", "4", "f", "5", "g", "6", "h", "7", "i",
		"8", "j", "9", "k", "a", "l", "b", "n", "c", "r", "d", "t", "e", "u", "f", "v").Replace(fmt.Sprintf("%x", b))
}

// block is what is encrypted, with its own CRC or another one.
func (k *touchKey) block(spoil ...byte) string {
	plain := append([]byte{}, k.secret.Private[:]...)
	plain = append(plain, byte(k.uses), byte(k.uses>>8), 0x11, 0x22, 0x33, byte(k.touches), 0x44, 0x55)
	crc := ^divide(plain)
	plain = append(plain, byte(crc), byte(crc>>8))
	for i, b := range spoil {
		plain[i] ^= b
	}
	c, err := aes.NewCipher(k.secret.Key[:])
	if err != nil {
		panic(err)
	}
	c.Encrypt(plain, plain)
	return modhexOf(plain)
}

// divide is the CRC-16 with the polynomial x^16+x^12+x^5+1, least bit first, one bit of the text after the other.
func divide(text []byte) uint16 {
	rest := uint32(0xffff)
	for bit := range 8 * len(text) {
		in := uint32(text[bit/8]>>(bit%8)) & 1
		out := rest&1 ^ in
		rest >>= 1
		if out == 1 {
			rest ^= 1<<15 | 1<<10 | 1<<3
		}
	}
	return uint16(rest)
}

// touch types the next OTP.
func (k *touchKey) touch() string {
	k.touches++
	return k.id + k.block()
}

func (k *touchKey) known(id string) (mfa.YubicoSecret, bool) { return k.secret, id == k.id }

// A block with its OTP from the specification: private id 8792ebfe26cc, key ecde18dbe76fbd0c33330f1c354871db.
func TestATokenOfTheSpecificationIsJudged(t *testing.T) {
	const otp = "dteffujehknhfjbrjnlnldnhcujvddbikngjrtgh"
	s := mfa.YubicoSecret{
		Private: [6]byte{0x87, 0x92, 0xeb, 0xfe, 0x26, 0xcc},
		Key: [16]byte{
			0xec, 0xde, 0x18, 0xdb, 0xe7, 0x6f, 0xbd, 0x0c, 0x33, 0x33, 0x0f, 0x1c, 0x35, 0x48, 0x71, 0xdb,
		},
	}
	for counter, want := range map[uint32]error{0: nil, 19<<8 | 16: nil, 19<<8 | 17: mfa.ErrSpent, 20 << 8: mfa.ErrSpent} {
		f, err := mfa.YubicoFactor(otp[:8], &s, counter)
		if err != nil {
			t.Fatal(err)
		}
		f.ID = "f1"
		if _, err := (mfa.Yubico{}).Finish(t.Context(), mfa.Attempt{Factor: f, Answer: []byte(otp)}); err != want {
			t.Errorf("after the counter %d the OTP = %v, want %v", counter, err, want)
		}
	}
}

// typeYubico types an OTP into a factor, as the Engine does, and returns the factor that comes of it.
func typeYubico(f mfa.Factor, otp string) (mfa.Factor, error) {
	code, ok := mfa.Yubico{}.Canonical(f, []byte(otp))
	if !ok {
		return f, errNoCode
	}
	out, err := mfa.Yubico{}.Finish(context.Background(), mfa.Attempt{Factor: f, Answer: code})
	if err != nil {
		return f, err
	}
	return out.Factor, nil
}

func (k *touchKey) factor(t testing.TB) mfa.Factor {
	t.Helper()
	f, err := mfa.YubicoFactor(k.id, &k.secret, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.ID = "f1"
	return f
}

func TestATokenIsJudgedByItsSecret(t *testing.T) {
	k, other := newTouchKey(1), newTouchKey(2)
	at := func(uses, touches int, spoil ...byte) string {
		k.uses, k.touches = uses, touches
		return k.id + k.block(spoil...)
	}
	f, twin := k.factor(t), *k
	twin.secret.Private[0] ^= 1 // under the same key
	twin.uses = 200
	for _, c := range []struct {
		name string
		otp  string
		want error
	}{
		{"a touch", at(5, 0), nil},
		{"the same again", at(5, 0), mfa.ErrSpent},
		{"some touches later", at(5, 7), nil},
		{"an earlier touch", at(5, 6), mfa.ErrSpent},
		{"in capital letters, with a line end", strings.ToUpper(at(5, 8)) + "\n", nil},
		{"after it was plugged in again", at(6, 0), nil},
		{"an earlier use with more touches", at(5, 255), mfa.ErrSpent},
		{"a later use that Caps Lock has triggered", at(0x8000|6, 1), nil},
		{"the same use without Caps Lock", at(6, 2), nil},
		{"with a wrong CRC", at(7, 0, []byte{14: 1}...), mfa.ErrWrongAnswer},
		{"with a field changed under its CRC", at(7, 0, []byte{9: 1}...), mfa.ErrWrongAnswer},
		{"with another private id", twin.id + twin.block(), mfa.ErrWrongAnswer},
		{"of another token", other.touch(), mfa.ErrWrongAnswer},
		{"of another token under this id", k.id + other.block(), mfa.ErrWrongAnswer},
		{"of this token under another id", other.id + at(7, 0)[len(k.id):], mfa.ErrWrongAnswer},
		{"without its block", k.id, errNoCode},
		{"without its id", at(7, 0)[len(k.id):], errNoCode},
		{"with a letter that is not of modhex", "a" + at(7, 0)[1:], errNoCode},
		{"with an odd number of letters", at(7, 0)[1:], errNoCode},
		{"with an id that is too long", "cccccccccc" + at(7, 0), errNoCode},
		{"the next use after all that", at(7, 0), nil},
	} {
		next, err := typeYubico(f, c.otp)
		if f = next; err != c.want {
			t.Errorf("an OTP %s = %v, want %v", c.name, err, c.want)
		}
	}
}

func TestAPublicIDThatCannotBeMakesNoFactor(t *testing.T) {
	for _, id := range []string{"", "c", "ccc", "abcd", "CCCC", strings.Repeat("c", 18), "cc cc"} {
		if f, err := mfa.YubicoFactor(id, nil, 0); err == nil {
			t.Errorf("YubicoFactor(%q) = %+v, want an error", id, f)
		}
	}
	if (mfa.Yubico{}).Check() == nil {
		t.Error("Check of a method that can judge no token = nil, want an error")
	}
}

// enrollKey enrolls a token with its first OTP.
func enrollKey(d *enginetest.Desk, v *mfa.Visit, otp string) (mfa.Factor, error) {
	d.Helper()
	b := d.BeganEnrollment(*v, mfa.MethodYubico)
	done, err := d.FinishEnroll(context.WithoutCancel(d.Context()), *v, mfa.MethodYubico, b.Ticket, []byte(otp), "")
	if err == nil {
		v.Assurance = done.Assurance
	}
	return done.Factor, err
}

func TestATokenIsOneUsersAndItsOTPsAreGoodOnce(t *testing.T) {
	k, stranger := newTouchKey(1), newTouchKey(2)
	d := enginetest.New(t, mfa.NewMemory(), with(mfa.Yubico{Secret: k.known}))
	alice := d.SignIn("alice")
	if _, err := enrollKey(d, &alice, stranger.touch()); enginetest.Why(err) != mfa.WhyWrongAnswer {
		t.Fatalf("a token that nobody knows = %v, want the refusal %s", err, mfa.WhyWrongAnswer)
	}
	first := k.touch()
	if _, err := enrollKey(d, &alice, first); err != nil {
		t.Fatal(err)
	}
	alice = d.SignIn("alice")
	if _, err := d.Try(alice, mfa.MethodYubico, first); enginetest.Why(err) != mfa.WhyWrongAnswer {
		t.Errorf("the OTP of the enrollment = %v, want the refusal %s", err, mfa.WhyWrongAnswer)
	}
	otp := k.touch()
	d.Prove(&alice, mfa.MethodYubico, otp)
	again := d.SignIn("alice")
	if _, err := d.Try(again, mfa.MethodYubico, otp); enginetest.Why(err) != mfa.WhyWrongAnswer {
		t.Errorf("an OTP in another browser = %v, want the refusal %s", err, mfa.WhyWrongAnswer)
	}
	if n := d.Kept("alice").Lanes[mfa.UnknownLane].Row; n != 0 {
		t.Errorf("an OTP that was used before was charged: %d in a row", n)
	}
	bob := d.SignIn("bob")
	if _, err := enrollKey(d, &bob, k.touch()); enginetest.Why(err) != mfa.WhyTaken {
		t.Errorf("bob enrolls alice's token = %v, want the refusal %s", err, mfa.WhyTaken)
	}
	if _, err := enrollKey(d, &alice, k.touch()); enginetest.Why(err) != mfa.WhyTaken {
		t.Errorf("alice enrolls her token twice = %v, want the refusal %s", err, mfa.WhyTaken)
	}
}

// servers are validation servers that say what a test wants, and count how often they are asked.
type servers struct {
	asked atomic.Int64
	say   func(otp string) (uint32, error)
}

func (s *servers) validate(_ context.Context, otp string) (uint32, error) {
	s.asked.Add(1)
	return s.say(otp)
}

// askedFor demands how often the servers are asked in a story.
func (s *servers) askedFor(t *testing.T, what string, want int64, story func()) {
	t.Helper()
	before := s.asked.Load()
	story()
	if n := s.asked.Load() - before; n != want {
		t.Errorf("%s: the servers were asked %d times, want %d", what, n, want)
	}
}

// remote is a desk at which alice has a token that servers judge.
func remote(t *testing.T, store mfa.Store) (*enginetest.Desk, *servers, *touchKey) {
	t.Helper()
	s, k := &servers{}, newTouchKey(1)
	s.say = func(string) (uint32, error) { return uint32(k.uses<<8 | k.touches), nil }
	d := enginetest.New(t, store, with(mfa.Yubico{Validate: s.validate}))
	alice := d.SignIn("alice")
	s.askedFor(t, "an enrollment", 1, func() {
		if _, err := enrollKey(d, &alice, k.touch()); err != nil {
			t.Fatal(err)
		}
	})
	return d, s, k
}

func TestServersAreAskedOnceAnAnswerAndTheirVerdictHolds(t *testing.T) {
	d, s, k := remote(t, mfa.NewMemory())
	for _, c := range []struct {
		name    string
		counter uint32
		err     error
		why     mfa.Why
		charged int
	}{
		{"yes", 1<<8 | 9, nil, "", 0},
		{"yes, with a counter that was used", 1<<8 | 9, nil, mfa.WhyWrongAnswer, 0},
		{"no", 0, mfa.ErrWrongAnswer, mfa.WhyWrongAnswer, 1},
		{"used before", 0, fmt.Errorf("replayed: %w", mfa.ErrSpent), mfa.WhyWrongAnswer, 1},
		{"yes, later", 1<<8 | 10, nil, "", 0},
	} {
		s.say = func(string) (uint32, error) { return c.counter, c.err }
		v := d.SignIn("alice")
		s.askedFor(t, c.name, 1, func() {
			if _, err := d.Try(v, mfa.MethodYubico, k.touch()); enginetest.Why(err) != c.why || (err == nil) != (c.why == "") {
				t.Errorf("servers that say %s: %v, want the refusal %q", c.name, err, c.why)
			}
		})
		if n := d.Kept("alice").Lanes[mfa.UnknownLane].Row; n != c.charged {
			t.Errorf("servers that say %s: %d wrong in a row, want %d", c.name, n, c.charged)
		}
	}
}

func TestServersThatCannotBeAskedProveNothingAndChargeNothing(t *testing.T) {
	d, s, k := remote(t, mfa.NewMemory())
	s.say = func(string) (uint32, error) { return 1 << 20, errAway }
	v := d.SignIn("alice")
	b := d.Began(v, mfa.MethodYubico)
	if _, err := d.FinishVerify(t.Context(), v, mfa.MethodYubico, b.Ticket, []byte(k.touch())); !errors.Is(err, errAway) {
		t.Errorf("servers that are away: %v, want their error", err)
	}
	if got := d.Action(mfa.Policy{}, v); got != mfa.Verify {
		t.Errorf("after servers that are away Decide = %v, want %v", got, mfa.Verify)
	}
	if n := d.Count("alice", mfa.WrongAnswer, mfa.Proved); n != 0 {
		t.Errorf("servers that are away left %d judgments", n)
	}
	s.say = func(string) (uint32, error) { return 1 << 20, nil }
	if _, err := d.FinishVerify(t.Context(), v, mfa.MethodYubico, b.Ticket, []byte(k.touch())); err != nil {
		t.Errorf("the same ticket once they are back = %v, want no error", err)
	}
}

func TestServersAreNotAskedAboutWhatIsRefusedAnyway(t *testing.T) {
	d, s, k := remote(t, mfa.NewMemory())
	v := d.SignIn("alice")
	b := d.Began(v, mfa.MethodYubico)
	finish := func(v mfa.Visit, ticket, otp string) func() {
		return func() {
			if _, err := d.FinishVerify(t.Context(), v, mfa.MethodYubico, ticket, []byte(otp)); err == nil {
				t.Error("an answer that is to be refused proves something")
			}
		}
	}
	s.askedFor(t, "what cannot be an OTP", 0, finish(v, b.Ticket, "123456"))
	s.askedFor(t, "an OTP of another token", 0, finish(v, b.Ticket, newTouchKey(2).touch()))
	s.askedFor(t, "a ticket that was answered", 0, finish(v, b.Ticket, k.touch()))
	b = d.Began(v, mfa.MethodYubico)
	s.askedFor(t, "a ticket of another login", 0, finish(d.SignIn("alice"), b.Ticket, k.touch()))
	b = d.Began(v, mfa.MethodYubico)
	turn(d, "alice", func(acct *mfa.Account) { acct.Lanes[mfa.UnknownLane].Wait = d.Clock.Now().Add(enginetest.Step) })
	s.askedFor(t, "an exhausted budget", 0, finish(v, b.Ticket, k.touch()))
	d.Clock.Move(enginetest.Step)
	turn(d, "alice", func(acct *mfa.Account) { acct.Factors[0].Off = mfa.Paused })
	s.askedFor(t, "a paused factor", 0, finish(v, b.Ticket, k.touch()))
	turn(d, "alice", func(acct *mfa.Account) { acct.Factors[0].Off = 0 })
	s.askedFor(t, "the control", 1, func() {
		if _, err := d.FinishVerify(t.Context(), v, mfa.MethodYubico, b.Ticket, []byte(k.touch())); err != nil {
			t.Errorf("the control = %v, want no error", err)
		}
	})
}

func TestServersAreNotAskedAboutAnEnrollmentThatIsRefusedAnyway(t *testing.T) {
	d, s, k := remote(t, mfa.NewMemory())
	bob := d.SignIn("bob")
	b := d.BeganEnrollment(bob, mfa.MethodYubico)
	finish := func() {
		if _, err := d.FinishEnroll(t.Context(), bob, mfa.MethodYubico, b.Ticket, []byte(k.touch()), ""); err == nil {
			t.Error("an enrollment that is to be refused makes a factor")
		}
	}
	turn(d, "bob", func(acct *mfa.Account) {
		for i := range mfa.MaxAnswered {
			acct.Answered = append(acct.Answered, mfa.Answered{
				Ticket: mfa.TicketID{byte(i), 1}, Lane: mfa.UnknownLane, Until: d.Clock.Now().Add(mfa.TicketLife),
			})
		}
	})
	s.askedFor(t, "an account that can remember no further answer", 0, finish)
	turn(d, "bob", func(acct *mfa.Account) { acct.Answered = nil })
	d.Clock.Move(mfa.FreshLogin + 1)
	b = mfa.Begun{Ticket: b.Ticket}
	s.askedFor(t, "a login that is too old", 0, finish)
}

// rival is a store in which somebody else changes the account before each of the next saves.
type rival struct {
	*mfa.Memory
	left  atomic.Int64
	other func()
}

func (r *rival) Save(ctx context.Context, rec mfa.Record, events []mfa.Event) error {
	if r.left.Add(-1) >= 0 {
		r.other()
	}
	return r.Memory.Save(ctx, rec, events)
}

func TestServersAreAskedOnceHoweverOftenTheAccountChangesMeanwhile(t *testing.T) {
	memory := mfa.NewMemory()
	store := &rival{Memory: memory}
	d, s, k := remote(t, store)
	other := d.Beside(memory)
	store.other = func() { turn(other, "alice", func(acct *mfa.Account) { acct.Preferences.Language += "x" }) }
	v := d.SignIn("alice")
	b := d.Began(v, mfa.MethodYubico)
	store.left.Store(4)
	s.askedFor(t, "four conflicts", 1, func() {
		if _, err := d.FinishVerify(t.Context(), v, mfa.MethodYubico, b.Ticket, []byte(k.touch())); err != nil {
			t.Errorf("after four conflicts = %v, want no error", err)
		}
	})
	if got := d.Kept("alice").Preferences.Language; got != "xxxx" {
		t.Errorf("the others have changed %q, want four changes", got)
	}
}

func TestAVerdictIsAboutOneOTPOnly(t *testing.T) {
	k := newTouchKey(1)
	s := &servers{say: func(string) (uint32, error) { return 1 << 10, nil }}
	m := mfa.Yubico{Validate: s.validate}
	f, err := mfa.YubicoFactor(k.id, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.ID = "f1"
	a := mfa.Attempt{Factor: f, Answer: []byte(k.touch())}
	if a.State, err = m.Ask(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Finish(t.Context(), a); err != nil {
		t.Fatalf("the OTP that was asked about = %v, want no error", err)
	}
	a.Answer = []byte(k.touch())
	if _, err := m.Finish(t.Context(), a); err != mfa.ErrWrongAnswer {
		t.Errorf("another OTP with that verdict = %v, want ErrWrongAnswer", err)
	}
	a.State = nil
	if _, err := m.Finish(t.Context(), a); err != mfa.ErrWrongAnswer {
		t.Errorf("an OTP without a verdict = %v, want ErrWrongAnswer", err)
	}
}
