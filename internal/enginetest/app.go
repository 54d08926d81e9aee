package enginetest

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"sallyport/mfa"
)

// Step is how long one code of an app is shown.
const Step = 30 * time.Second

// Clock stands still until it is moved.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows noon of a day in November, and not the beginning of a second.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, 11, 24, 12, 0, 0, 123_456_000, time.UTC)}
}

// Now returns what the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Move moves the clock, also back.
func (c *Clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// App is an authenticator app that works as RFC 6238 says, written down a second time. It holds one secret.
type App struct {
	FactorID string
	Secret   []byte
	clock    *Clock
}

// NewApp reads what an enrollment shows.
func NewApp(t testing.TB, clock *Clock, prompt any) App {
	t.Helper()
	p, ok := prompt.(mfa.OTPEnrollPrompt)
	if !ok {
		t.Fatalf("the prompt is a %T, want a TOTPEnrollPrompt", prompt)
	}
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(p.Secret)
	if err != nil {
		t.Fatalf("the secret is no base32: %v", err)
	}
	return App{Secret: secret, clock: clock}
}

// Code is what the app shows now.
func (a App) Code() string { return a.at(0) }

// Wrong returns a number of codes that the app shows at no step near now, each another one.
func (a App) Wrong(n int) []string {
	var near []string
	for step := int64(-4); step <= 4; step++ {
		near = append(near, a.at(step))
	}
	wrong := make([]string, 0, n)
	for i := 0; len(wrong) < n; i++ {
		if code := fmt.Sprintf("%06d", i); !slices.Contains(near, code) {
			wrong = append(wrong, code)
		}
	}
	return wrong
}

// at computes a code some steps from now (RFC 4226 §5.3).
func (a App) at(steps int64) string {
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(a.clock.Now().Unix()/30+steps))
	mac := hmac.New(sha1.New, a.Secret)
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[19]&0xf:]) & 0x7fffffff
	return fmt.Sprintf("%06d", n%1_000_000)
}
