package sallyport_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport"
	"sallyport/mfa"
	"sallyport/sqlstore"
)

// tap keeps what passes between a browser and the site where others may read it: addresses and pages of errors.
type tap struct {
	next http.RoundTripper
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintln(&t.text, r.URL.String(), r.Header.Get("Referer"), res.Header.Get("Location"))
	if res.StatusCode >= 400 && res.StatusCode != http.StatusUnprocessableEntity { // a retry shows its new ticket
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, err
		}
		t.text.Write(body)
		res.Body = io.NopCloser(bytes.NewReader(body))
	}
	return res, nil
}

// disguises are a secret as it is and in each encoding that a log or a database may put it into.
func disguises(name string, secret []byte) map[string]string {
	return map[string]string{
		name + " as it is": string(secret), name + " in hex": hex.EncodeToString(secret), name +
			" in capital hex": fmt.Sprintf("%X", secret),
		name + " in base64":             base64.RawStdEncoding.EncodeToString(secret),
		name + " in base64url":          base64.RawURLEncoding.EncodeToString(secret),
		name + " in base32":             base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret),
		name + " in percent form":       url.QueryEscape(string(secret)),
		name + " as a list of numbers":  strings.Trim(fmt.Sprint(secret), "[]"),
		name + " in a quoted Go string": strings.Trim(fmt.Sprintf("%q", secret), `"`),
	}
}

// leak is a site that is watched: every secret that passes is remembered, and everything that others may read.
type leak struct {
	t       *testing.T
	s       *nodes
	folder  string // of the database
	events  *lockedBuffer
	spy     *tap
	secrets map[string]string // by what they are
	typed   []string          // codes
}

func newLeak(t *testing.T) *leak {
	l := &leak{t: t, folder: t.TempDir(), events: &lockedBuffer{}, spy: &tap{}, secrets: map[string]string{}}
	key, err := mfa.NewKey(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	l.hide("key", string(key.Secret))
	file := filepath.Join(l.folder, "accounts.db")
	store := sqlStore(t, sqlstore.SQLite, func() *sql.DB { return openDB(t, "sqlite", sqlstore.SQLiteDSN(file)) })
	l.s = newNodes(t, 1, store, func(_ *site, c *sallyport.Config) {
		c.Keys = func() ([]mfa.Key, error) { return []mfa.Key{key}, nil }
		c.OnEvent = func(_ context.Context, ev mfa.Event) error {
			text, err := json.Marshal(ev)
			fmt.Fprintf(l.events, "%s %+v\n", text, ev)
			return err
		}
	})
	return l
}

// hide remembers a secret in all its disguises.
func (l *leak) hide(name, secret string) {
	for what, text := range disguises(name, []byte(secret)) {
		l.secrets[what] = text
	}
}

// page remembers the ticket of a page.
func (l *leak) page(a answer) answer {
	if ticket := found(ticketField, a.body); ticket != "" {
		l.hide("ticket", ticket)
	}
	return a
}

// say remembers a code that is typed.
func (l *leak) say(code string) string {
	l.typed = append(l.typed, code)
	return code
}

// enroll adds an app and recovery codes, with a wrong confirmation between.
func (l *leak) enroll() *browser {
	b := l.s.login("alice")
	l.spy.next = b.client.Transport
	b.client.Transport = l.spy
	page := l.page(b.follow(b.get("/mfa/enroll/totp")))
	b.secret = secretOf(page)
	seed, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(b.secret)
	if err != nil {
		l.t.Fatal(err)
	}
	l.hide("secret", string(seed))
	page = l.page(b.fill(page, l.say(b.wrong())))
	b.fill(page, l.say(b.code(0)))
	b.saveCodes(l.page(b.get("/mfa/enroll/recovery")))
	for _, code := range b.codes {
		l.hide("recovery code", code)
		l.hide("plain recovery code", strings.ReplaceAll(code, "-", ""))
		l.hide("small recovery code", strings.ToLower(code))
	}
	return b
}

// verify types right, wrong, used and misplaced codes, and sends documents that hold them in the wrong places.
func (l *leak) verify(b *browser) {
	l.s.advance(30 * time.Second)
	for _, reply := range []string{b.wrong(), b.code(-1), b.code(0), b.code(0), b.codes[1], "  " + b.code(0),
		b.code(0) + "x"} {
		b.fill(l.page(b.get("/mfa/verify/totp")), l.say(reply))
	}
	for _, reply := range []string{b.codes[1], b.codes[1], b.codes[2][:20], b.codes[2] + "x"} {
		b.fill(l.page(b.get("/mfa/verify/recovery")), reply)
	}
	ticket, code := found(ticketField, l.page(b.get("/mfa/verify/totp")).body), b.codes[3]
	for _, body := range []string{
		`{"ticket":"` + ticket + `","answer":"` + code + `"`, `{"ticket":"` + ticket + `","answer":["` + code + `"]}`,
		`{"ticket":"` + ticket + `","answer":"` + code + `","answer":"1"}`, `{"answer":"` + code + `"}`,
		`{"ticket":"` + code + `","answer":"123456"}`, `["` + code + `"]`, `{"ticket":1,"answer":"` + code + `"}`,
	} {
		b.do("POST", "/mfa/verify/totp", "application/json", body, acceptJSON)
		b.do("POST", "/mfa/enroll/totp", "application/json", body, acceptJSON)
	}
	l.hide("assurance cookie", b.cookie(assuranceCookie))
	l.hide("known cookie", b.cookie(knownCookie))
	l.hide("session cookie", b.cookie("session"))
}

// sinks is everything that others may read, by where they read it.
func (l *leak) sinks() map[string]string {
	all := map[string]string{
		"the log": l.s.log.String(), "the events": l.events.String(),
		"the addresses and pages of errors": l.spy.text.String(),
	}
	for i, n := range l.s.told() {
		all[fmt.Sprintf("notice %d", i)] = fmt.Sprintf("%+v", n)
	}
	files, err := os.ReadDir(l.folder)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(l.folder, f.Name()))
		if err != nil {
			l.t.Fatal(err)
		}
		all["the database's file "+f.Name()] = string(content)
	}
	return all
}

func TestLEAK1_NoSecretReachesALogAnEventANoticeAStoreOrAnAddress(t *testing.T) {
	l := newLeak(t)
	l.verify(l.enroll())
	sinks := l.sinks()
	for _, sink := range []string{"the events", "the database's file accounts.db-wal"} { // what may be there is found
		if !strings.Contains(sinks[sink], "wrong-answer") {
			t.Errorf("%s (%d bytes) does not even hold the word wrong-answer", sink, len(sinks[sink]))
		}
	}
	for sink, text := range sinks {
		for what, secret := range l.secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds a %s", sink, what)
			}
		}
		if strings.HasPrefix(sink, "the database") {
			continue // six digits in a row are nothing to find among ciphertext
		}
		for _, code := range l.typed {
			if regexp.MustCompile(`(^|\D)` + regexp.QuoteMeta(strings.TrimSpace(code)) + `(\D|$)`).MatchString(text) {
				t.Errorf("%s holds the typed code %q", sink, code)
			}
		}
	}
}

// A panic may carry anything, and so may the error of a part of ours that met it.
func TestLEAK1_APanicsValueIsNotLogged(t *testing.T) {
	const secret = "JBSWY3DPEHPK3PXP-the-value-of-a-panic"
	armed := atomic.Bool{}
	boom := func() {
		if armed.Load() {
			panic(secret)
		}
	}
	s := newNodes(t, 1, memoryStore(), func(s *site, c *sallyport.Config) {
		user := c.User
		c.User = func(r *http.Request) (mfa.User, error) {
			if r.Header.Get("Panic") == "user" {
				boom()
			}
			return user(r)
		}
		c.Policy = func(r *http.Request) (mfa.Policy, error) {
			if r.Header.Get("Panic") == "policy" {
				boom()
			}
			return mfa.Policy{}, nil
		}
		c.Notify = func(context.Context, sallyport.Notice) error { boom(); return nil }
	})
	owner := s.enrolled("alice")
	armed.Store(true)
	for _, where := range []string{"user", "policy"} {
		if a := owner.get("/account", header{"Panic", where}); a.status != http.StatusInternalServerError ||
			strings.Contains(a.body, secret) {
			t.Errorf("a panic in %s = %d, want 500 without its value", where, a.status)
		}
	}
	owner.post("/mfa/sessions/end", nil)
	if strings.Contains(s.log.String(), secret) || !strings.Contains(s.log.String(), "panic") {
		t.Errorf("the log does not tell of panics, or tells their values:\n%s", s.log.String())
	}
	owner.mustBeIn("account")
}

func TestLEAK2_TheStoreKnowsNothingBetweenTheHalves(t *testing.T) {
	onStores(t, func(t *testing.T, open func() attackedStore) {
		s := newNodes(t, 1, open)
		b := s.login("alice")
		b.get("/mfa/enroll/totp")
		tryEnroll(b)
		if rec := s.record("alice"); rec.Version != 0 || len(rec.Data) != 0 || len(s.eventsOf("alice")) != 0 {
			t.Errorf("after the first half of an enrollment the store holds version %d", rec.Version)
		}
		b.enroll()
		before, events := s.record("alice"), len(s.eventsOf("alice"))
		other := b.again("alice")
		other.get("/mfa/verify/totp")
		other.get("/mfa/verify/recovery")
		other.call("POST", "/mfa/verify/totp/begin", nil)
		b.get("/mfa/enroll/recovery")
		s.mustBeUnchanged("alice", before, "the first halves of ceremonies")
		if n := len(s.eventsOf("alice")); n != events {
			t.Errorf("the first halves of ceremonies left %d events", n-events)
		}
	})
}

// counted counts the calls of a store.
type counted struct {
	attackedStore
	mu    sync.Mutex
	calls []string
}

func (c *counted) note(call string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, call)
}

func (c *counted) Load(ctx context.Context, userID string) (mfa.Record, error) {
	c.note("load")
	return c.attackedStore.Load(ctx, userID)
}

func (c *counted) Save(ctx context.Context, r mfa.Record, events []mfa.Event) error {
	c.note(fmt.Sprintf("save %d", len(events)))
	return c.attackedStore.Save(ctx, r, events)
}

// during returns the calls that f causes.
func (c *counted) during(f func()) string {
	c.mu.Lock()
	c.calls = nil
	c.mu.Unlock()
	f()
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.calls, ", ")
}

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// checked appends the check character to 24 characters: the sum of their values, each times a power of x, in the field
// of 32 elements with x^5 = x^2 + 1.
func checked(code string) string {
	sum := 0
	for _, c := range code {
		sum = (sum ^ strings.IndexRune(crockford, c)) << 1
		if sum > 31 {
			sum ^= 0b100101
		}
	}
	return code + string(crockford[sum])
}

// Whether a guess was nearly right must not show in the work that is done for it.
func TestTIME1_TheSameWorkForEveryWrongAnswer(t *testing.T) {
	base := &counted{attackedStore: attackStore{mfa.NewMemory()}}
	s := newNodes(t, 1, func() attackedStore { return base })
	work := map[string]string{}
	for prefix := range 6 {
		user := fmt.Sprintf("alice%d", prefix)
		owner := s.enrolled(user)
		s.advance(30 * time.Second)
		code := []byte(owner.code(0))
		for i := prefix; i < len(code); i++ {
			code[i] = '0' + (code[i]-'0'+5)%10
		}
		b := owner.again(user)
		form := b.load(b.get("/mfa/verify/totp"), string(code))
		work[fmt.Sprintf("an app's code with %d right digits", prefix)] = base.during(func() { form.send() })
		valid := strings.ReplaceAll(owner.codes[2], "-", "")
		near := checked(valid[:prefix*4] + strings.Repeat("Z", 24-prefix*4))
		form = b.load(b.get("/mfa/verify/recovery"), near)
		work[fmt.Sprintf("a recovery code with %d right characters", prefix*4)] = base.during(func() { form.send() })
		owner.guess(owner.code(0))
		owner.recover(owner.codes[3])
		form = b.load(b.get("/mfa/verify/totp"), owner.code(0))
		work[fmt.Sprintf("the used code of %s", user)] = base.during(func() { form.send() })
		form = b.load(b.get("/mfa/verify/recovery"), owner.codes[3])
		work[fmt.Sprintf("the used recovery code of %s", user)] = base.during(func() { form.send() })
	}
	want := work["an app's code with 0 right digits"]
	for what, calls := range work {
		if calls != want || !strings.Contains(calls, "save 1") {
			t.Errorf("%s causes %q, want %q", what, calls, want)
		}
	}
}

// The times of judging are compared only when asked for: they need many samples and a quiet machine.
func TestTIME1_TheSameTimeForEveryPrefix(t *testing.T) {
	samples := sized(0, 100_000)
	if samples == 0 {
		t.Skip("set SALLYPORT_TEST_FULL=1 to take 100,000 samples")
	}
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	key := bytes.Repeat([]byte("k1"), 10)
	f, err := mfa.TOTPSeed{Key: key}.Factor()
	if err != nil {
		t.Fatal(err)
	}
	secret := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(key)
	b := &browser{t: t, s: &site{now: now}, secret: secret}
	code := []byte(b.code(0))
	last, first := slices.Clone(code), slices.Clone(code)
	last[5], first[0] = '0'+(code[5]-'0'+5)%10, '0'+(code[0]-'0'+5)%10
	least := math.Inf(1)
	for range 5 { // a machine that does other things disturbs some rounds; a leak shows in all of them
		var times [2][]float64
		for range samples {
			class := mathrand.IntN(2)
			began := time.Now()
			_, err := mfa.TOTP{}.Finish(context.Background(),
				mfa.Attempt{Factor: f, Answer: [2][]byte{first, last}[class], Now: now})
			took := time.Since(began)
			if !errors.Is(err, mfa.ErrWrongAnswer) {
				t.Fatalf("Finish = %v, want ErrWrongAnswer", err)
			}
			times[class] = append(times[class], float64(took))
		}
		least = min(least, math.Abs(welch(times[0], times[1])))
	}
	if least >= 4.5 {
		t.Errorf("Welch's t of the times with one and five right digits = %.1f in the quietest round, want less than 4.5",
			least)
	}
}

// welch returns Welch's t of two samples, without the slowest tenth of each: those are interruptions.
func welch(a, b []float64) float64 {
	mean := func(v []float64) (m, variance, n float64) {
		slices.Sort(v)
		v = v[:len(v)*9/10]
		for _, x := range v {
			m += x / float64(len(v))
		}
		for _, x := range v {
			variance += (x - m) * (x - m) / float64(len(v)-1)
		}
		return m, variance, float64(len(v))
	}
	ma, va, na := mean(a)
	mb, vb, nb := mean(b)
	return (ma - mb) / math.Sqrt(va/na+vb/nb)
}
