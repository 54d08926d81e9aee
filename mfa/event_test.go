package mfa_test

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

// life tells a story with every kind of event in it.
func life(t *testing.T, d *enginetest.Desk) (secrets [][]byte, codes []string) {
	t.Helper()
	must := func(_ mfa.Done, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	codes, recovery := d.EnrollRecovery(&v)
	spent := app.Code()
	d.Prove(&v, mfa.MethodTOTP, spent)
	_, err := d.Try(v, mfa.MethodTOTP, spent)
	enginetest.Refused(t, "a spent code", err, mfa.WhyWrongAnswer)
	wrong := app.Wrong(1)[0]
	for range mfa.FreeTries {
		guess(d, d.SignIn("alice"), app)
	}
	d.Prove(&v, mfa.MethodRecovery, codes[3])
	second := d.Enroll(&v)
	must(d.Rename(t.Context(), v, app.FactorID, "old phone"))
	must(d.Prefer(t.Context(), v, app.FactorID))
	done, err := d.Pause(t.Context(), v, app.FactorID)
	must(done, err)
	v.Assurance = done.Assurance
	done, err = d.Resume(t.Context(), v, app.FactorID)
	must(done, err)
	v.Assurance = done.Assurance
	done, err = d.Remove(t.Context(), v, recovery.ID)
	must(done, err)
	v.Assurance = done.Assurance
	must(d.EndSessions(t.Context(), v))
	must(d.PasswordChanged(t.Context(), v))
	must(d.AddressChanged(t.Context(), v))
	if err := d.Unlock(t.Context(), "alice", "support", "her own number"); err != nil {
		t.Fatal(err)
	}
	if err := d.Erase(t.Context(), "alice", "support", "deleted"); err != nil {
		t.Fatal(err)
	}
	return [][]byte{app.Secret, second.Secret}, append(codes, wrong, spent)
}

func TestEventsAreNumberedWithoutGapsAndAuthentic(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	life(t, d)
	kinds := map[mfa.Kind]int{}
	for i, ev := range d.Events("alice") {
		kinds[ev.Kind]++
		if ev.Number != uint64(i+1) {
			t.Fatalf("event %d has number %d", i+1, ev.Number)
		}
		if !d.Ring.Authentic(ev) {
			t.Errorf("event %d (%s) is not authentic", ev.Number, ev.Kind)
		}
		actor := map[bool]string{true: "support", false: "alice"}[ev.Kind == mfa.Unlocked || ev.Kind == mfa.Erased]
		if ev.Actor != actor || ev.UserID != "alice" || ev.At.IsZero() {
			t.Errorf("event %d (%s) is of %q by %q at %v, want alice by %q",
				ev.Number, ev.Kind, ev.UserID, ev.Actor, ev.At, actor)
		}
	}
	for _, kind := range []mfa.Kind{
		mfa.FactorAdded, mfa.FactorRemoved, mfa.FactorRenamed, mfa.FactorPaused, mfa.FactorResumed, mfa.FactorPreferred,
		mfa.Proved, mfa.WrongAnswer, mfa.AnswerSpent, mfa.WrongInARow, mfa.WaitBegan, mfa.RecoveryUsed, mfa.NewBrowser,
		mfa.SessionsEnded, mfa.PasswordWasChanged, mfa.AddressWasChanged, mfa.Unlocked, mfa.Erased,
	} {
		if kinds[kind] == 0 {
			t.Errorf("nothing of the kind %s was left", kind)
		}
	}
}

// The first proof from a browser that had none is told at most once a day.
func TestANewBrowserIsToldOnceADay(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {time.Hour, 1}, {22 * time.Hour, 1}, {time.Hour, 2}, {time.Hour, 2}} {
		d.Clock.Move(c.after)
		fresh, known := d.SignIn("alice"), d.SignInKnown("alice")
		d.Prove(&fresh, mfa.MethodTOTP, app.Code())
		d.Clock.Move(enginetest.Step)
		d.Prove(&known, mfa.MethodTOTP, app.Code())
		if n := d.Count("alice", mfa.NewBrowser); n != c.want {
			t.Errorf("at %v it was told %d times, want %d", d.Clock.Now(), n, c.want)
		}
	}
}

func TestAnyChangeOfAnEventShows(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	d.Enroll(&v)
	ev := d.Events("alice")[0]
	if !d.Ring.Authentic(ev) {
		t.Fatal("the event is not authentic")
	}
	whole := reflect.TypeFor[mfa.Event]()
	for i := range whole.NumField() {
		changed := ev
		field := reflect.ValueOf(&changed).Elem().Field(i)
		switch value := field.Interface().(type) {
		case string:
			field.SetString(value + "x")
		case mfa.Kind:
			field.SetString(string(value) + "x")
		case uint64:
			field.SetUint(value + 1)
		case bool:
			field.SetBool(!value)
		case time.Time:
			field.Set(reflect.ValueOf(value.Add(time.Microsecond)))
		case []byte:
			field.Set(reflect.ValueOf(append(bytes.Clone(value[:len(value)-1]), value[len(value)-1]^1)))
		default:
			t.Fatalf("the field %s has a type that this test does not know", whole.Field(i).Name)
		}
		if d.Ring.Authentic(changed) {
			t.Errorf("another %s does not show", whole.Field(i).Name)
		}
	}
	moved := ev // the same bytes, divided otherwise between two neighbors
	moved.Address, moved.Browser = ev.Address+ev.Browser[:1], ev.Browser[1:]
	if d.Ring.Authentic(moved) {
		t.Error("a letter that moved to the next field does not show")
	}
	for name, mac := range map[string][]byte{
		"none": nil, "a length beyond its end": {200, 1}, "an unknown key": append([]byte{1, 'z'}, make([]byte, 32)...),
	} {
		changed := ev
		if changed.MAC = mac; d.Ring.Authentic(changed) {
			t.Errorf("a MAC of %s is authentic", name)
		}
	}
	if enginetest.NewRing(t).Authentic(ev) {
		t.Error("it is authentic under another ring")
	}
}

// The MAC, written down a second time: HMAC-SHA-256 under a subkey, over a version and each field behind its length.
func TestTheMACIsMadeOverTheFieldsInOrder(t *testing.T) {
	k, err := mfa.NewKey(time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := mfa.NewRing(k)
	if err != nil {
		t.Fatal(err)
	}
	d := enginetest.New(t, mfa.NewMemory(), func(c *mfa.EngineConfig) { c.Ring = ring })
	v := d.SignIn("alice")
	d.Enroll(&v)
	ev := d.Events("alice")[0]
	message := []byte{1}
	for _, s := range []string{
		ev.ID, ev.UserID, string(ev.Kind), ev.Actor, ev.FactorID, ev.Method, ev.Address, ev.Browser, ev.Reason,
	} {
		message = append(binary.AppendUvarint(message, uint64(len(s))), s...)
	}
	message = binary.AppendUvarint(message, ev.Number)
	message = binary.AppendVarint(message, ev.At.UnixMicro())
	message = binary.AppendUvarint(append(message, 0), ev.Epoch)
	subkey, err := hkdf.Key(sha256.New, k.Secret, nil, "sallyport 1 mac event", 32)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, subkey)
	mac.Write(message)
	want := mac.Sum(append([]byte{byte(len(k.ID))}, k.ID...))
	if !bytes.Equal(ev.MAC, want) {
		t.Errorf("the MAC is %x, want %x", ev.MAC, want)
	}
}

func TestAnEventStaysAuthenticWhenTheKeysAreRotated(t *testing.T) {
	old, _ := mfa.NewKey(time.Unix(0, 0))
	fresh, _ := mfa.NewKey(time.Unix(1e9, 0))
	before, err := mfa.NewRing(old)
	if err != nil {
		t.Fatal(err)
	}
	after, err := mfa.NewRing(fresh, old)
	if err != nil {
		t.Fatal(err)
	}
	d := enginetest.New(t, mfa.NewMemory(), func(c *mfa.EngineConfig) { c.Ring = before })
	v := d.SignIn("alice")
	d.Enroll(&v)
	if ev := d.Events("alice")[0]; !after.Authentic(ev) {
		t.Error("under the rotated ring the event is not authentic")
	}
}

// encodings returns every way in which bytes may have been written.
func encodings(secret []byte) []string {
	padded := base32.StdEncoding.EncodeToString(secret)
	plain := strings.TrimRight(padded, "=")
	return []string{
		string(secret), plain, strings.ToLower(plain),
		hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)),
		base64.RawStdEncoding.EncodeToString(secret), base64.RawURLEncoding.EncodeToString(secret),
	}
}

// recorder keeps everything that ever reached a store.
type recorder struct {
	*mfa.Memory
	written bytes.Buffer
}

func (r *recorder) Save(ctx context.Context, rec mfa.Record, events []mfa.Event) error {
	fmt.Fprintf(&r.written, "%s %s %q %q %+v %+v", rec.UserID, rec.Data, rec.Keys, rec.KeyID, rec.Summary, events)
	return r.Memory.Save(ctx, rec, events)
}

func TestLEAK1_NoSecretReachesAnEventOrTheStore(t *testing.T) {
	store := &recorder{Memory: mfa.NewMemory()}
	var told bytes.Buffer
	d := enginetest.New(t, store, func(c *mfa.EngineConfig) {
		c.Hook = func(_ context.Context, _ mfa.User, events []mfa.Event) error {
			fmt.Fprintf(&told, "%+v", events)
			return nil
		}
	})
	secrets, codes := life(t, d)
	var canaries []string
	for _, s := range secrets {
		canaries = append(canaries, encodings(s)...)
	}
	for _, code := range codes {
		canaries = append(canaries, code, strings.ReplaceAll(code, "-", ""))
		canaries = append(canaries, encodings([]byte(code))...)
		canaries = append(canaries, encodings([]byte(strings.ReplaceAll(code, "-", "")))...)
	}
	written, events := store.written.String(), told.String()
	if !strings.Contains(written, "alice") || !strings.Contains(events, string(mfa.Proved)) {
		t.Fatal("the search finds not even what must be there")
	}
	for _, canary := range canaries {
		// Six digits may stand in a number by chance: they are looked for in words that tell of an event.
		if len(canary) <= 6 {
			for _, ev := range d.Events("alice") {
				for _, text := range []string{ev.ID, ev.FactorID, ev.Address, ev.Browser, ev.Reason, ev.Actor} {
					if strings.Contains(text, canary) {
						t.Errorf("event %d holds the code %s", ev.Number, canary)
					}
				}
			}
			continue
		}
		if strings.Contains(written, canary) {
			t.Errorf("the store was given %q", canary)
		}
		if strings.Contains(events, canary) {
			t.Errorf("the hook was told %q", canary)
		}
	}
}

func TestAWaivedRequestLeavesOneEventForEachUserReasonAndHour(t *testing.T) {
	store := &counting{Memory: mfa.NewMemory()}
	d := enginetest.New(t, store)
	nodes := []*enginetest.Desk{d, d.Beside(store)}
	waived := func(v mfa.Visit, why string) {
		t.Helper()
		for range 3 {
			for _, node := range nodes {
				if got := node.Action(mfa.Policy{Waived: why}, v); got != mfa.Allow {
					t.Fatalf("Decide = %v, want %v", got, mfa.Allow)
				}
			}
		}
	}
	alice, bob := d.SignIn("alice"), d.SignIn("bob")
	for _, c := range []struct {
		name  string
		visit mfa.Visit
		why   string
		after time.Duration
		alice int
		bob   int
	}{
		{"the first", alice, "health check", 0, 1, 0},
		{"the same", alice, "health check", 10 * time.Minute, 1, 0},
		{"another reason", alice, "public", 0, 2, 0},
		{"another user", bob, "public", 0, 2, 1},
		{"the next hour", alice, "health check", time.Hour, 3, 1},
	} {
		d.Clock.Move(c.after)
		waived(c.visit, c.why)
		if a, b := d.Count("alice", mfa.Waived), d.Count("bob", mfa.Waived); a != c.alice || b != c.bob {
			t.Errorf("%s: alice has %d events and bob %d, want %d and %d", c.name, a, b, c.alice, c.bob)
		}
	}
	store.costs(t, "a waived request", 0, 0, func() { waived(alice, "health check") })
	for _, ev := range d.Events("alice") {
		if !d.Ring.Authentic(ev) || ev.Reason == "" || ev.Number != 0 {
			t.Errorf("the event is %+v, want an authentic one outside the account, with its reason", ev)
		}
	}
}

// Nobody passes on a waiver before it is on record: not while it is being saved, and not after the hook has refused.
func TestAWaivedRequestWaitsForItsEvent(t *testing.T) {
	store := &failing{Memory: mfa.NewMemory()}
	var stops error
	d := enginetest.New(t, store, func(c *mfa.EngineConfig) {
		c.Hook = func(context.Context, mfa.User, []mfa.Event) error { return stops }
	})
	p, v := mfa.Policy{Waived: "public"}, d.SignIn("alice")
	store.fail(1<<20, before)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			if got, err := d.Decide(t.Context(), p, v); err == nil || got.Action != mfa.Deny {
				t.Errorf("while the store is away Decide = %v, %v; want %v and an error", got.Action, err, mfa.Deny)
			}
		})
	}
	group.Wait()
	store.fail(0, before)
	stops = errors.New("the auditor says no")
	for range 2 {
		if got, err := d.Decide(t.Context(), p, v); !errors.Is(err, stops) || got.Action != mfa.Deny {
			t.Errorf("while the hook refuses Decide = %v, %v; want %v and its error", got.Action, err, mfa.Deny)
		}
	}
	stops = nil
	if got := d.Action(p, v); got != mfa.Allow {
		t.Errorf("when all is well Decide = %v, want %v", got, mfa.Allow)
	}
	if n := d.Count("alice", mfa.Waived); n != 1 {
		t.Errorf("%d events were left, want 1", n)
	}
}
