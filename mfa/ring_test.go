package mfa_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/mfa"
)

// testKey is a key whose secret depends on n.
func testKey(n int) mfa.Key {
	secret := sha256.Sum256(fmt.Appendf(nil, "secret %d", n))
	return mfa.Key{ID: fmt.Sprint("k", n), Secret: secret[:]}
}

// newRing makes a ring of keys with these numbers, the primary one first.
func newRing(t testing.TB, numbers ...int) *mfa.Ring {
	t.Helper()
	var keys []mfa.Key
	for _, n := range numbers {
		keys = append(keys, testKey(n))
	}
	ring, err := mfa.NewRing(keys...)
	if err != nil {
		t.Fatalf("NewRing = %v, want no error", err)
	}
	return ring
}

func sealed(t testing.TB, r *mfa.Ring, purpose, plain string, bound ...string) []byte {
	t.Helper()
	out, err := r.Seal(midday, purpose, []byte(plain), bound...)
	if err != nil {
		t.Fatalf("Seal = %v, want no error", err)
	}
	return out
}

// opens checks whether a ring opens what was sealed; want "": it must not.
func opens(t *testing.T, what string, r *mfa.Ring, want, purpose string, sealed []byte, bound ...string) {
	t.Helper()
	got, err := r.Open(purpose, sealed, bound...)
	if want != "" && (err != nil || string(got) != want) {
		t.Errorf("%s: Open = %q, %v; want %q", what, got, err, want)
	}
	if want == "" && (err == nil || got != nil) {
		t.Errorf("%s: Open = %q, %v; want nothing and an error", what, got, err)
	}
}

func TestARingOpensWhatItSealed(t *testing.T) {
	ring := newRing(t, 1)
	for _, plain := range []string{"x", "a text", strings.Repeat("long ", 20_000)} {
		for _, bound := range [][]string{nil, {"alice"}, {"alice", "", "https://example.com"}, {strings.Repeat("b", 1000)}} {
			opens(t, "what was sealed", ring, plain, "p", sealed(t, ring, "p", plain, bound...), bound...)
		}
	}
	if got, err := ring.Open("p", sealed(t, ring, "p", "")); err != nil || len(got) != 0 {
		t.Errorf("Open of nothing sealed = %q, %v; want nothing", got, err)
	}
}

func TestWhatIsSealedIsHidden(t *testing.T) {
	ring := newRing(t, 1)
	a, b := sealed(t, ring, "p", "the same text", "alice"), sealed(t, ring, "p", "the same text", "alice")
	if bytes.Equal(a, b) {
		t.Error("the same text is sealed to the same bytes twice")
	}
	if bytes.Contains(a, []byte("same")) || bytes.Contains(a, []byte("alice")) {
		t.Errorf("%q shows what it holds or is bound to", a)
	}
}

func TestWhatIsSealedOpensForItsPurposeAndBoundValuesAlone(t *testing.T) {
	ring := newRing(t, 1)
	for _, c := range []struct {
		name       string
		purpose    string
		bound      []string
		opened     string
		openedWith []string
	}{
		{"another purpose", "ticket verify", []string{"a"}, "ticket enroll", []string{"a"}},
		{"no purpose", "p", nil, "", nil},
		{"another value", "p", []string{"alice"}, "p", []string{"bob"}},
		{"another case", "p", []string{"alice"}, "p", []string{"Alice"}},
		{"a value more", "p", []string{"a"}, "p", []string{"a", ""}},
		{"a value less", "p", []string{"a", ""}, "p", []string{"a"}},
		{"none", "p", []string{"a"}, "p", nil},
		{"another order", "p", []string{"a", "b"}, "p", []string{"b", "a"}},
		{"another boundary", "p", []string{"ab", "c"}, "p", []string{"a", "bc"}},
		{"joined", "p", []string{"a", "b"}, "p", []string{"ab"}},
		{"a length inside a value", "p", []string{"a", "b"}, "p", []string{"a\x01b"}},
		{"a value that moved into the purpose", "p", []string{"a"}, "pa", nil},
		{"a value with its length in the purpose", "p", []string{"a"}, "p\x01a", nil},
		{"a purpose that moved into a value", "pa", nil, "p", []string{"a"}},
	} {
		s := sealed(t, ring, c.purpose, "text", c.bound...)
		opens(t, c.name+", the control", ring, "text", c.purpose, s, c.bound...)
		opens(t, c.name, ring, "", c.opened, s, c.openedWith...)
	}
}

func TestSEED2_ARecordOfAnotherUserOrVersionDoesNotOpen(t *testing.T) {
	ring := newRing(t, 1)
	record := sealed(t, ring, "account", "secret", "alice", "7")
	opens(t, "the control", ring, "secret", "account", record, "alice", "7")
	opens(t, "moved to bob", ring, "", "account", record, "bob", "7")
	opens(t, "put back over a later version", ring, "", "account", record, "alice", "8")
	opens(t, "as an assurance", ring, "", "assurance", record, "alice", "7")
	opens(t, "as a ticket", ring, "", "ticket verify", record, "alice", "7")
}

func TestNoByteOfWhatIsSealedMayChange(t *testing.T) {
	ring := newRing(t, 1, 2)
	s := sealed(t, ring, "p", "a text", "alice")
	opens(t, "the control", ring, "a text", "p", s, "alice")
	for i := range s {
		for bit := range 8 {
			changed := bytes.Clone(s)
			changed[i] ^= 1 << bit
			opens(t, fmt.Sprintf("bit %d of byte %d flipped", bit, i), ring, "", "p", changed, "alice")
		}
		opens(t, fmt.Sprintf("the first %d bytes", i), ring, "", "p", s[:i], "alice")
		opens(t, fmt.Sprintf("all but the first %d bytes", i+1), ring, "", "p", s[i+1:], "alice")
	}
	opens(t, "a byte more", ring, "", "p", append(bytes.Clone(s), 0), "alice")
	opens(t, "twice", ring, "", "p", append(bytes.Clone(s), s...), "alice")
}

func TestCOOK3_TheKeyIDChoosesNoOtherKey(t *testing.T) {
	ring := newRing(t, 1, 2)
	s := sealed(t, ring, "p", "text")
	for _, id := range []string{
		"k2", "k3", "", "none", "../../etc/passwd", "/dev/null", "k1\x00", "K1", "http://evil/", strings.Repeat("k", 255),
	} {
		body := s[2+len("k1"):]
		changed := append([]byte{s[0], byte(len(id))}, id...)
		opens(t, "key id "+id, ring, "", "p", append(changed, body...))
	}
	opens(t, "by a ring without its key", newRing(t, 2, 3), "", "p", s)
	other := testKey(2)
	other.ID = "k1"
	swapped, err := mfa.NewRing(other)
	if err != nil {
		t.Fatal(err)
	}
	opens(t, "by another secret under its id", swapped, "", "p", s)
}

func TestKeysAreRotatedWhileTheSiteRuns(t *testing.T) {
	before, during, after := newRing(t, 1), newRing(t, 2, 1), newRing(t, 2)
	old := sealed(t, before, "p", "old")
	fresh := sealed(t, during, "p", "new")
	opens(t, "the old key, beside the new one", during, "old", "p", old)
	opens(t, "the new key, beside the old one", during, "new", "p", fresh)
	opens(t, "what the new key sealed, with the old one gone", after, "new", "p", fresh)
	opens(t, "what the old key sealed, with it gone", after, "", "p", old)
	opens(t, "what the new key sealed, by who has the old one only", before, "", "p", fresh)
	if during.Primary() != "k2" || fmt.Sprint(during.IDs()) != "[k2 k1]" {
		t.Errorf("Primary = %s, IDs = %v; want k2, [k2 k1]", during.Primary(), during.IDs())
	}
}

func TestARingIsRefusedWhoseKeysAreNone(t *testing.T) {
	good := testKey(1)
	for name, keys := range map[string][]mfa.Key{
		"no key":                     nil,
		"an id that is there twice":  {good, {ID: good.ID, Secret: testKey(2).Secret}},
		"no id":                      {{Secret: good.Secret}},
		"an id that is a path":       {{ID: "../k1", Secret: good.Secret}},
		"an id with a space":         {{ID: "k 1", Secret: good.Secret}},
		"an id with a line break":    {{ID: "k1\n", Secret: good.Secret}},
		"an id of 33 characters":     {{ID: strings.Repeat("k", 33), Secret: good.Secret}},
		"no secret":                  {{ID: "k1"}},
		"a secret of 31 bytes":       {{ID: "k1", Secret: good.Secret[:31]}},
		"a secret of 33 bytes":       {{ID: "k1", Secret: append(bytes.Clone(good.Secret), 1)}},
		"a secret of zeros":          {{ID: "k1", Secret: make([]byte, 32)}},
		"a secret of one byte":       {{ID: "k1", Secret: bytes.Repeat([]byte{'x'}, 32)}},
		"a good key and one that is": {good, {ID: "k2", Secret: make([]byte, 32)}},
	} {
		if r, err := mfa.NewRing(keys...); err == nil || r != nil {
			t.Errorf("%s: NewRing = %v, %v; want no ring and an error", name, r, err)
		}
	}
	_, err := mfa.NewRing(mfa.Key{ID: "a b", Secret: make([]byte, 32)}, mfa.Key{ID: "c", Secret: []byte("short")})
	for _, part := range []string{`"a b" is not`, "one byte repeated", "5 bytes"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("NewRing of three mistakes = %v, want %q among them", err, part)
		}
	}
}

func TestTheZeroRingOpensAndSealsNothing(t *testing.T) {
	var ring mfa.Ring
	if s, err := ring.Seal(midday, "p", []byte("text")); err == nil || s != nil {
		t.Errorf("Seal = %x, %v; want nothing and an error", s, err)
	}
	if m, err := ring.MAC("event", nil); err == nil || m != nil {
		t.Errorf("MAC = %x, %v; want nothing and an error", m, err)
	}
	opens(t, "the zero ring", &ring, "", "p", sealed(t, newRing(t, 1), "p", "text"))
	if ring.Primary() != "" || len(ring.IDs()) != 0 {
		t.Errorf("Primary = %q, IDs = %q; want none", ring.Primary(), ring.IDs())
	}
}

func TestAKeyThatItsOwnerWipesStaysInTheRing(t *testing.T) {
	k := testKey(1)
	ring, err := mfa.NewRing(k)
	if err != nil {
		t.Fatal(err)
	}
	clear(k.Secret)
	opens(t, "sealed after the wipe", newRing(t, 1), "text", "p", sealed(t, ring, "p", "text"))
}

// A day stands in the clear, so anybody may claim any.
func TestMadeUpDaysFillNoMemory(t *testing.T) {
	ring := newRing(t, 1)
	sealed(t, ring, "p", "text")
	before := ring.Subkeys()
	for day := range 2000 {
		forged := append(binary.AppendVarint([]byte("\x01\x02k1"), int64(day)), make([]byte, 40)...)
		opens(t, "a made-up day", ring, "", "p", forged)
	}
	if after := ring.Subkeys(); after != before {
		t.Errorf("the ring remembers %d subkeys, want %d as before", after, before)
	}
	for day := range 2000 { // as many real days, and no more is kept than is good
		if _, err := ring.Seal(midday.AddDate(0, 0, day), "p", nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := ring.Subkeys(); n > 256 {
		t.Errorf("the ring remembers %d subkeys, want at most 256", n)
	}
}

func TestEachDayIsOpenedWithItsOwnSubkey(t *testing.T) {
	ring, fresh := newRing(t, 1), newRing(t, 1)
	for _, at := range []time.Time{
		midday, midday.AddDate(0, 0, 1), midday.AddDate(100, 0, 0), time.Unix(0, 0), time.Unix(-1, 0), {},
	} {
		s, err := ring.Seal(at, "p", []byte("text"))
		if err != nil {
			t.Fatal(err)
		}
		opens(t, at.String(), fresh, "text", "p", s)
	}
}

func TestSealedTextIsOneWord(t *testing.T) {
	ring := newRing(t, 1)
	s, err := ring.SealText(midday, "p", []byte("text"), "alice")
	if err != nil || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Fatalf("SealText = %q, %v; want base64url", s, err)
	}
	if got, err := ring.OpenText("p", s, "alice"); err != nil || string(got) != "text" {
		t.Fatalf("OpenText = %q, %v; want the text", got, err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"nothing":              "",
		"padding":              s + "=",
		"a space":              s + " ",
		"the other alphabet":   base64.RawStdEncoding.EncodeToString(raw) + "+",
		"a byte of no letters": s[:10] + "\x00" + s[10:],
		"twice":                s + s,
		"one of 9 kB":          strings.Repeat("A", 9<<10),
		"a long text behind":   s + strings.Repeat("A", 8<<10),
	} {
		if got, err := ring.OpenText("p", bad, "alice"); err == nil || got != nil {
			t.Errorf("%s: OpenText = %q, %v; want nothing and an error", name, got, err)
		}
	}
}

func TestWithoutRandomnessNothingIsSealed(t *testing.T) {
	ring := newRing(t, 1)
	sealed(t, ring, "p", "text")
	withRandom(t, &shortRandom{5, io.EOF})
	if s, err := ring.Seal(midday, "p", []byte("text")); err == nil || s != nil {
		t.Errorf("Seal = %x, %v; want nothing and an error", s, err)
	}
	if k, err := mfa.NewKey(midday); err == nil || k.Secret != nil {
		t.Errorf("NewKey = %v, %v; want no key and an error", k, err)
	}
}

func TestNewKeysMakeARing(t *testing.T) {
	a, err := mfa.NewKey(midday)
	if err != nil {
		t.Fatal(err)
	}
	b, err := mfa.NewKey(midday.AddDate(0, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a.Secret, b.Secret) || !strings.HasPrefix(a.ID, "20260701-") || b.ID <= a.ID {
		t.Errorf("keys %s and %s, want different secrets and ids that sort by time", a.ID, b.ID)
	}
	if _, err := mfa.NewRing(b, a); err != nil {
		t.Errorf("NewRing of new keys = %v, want no error", err)
	}
}

func TestMACsDifferByPurposeMessageAndKey(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range []int{1, 2} {
		for _, purpose := range []string{"event", "chain"} {
			for _, message := range []string{"", "a", "b"} {
				m, err := newRing(t, n).MAC(purpose, []byte(message))
				if err != nil || len(m) != 1+2+sha256.Size || string(m[:3]) != fmt.Sprintf("\x02k%d", n) {
					t.Fatalf("MAC = %x, %v; want the key's id and 32 bytes", m, err)
				}
				seen[string(m)] = true
			}
		}
	}
	if len(seen) != 12 {
		t.Errorf("%d different MACs, want 12", len(seen))
	}
}

func TestARingIsUsedByManyAtOnce(t *testing.T) {
	ring := newRing(t, 1, 2)
	old := sealed(t, newRing(t, 2), "p", "old")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for day := range 60 {
				s, err := ring.Seal(midday.AddDate(0, 0, day*i), "p", []byte("text"))
				if err != nil {
					t.Error(err)
					return
				}
				opens(t, "one of many", ring, "text", "p", s)
				opens(t, "the old one", ring, "old", "p", old)
			}
		})
	}
	wg.Wait()
}

func FuzzOpen(f *testing.F) {
	ring := newRing(f, 1, 2)
	for _, plain := range []string{"", "text"} {
		s := sealed(f, ring, "p", plain, "alice")
		f.Add(s)
		f.Add(s[:len(s)-1])
	}
	f.Add([]byte("\x01\x02k1\x00"))
	f.Add([]byte("\x01\xffk1"))
	stranger := newRing(f, 3)
	f.Fuzz(func(t *testing.T, s []byte) {
		if got, err := stranger.Open("p", s, "alice"); err == nil || got != nil {
			t.Errorf("Open by a stranger = %q, %v; want nothing and an error", got, err)
		}
		if got, err := ring.Open("p", s, "bob"); err == nil || got != nil {
			t.Errorf("Open for bob = %q, %v; want nothing and an error", got, err)
		}
		if _, err := ring.Open("p", s, "alice"); err == nil && len(s) < 2+2+1+12+16 {
			t.Errorf("%x opens, and is too short for a seal", s)
		}
	})
}
