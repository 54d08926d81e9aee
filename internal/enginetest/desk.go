package enginetest

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"sallyport/mfa"
)

// Desk is an engine with its clock, and words for what users do. Its methods fail the test where a story cannot go on.
type Desk struct {
	testing.TB
	*mfa.Engine
	Clock *Clock
	Store mfa.Store
	Ring  *mfa.Ring
}

// New makes a desk with authenticator apps and recovery codes on a store. Each change may turn its configuration.
func New(t testing.TB, store mfa.Store, changes ...func(*mfa.EngineConfig)) *Desk {
	t.Helper()
	return newDesk(t, store, NewRing(t), NewClock(), changes...)
}

// Beside makes another engine of the same site, as another process has one, on the same store or another view of it.
func (d *Desk) Beside(store mfa.Store, changes ...func(*mfa.EngineConfig)) *Desk {
	d.Helper()
	return newDesk(d.TB, store, d.Ring, d.Clock, changes...)
}

func newDesk(t testing.TB, store mfa.Store, ring *mfa.Ring, clock *Clock, changes ...func(*mfa.EngineConfig)) *Desk {
	t.Helper()
	c := mfa.EngineConfig{
		Store: store, Ring: ring, Methods: []mfa.Method{mfa.TOTP{Issuer: "Example"}, mfa.Recovery{}},
		Origin: "https://example.com", Now: clock.Now, Log: slog.New(slog.DiscardHandler),
	}
	for _, change := range changes {
		change(&c)
	}
	e, err := mfa.NewEngine(c)
	if err != nil {
		t.Fatalf("NewEngine = %v, want no error", err)
	}
	return &Desk{TB: t, Engine: e, Clock: clock, Store: store, Ring: ring}
}

// NewRing makes a ring of one key.
func NewRing(t testing.TB) *mfa.Ring {
	t.Helper()
	key, err := mfa.NewKey(time.Unix(1_700_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := mfa.NewRing(key)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// Full reports whether tests run in their large sizes.
func Full() bool { return os.Getenv("SALLYPORT_TEST_FULL") != "" }

// Size returns the small size of a test, or the large one if tests run in full.
func Size(small, large int) int {
	if Full() {
		return large
	}
	return small
}

// SignIn gives the first factor of a user in a browser that is not known.
func (d *Desk) SignIn(userID string) mfa.Visit {
	return mfa.Visit{
		User:    mfa.User{ID: userID, Session: rand.Text(), LoginAt: d.Clock.Now(), Name: userID},
		Address: "192.0.2.7", Browser: "Test/1.0",
	}
}

// SignInKnown gives the first factor in a browser that has just proved a factor of the user.
func (d *Desk) SignInKnown(userID string) mfa.Visit {
	v := d.SignIn(userID)
	v.KnownAt = d.Clock.Now()
	return v
}

// Enroll adds an authenticator app in a login, which has then proved it, and moves to the next code.
func (d *Desk) Enroll(v *mfa.Visit) App {
	d.Helper()
	b := d.BeganEnrollment(*v, mfa.MethodTOTP)
	app := NewApp(d, d.Clock, b.Prompt)
	done, err := d.FinishEnroll(d.Context(), *v, mfa.MethodTOTP, b.Ticket, []byte(app.Code()), "phone")
	if err != nil {
		d.Fatalf("FinishEnroll(totp) = %v, want no error", err)
	}
	v.Assurance = done.Assurance
	app.FactorID = done.Factor.ID
	d.Clock.Move(Step)
	return app
}

// EnrollRecovery adds recovery codes in a login that may, and returns them and the factor.
func (d *Desk) EnrollRecovery(v *mfa.Visit) ([]string, mfa.Factor) {
	d.Helper()
	b := d.BeganEnrollment(*v, mfa.MethodRecovery)
	codes := b.Prompt.(mfa.RecoveryPrompt).Codes
	done, err := d.FinishEnroll(d.Context(), *v, mfa.MethodRecovery, b.Ticket, []byte(codes[0]), "")
	if err != nil {
		d.Fatalf("FinishEnroll(recovery) = %v, want no error", err)
	}
	v.Assurance = done.Assurance
	return codes, done.Factor
}

// BeganEnrollment begins an enrollment, which must work.
func (d *Desk) BeganEnrollment(v mfa.Visit, method string) mfa.Begun {
	d.Helper()
	b, err := d.BeginEnroll(d.Context(), v, method)
	if err != nil {
		d.Fatalf("BeginEnroll(%s) = %v, want no error", method, err)
	}
	return b
}

// Began begins a proof, which must work.
func (d *Desk) Began(v mfa.Visit, method string) mfa.Begun {
	d.Helper()
	b, err := d.BeginVerify(d.Context(), v, method, "")
	if err != nil {
		d.Fatalf("BeginVerify(%s) = %v, want no error", method, err)
	}
	return b
}

// Try begins a proof and answers.
func (d *Desk) Try(v mfa.Visit, method, answer string) (mfa.Done, error) {
	b, err := d.BeginVerify(d.Context(), v, method, "")
	if err != nil {
		return mfa.Done{}, err
	}
	return d.FinishVerify(d.Context(), v, method, b.Ticket, []byte(answer))
}

// Prove proves a factor, which must work, and keeps the proof in the login.
func (d *Desk) Prove(v *mfa.Visit, method, answer string) mfa.Done {
	d.Helper()
	done, err := d.Try(*v, method, answer)
	if err != nil {
		d.Fatalf("proving by %s = %v, want no error", method, err)
	}
	v.Assurance = done.Assurance
	return done
}

// ProveApp proves an app of a user who may have several.
func (d *Desk) ProveApp(v *mfa.Visit, app App) mfa.Done {
	d.Helper()
	b, err := d.BeginVerify(d.Context(), *v, mfa.MethodTOTP, app.FactorID)
	if err != nil {
		d.Fatalf("BeginVerify(%s) = %v, want no error", app.FactorID, err)
	}
	done, err := d.FinishVerify(d.Context(), *v, mfa.MethodTOTP, b.Ticket, []byte(app.Code()))
	if err != nil {
		d.Fatalf("FinishVerify(%s) = %v, want no error", app.FactorID, err)
	}
	v.Assurance = done.Assurance
	return done
}

// Action is what a policy asks of a login.
func (d *Desk) Action(p mfa.Policy, v mfa.Visit) mfa.Action {
	d.Helper()
	decision, err := d.Decide(d.Context(), p, v)
	if err != nil {
		d.Fatalf("Decide = %v, want no error", err)
	}
	return decision.Action
}

// Kept returns the account as it is stored.
func (d *Desk) Kept(userID string) *mfa.Account {
	d.Helper()
	acct, err := d.Account(context.WithoutCancel(d.Context()), userID)
	if err != nil {
		d.Fatalf("Account = %v, want no error", err)
	}
	return acct
}

// Events returns all events of a user.
func (d *Desk) Events(userID string) []mfa.Event {
	d.Helper()
	list, err := d.Store.(mfa.EventReader).Events(context.WithoutCancel(d.Context()), userID, mfa.Event{}, 1<<20)
	if err != nil {
		d.Fatalf("Events = %v, want no error", err)
	}
	return list
}

// Count returns how many events of one of the kinds a user has.
func (d *Desk) Count(userID string, kinds ...mfa.Kind) int {
	d.Helper()
	n := 0
	for _, ev := range d.Events(userID) {
		for _, k := range kinds {
			if ev.Kind == k {
				n++
			}
		}
	}
	return n
}

// Why returns the reason of a refusal; "" for any other error and for none.
func Why(err error) mfa.Why {
	if r := (*mfa.Refusal)(nil); errors.As(err, &r) {
		return r.Why
	}
	return ""
}

// Refused demands a refusal for one reason and returns it.
func Refused(t testing.TB, what string, err error, want mfa.Why) *mfa.Refusal {
	t.Helper()
	r := (*mfa.Refusal)(nil)
	if !errors.As(err, &r) || r.Why != want {
		t.Fatalf("%s = %v, want the refusal %s", what, err, want)
	}
	return r
}
