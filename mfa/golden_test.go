package mfa_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"sallyport/mfa"
)

// goldenBytes returns the bytes of version 1 that stand in testdata/v1. They are never written anew: a store holds such
// bytes, so a change of an encoding needs a new version beside it.
func goldenBytes(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "v1", strings.ReplaceAll(name, " ", "-")+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

// count numbers what a golden value holds, so that no two fields have the same value.
type count struct{ n int }

func (c *count) next() int { c.n++; return c.n }

func (c *count) time() time.Time {
	return time.UnixMicro(1_782_907_215_000_000 + int64(c.next())*1_000_001).UTC()
}

func (c *count) text(name string) string { return name + "-" + string(rune('a'+c.next()%26)) }

func (c *count) bytes() []byte { return []byte{byte(c.next()), 0, 0xff, byte(c.next())} }

func (c *count) ticketID() (id mfa.TicketID) {
	for i := range id {
		id[i] = byte(c.next())
	}
	return id
}

func (c *count) lane() mfa.Lane {
	return mfa.Lane{
		Row: c.next(), Wait: c.time(),
		Days:  []mfa.Day{{Number: 20_000, Wrong: c.next(), Forgiven: c.next()}, {Number: -1, Wrong: 300}},
		Swift: mfa.Rate{Since: c.time(), Count: c.next()}, Sends: []time.Time{c.time(), c.time()}, Forgiven: c.time(),
	}
}

func goldenAccount() *mfa.Account {
	c := &count{}
	return &mfa.Account{
		Epoch: 300, KnownSince: c.time(), NoticedAt: c.time(),
		Factors: []mfa.Factor{
			{
				ID: c.text("id"), Method: "totp", Label: c.text("Ünïcode"), Key: c.text("key"), Strength: mfa.Typed,
				State: c.bytes(), Off: mfa.Paused | mfa.StoppedByGuesses, Wrong: 200, Managed: true,
				Created: c.time(), LastUsed: c.time(), Expires: c.time(),
			},
			{ID: c.text("id"), Method: "sent", Strength: mfa.Sent},
		},
		Lanes:    [2]mfa.Lane{c.lane(), c.lane()},
		Answered: []mfa.Answered{{Ticket: c.ticketID(), Lane: mfa.UnknownLane, Until: c.time()}},
		Live: []mfa.Live{{
			FactorID: c.text("id"), Session: c.text("s"), Purpose: "verify", Hash: c.bytes(), Wrong: c.next(), Until: c.time(),
		}},
		Browsers: []mfa.Browser{{
			ID: c.text("b"), Label: c.text("Firefox"), Present: c.bytes(), Previous: c.bytes(), Secret: c.bytes(), Rotated: c.time(),
			FactorID: c.text("id"), At: c.time(), Until: c.time(), Verified: true,
		}},
		Events:      1 << 40,
		Preferences: mfa.Preferences{FactorID: c.text("id"), Language: "pt-BR", Muted: []string{"sms", ""}},
		Frees:       mfa.Day{Number: 20_001, Wrong: 2},
	}
}

func goldenAssurance() mfa.Assurance {
	c := &count{}
	return mfa.Assurance{UserID: "alice", Session: "s1", Epoch: 300, Proofs: []mfa.Proof{
		{FactorID: c.text("id"), At: c.time(), Until: c.time(), Verified: true, Device: c.text("b")},
		{FactorID: "x", At: c.time()},
	}}
}

func goldenTicket() mfa.Ticket {
	c := &count{}
	return mfa.Ticket{
		ID: c.ticketID(), Epoch: 300, Method: "totp", FactorID: c.text("id"), Expires: c.time(), Wrong: c.next(),
		State: c.bytes(), Before: c.bytes(), BeforeAt: c.time(),
	}
}

func goldenSeed() mfa.TOTPSeed {
	return mfa.TOTPSeed{
		Key: []byte("12345678901234567890"), Algorithm: mfa.SHA256, Digits: 8, Period: 45 * time.Second, T0: -7,
		Drift: -3, MaxDrift: 5, Used: true, Last: 1 << 33,
	}
}

func goldenHOTP() mfa.HOTPSeed {
	return mfa.HOTPSeed{Key: []byte("12345678901234567890"), Algorithm: mfa.SHA512, Digits: 7, Counter: 1 << 40}
}

func goldenToken(t testing.TB) []byte {
	s := mfa.YubicoSecret{Private: [6]byte{1, 2, 3, 4, 5, 6}, Key: [16]byte{7, 8, 9, 10}}
	f, err := mfa.YubicoFactor("cccjgjgkhcbb", &s, 19<<8|17)
	if err != nil {
		t.Fatal(err)
	}
	return f.State
}

func goldenVerdict() []byte { return mfa.EncodeVerdict([32]byte{31: 7, 0: 9}, true, false, 1<<20) }

func goldenSends() []byte {
	c := &count{}
	return mfa.EncodeSends([]time.Time{c.time(), c.time()})
}

func goldenEvent() mfa.Event {
	c := &count{}
	return mfa.Event{
		ID: c.text("id"), UserID: c.text("user"), Number: 300, At: c.time(), Kind: mfa.Proved, Actor: c.text("actor"),
		FactorID: c.text("f"), Method: "totp", Address: "192.0.2.1", Browser: c.text("Firefox"), Reason: c.text("why"),
		Known: true, Epoch: 7,
	}
}

func TestVersion1IsWrittenAndReadAsEver(t *testing.T) {
	for name, c := range map[string]struct {
		value   any
		encoded []byte
	}{
		"account":   {goldenAccount(), mfa.EncodeAccount(goldenAccount())},
		"assurance": {goldenAssurance(), mfa.EncodeAssurance(goldenAssurance())},
		"ticket":    {goldenTicket(), mfa.EncodeTicket(goldenTicket())},
		"seed":      {goldenSeed(), mfa.EncodeSeed(goldenSeed())},
		"hotp":      {goldenHOTP(), mfa.EncodeHOTP(goldenHOTP())},
		"token":     {goldenToken(t), goldenToken(t)},
		"verdict":   {goldenVerdict(), goldenVerdict()},
		"sends":     {goldenSends(), goldenSends()},
		"sent":      {"Ünïcode@example.org", mfa.SentFactor("Ünïcode@example.org").State},
		"event":     {nil, mfa.EncodeEvent(goldenEvent())}, // is never read: its MAC is made again and compared
	} {
		want := goldenBytes(t, name)
		if !bytes.Equal(c.encoded, want) {
			t.Errorf("%s is encoded as\n%x, want\n%x", name, c.encoded, want)
		}
		for _, e := range wireForms {
			if e.name != name {
				continue
			}
			if got, _, err := e.decode(want); err != nil || !reflect.DeepEqual(got, c.value) {
				t.Errorf("%s is decoded as %+v, %v; want %+v", name, got, err, c.value)
			}
		}
	}
}

// A set of recovery codes that an earlier release has kept, and one of its codes.
func TestARecoverySetOfVersion1StillOpens(t *testing.T) {
	f := mfa.Factor{ID: "codes", State: goldenBytes(t, "recovery set")}
	if left := (mfa.Recovery{}).Left(f); left != 2 {
		t.Errorf("Left = %d, want 2 of three", left)
	}
	if _, err := useCode(t, f, someCode(1)); err != mfa.ErrSpent {
		t.Errorf("the code that was used = %v, want ErrSpent", err)
	}
	if _, err := useCode(t, f, someCode(2)); err != nil {
		t.Errorf("a code that was not = %v, want no error", err)
	}
}

func TestWhatVersion1SealedStillOpens(t *testing.T) {
	ring := newRing(t, 2, 1)
	got, err := ring.Open("account", goldenBytes(t, "sealed"), "alice", "7")
	if err != nil || string(got) != "an account" {
		t.Errorf("Open = %q, %v; want an account", got, err)
	}
	mac, err := newRing(t, 1).MAC("event", mfa.EncodeEvent(goldenEvent()))
	if want := goldenBytes(t, "mac"); err != nil || !bytes.Equal(mac, want) {
		t.Errorf("MAC = %x, %v; want %x", mac, err, want)
	}
}
