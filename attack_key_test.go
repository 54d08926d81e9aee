package sallyport_test

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport"
	"sallyport/mfa"
)

// shortOfLuck is a source of randomness that fails at its n-th draw from now.
type shortOfLuck struct {
	real io.Reader
	mu   sync.Mutex
	left int // draws until the failure; negative: it does not fail
	half bool
}

func (r *shortOfLuck) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left < 0 {
		return r.real.Read(p)
	}
	if r.left > 0 {
		r.left--
		return r.real.Read(p)
	}
	if r.half && len(p) > 1 {
		n, _ := r.real.Read(p[:len(p)/2])
		return n, io.ErrUnexpectedEOF
	}
	return 0, errors.New("no entropy")
}

func (r *shortOfLuck) failAt(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = n
}

// This test replaces the process's source of randomness, so it may not run beside others.
func TestSEED1_WithoutRandomnessNothingIsEnrolled(t *testing.T) {
	source := &shortOfLuck{real: rand.Reader, left: -1}
	rand.Reader = source
	defer func() { rand.Reader = source.real }()
	for _, half := range []bool{false, true} {
		source.half = half
		s := newNodes(t, 1, memoryStore())
		b := s.login("alice")
		b.get("/mfa/status") // the connection stands
		failures := 0
		for n := range 20 {
			source.failAt(n)
			page := b.get("/mfa/enroll/totp")
			source.failAt(-1)
			if page.status == http.StatusOK {
				break
			}
			failures++
			if page.status != http.StatusServiceUnavailable || page.header.Get("Retry-After") == "" || secretOf(page) != "" {
				t.Errorf("draw %d fails: beginning to enroll = %d, want 503 without a secret", n, page.status)
			}
		}
		if failures < 2 {
			t.Errorf("%d draws of randomness failed, want at least those of secret and ticket", failures)
		}
		page := b.follow(b.get("/mfa/enroll/totp"))
		b.secret = secretOf(page)
		failures = 0
		for n := range 20 {
			source.failAt(n)
			a := b.fill(page, b.code(0))
			source.failAt(-1)
			if a.status == http.StatusSeeOther {
				break
			}
			failures++
			if a.status != http.StatusServiceUnavailable {
				t.Errorf("draw %d fails: finishing to enroll = %d, want 503", n, a.status)
			}
			if s.record("alice").Version != 0 {
				break // saved, but the cookie could not be sealed: enrolled, and not proved
			}
		}
		if failures == 0 {
			t.Error("no draw of randomness failed at the end of an enrollment")
		}
		if s.record("alice").Version != 0 && !b.isIn("vault") {
			b.prove()
		}
		b.mustBeIn("vault")
	}
}

func TestSEED1_EverySecretIsNewAndLong(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	b := s.login("alice")
	seen, ones, n := map[string]bool{}, 0, sized(500, 10_000)
	for range n {
		_, begun := b.call("POST", "/mfa/enroll/totp/begin", nil)
		secret := begun["prompt"].(map[string]any)["secret"].(string)
		seed, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
		if err != nil || len(seed) < 20 || seen[secret] {
			t.Fatalf("a secret of %d bytes (%v), seen before: %v", len(seed), err, seen[secret])
		}
		seen[secret] = true
		for _, c := range seed {
			for ; c != 0; c &= c - 1 {
				ones++
			}
		}
	}
	// NIST SP 800-22, section 2.1, the frequency test: the sum is normal; 6 sigma are never met by chance.
	bits := float64(n * 160)
	if z := math.Abs(2*float64(ones)-bits) / math.Sqrt(bits); z > 6 {
		t.Errorf("%d of %.0f bits are ones, %.1f sigma from half", ones, bits, z)
	}
}

// twisted is a store whose database somebody has written into.
type twisted struct {
	attackedStore
	twist atomic.Pointer[func(mfa.Record) mfa.Record]
}

func (s *twisted) Load(ctx context.Context, userID string) (mfa.Record, error) {
	rec, err := s.attackedStore.Load(ctx, userID)
	if f := s.twist.Load(); f != nil && err == nil {
		rec = (*f)(rec)
	}
	return rec, err
}

// flipped returns a record with one bit of its account turned.
func flipped(r mfa.Record, at int) mfa.Record {
	r.Data = slices.Clone(r.Data)
	r.Data[at] ^= 1
	return r
}

func TestSEED2_ARowThatWasMovedOrTurnedBackDoesNotOpen(t *testing.T) {
	base := &twisted{attackedStore: attackStore{mfa.NewMemory()}}
	s := newNodes(t, 1, func() attackedStore { return base })
	alice, bob := s.enrolled("alice"), s.enrolled("bob")
	early := s.record("alice")
	alice.prove()
	bobs := s.record("bob")
	for name, twist := range map[string]func(mfa.Record) mfa.Record{
		"another user's account": func(r mfa.Record) mfa.Record { r.Data, r.Version = bobs.Data, bobs.Version; return r },
		"an older account":       func(r mfa.Record) mfa.Record { r.Data = early.Data; return r },
		"another version":        func(r mfa.Record) mfa.Record { r.Version++; return r },
		"a flipped bit":          func(r mfa.Record) mfa.Record { return flipped(r, len(r.Data)-1) },
		"half an account":        func(r mfa.Record) mfa.Record { r.Data = r.Data[:len(r.Data)/2]; return r },
		"an empty account":       func(r mfa.Record) mfa.Record { r.Data = nil; return r },
		"a cookie in its place": func(r mfa.Record) mfa.Record {
			r.Data, _ = base64.RawURLEncoding.DecodeString(bob.cookie(knownCookie))
			return r
		},
		"an account in the clear":     func(r mfa.Record) mfa.Record { r.Data = make([]byte, 200); return r },
		"a summary without factors":   func(r mfa.Record) mfa.Record { r.Summary = mfa.Summary{}; r.Data[0] ^= 1; return r },
		"the id of a key that is not": func(r mfa.Record) mfa.Record { return flipped(r, 3) },
	} {
		s.advance(time.Minute) // nothing in memory is good any more
		base.twist.Store(&twist)
		for _, b := range []*browser{alice, alice.again("alice")} {
			if a := b.get("/account"); a.status != http.StatusServiceUnavailable || strings.Contains(a.body, "canary:") {
				t.Errorf("%s = %d, want 503", name, a.status)
			}
			if a := b.get("/mfa/enroll/totp"); a.status != http.StatusServiceUnavailable {
				t.Errorf("%s: the page to enroll = %d, want 503", name, a.status)
			}
		}
		base.twist.Store(nil)
	}
	alice.mustBeIn("account")
	// The summary stands in the clear, and no decision reads it.
	clear := func(r mfa.Record) mfa.Record { r.Summary = mfa.Summary{}; return r }
	base.twist.Store(&clear)
	s.advance(time.Minute)
	alice.again("alice").mustBeOut("account")
	alice.mustBeIn("account")
}

// ring is a function for Config.Keys.
func ring(keys ...mfa.Key) func() ([]mfa.Key, error) {
	return func() ([]mfa.Key, error) { return keys, nil }
}

func newKey(t *testing.T) mfa.Key {
	t.Helper()
	k, err := mfa.NewKey(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// verifyAll has every user prove a code at the same moment, each half of it on another of two nodes.
func (n *nodes) verifyAll(users []*browser, phase string) {
	n.t.Helper()
	n.advance(30 * time.Second)
	var forms []loaded
	for i, owner := range users {
		b := owner.again(owner.user()).at(i % 2)
		forms = append(forms, b.at((i+1)%2).load(b.get("/mfa/verify/totp"), owner.code(0)))
	}
	for i, status := range volley(forms) {
		if status != http.StatusSeeOther {
			n.t.Errorf("%s: the verification of user %d = %d, want 303", phase, i, status)
		}
	}
	for _, owner := range users {
		owner.mustBeIn("account")
		owner.at(1).mustBeIn("account")
	}
}

func TestSEED4_KeysAreRotatedUnderLoad(t *testing.T) {
	onAllStores(t, func(t *testing.T, open func() attackedStore) {
		old, fresh := newKey(t), newKey(t)
		s := newNodes(t, 2, open, func(_ *site, c *sallyport.Config) { c.Keys = ring(old) })
		var users []*browser
		for i := range sized(3, 50) {
			users = append(users, s.enrolled(fmt.Sprintf("user%d", i)))
		}
		idle := s.enrolled("idle")
		for _, phase := range []struct {
			name string
			keys [2]func() ([]mfa.Key, error)
		}{
			{"the old key alone", [2]func() ([]mfa.Key, error){ring(old), ring(old)}},
			{"one node knows the new key", [2]func() ([]mfa.Key, error){ring(old), ring(old, fresh)}},
			{"one node seals with the new key", [2]func() ([]mfa.Key, error){ring(old, fresh), ring(fresh, old)}},
			{"both nodes seal with the new key", [2]func() ([]mfa.Key, error){ring(fresh, old), ring(fresh, old)}},
		} {
			s.configs[0].Keys, s.configs[1].Keys = phase.keys[0], phase.keys[1]
			s.restart()
			s.verifyAll(users, phase.name)
		}
		s.configs[0].Keys, s.configs[1].Keys = ring(fresh), ring(fresh)
		s.restart()
		for _, owner := range users {
			if id := s.record(owner.user()).KeyID; id != fresh.ID {
				t.Errorf("the record of %s is sealed under %s, want the new key", owner.user(), id)
			}
			b := owner.again(owner.user())
			b.mustBeOut("account")
			b.prove()
			b.mustBeIn("account")
		}
		if a := idle.get("/account"); a.status != http.StatusServiceUnavailable {
			t.Errorf("an account under the key that was retired too early = %d, want 503", a.status)
		}
	})
}
