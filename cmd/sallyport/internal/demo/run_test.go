package demo_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/cmd/sallyport/internal/demo"
)

// node is a demo that is running.
type node struct {
	t       testing.TB
	url     string // where it listens, from its first line
	welcome string // all that it says
	log     *lockedBuffer
	stop    func() // ends it, once, and waits
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a demo until the test ends, and demands that it ends without an error and has logged nothing.
func start(t testing.TB, o demo.Options) *node {
	t.Helper()
	if o.Addr == "" {
		o.Addr = "localhost:0"
	}
	if o.Data == "" && (o.Store == "" || o.Keys == "") {
		o.Data = t.TempDir()
	}
	n := &node{t: t, log: &lockedBuffer{}}
	o.Log = slog.New(slog.NewTextHandler(n.log, nil))
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := demo.Run(ctx, o, in)
		in.CloseWithError(fmt.Errorf("the demo has ended: %w", err))
		ended <- err
	}()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if said := n.log.String(); said != "" {
			t.Errorf("the demo complained:\n%s", said)
		}
	})
	n.read(out)
	t.Cleanup(n.stop)
	return n
}

// read takes what the demo says when it is ready, to its last line.
func (n *node) read(out io.Reader) {
	n.t.Helper()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		n.welcome += lines.Text() + "\n"
		if strings.HasPrefix(lines.Text(), "Ctrl-C") {
			break
		}
	}
	first, _, _ := strings.Cut(n.welcome, "\n")
	var found bool
	if n.url, found = strings.CutPrefix(first, "listening on "); !found {
		n.t.Fatalf("the demo says %q, %v", n.welcome, lines.Err())
	}
}

// browser is a cookie jar that follows no redirect by itself, and the authenticator app of whoever uses it.
type browser struct {
	t      testing.TB
	n      *node
	client *http.Client
	secret []byte
	now    time.Time // what the phone's clock shows; zero: the real time
}

func (n *node) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		n.t.Fatal(err)
	}
	return &browser{t: n.t, n: n, client: &http.Client{
		Jar:           jar,
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// at is the same browser, which now talks to another node. Cookies of localhost do not know ports.
func (b *browser) at(n *node) *browser {
	moved := *b
	moved.n = n
	return &moved
}

// answer is a response that was read.
type answer struct {
	status int
	header http.Header
	body   string
	next   string // Location
}

// with is one request header.
type with struct{ name, value string }

var (
	page   = with{"Accept", "text/html"}
	asJSON = with{"Accept", "application/json"}
	isForm = with{"Content-Type", "application/x-www-form-urlencoded"}
	isJSON = with{"Content-Type", "application/json"}
)

func (b *browser) do(method, path, body string, headers ...with) answer {
	b.t.Helper()
	r, err := http.NewRequest(method, b.n.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, h := range headers {
		r.Header.Add(h.name, h.value)
	}
	res, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(text), res.Header.Get("Location")}
}

func (b *browser) get(path string, headers ...with) answer {
	b.t.Helper()
	return b.do("GET", path, "", append([]with{page}, headers...)...)
}

func (b *browser) post(path string, form url.Values, headers ...with) answer {
	b.t.Helper()
	return b.do("POST", path, form.Encode(), append([]with{page, isForm}, headers...)...)
}

// call sends a document and returns the document that answers.
func (b *browser) call(path string, body map[string]string) (int, map[string]any) {
	b.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	a := b.do("POST", path, string(text), asJSON, isJSON)
	var doc map[string]any
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
		b.t.Fatalf("POST %s = %d %q, want a document", path, a.status, a.body)
	}
	return a.status, doc
}

func form(username, password, next string) url.Values {
	return url.Values{"username": {username}, "password": {password}, "next": {next}}
}

// signedIn returns a new browser in which somebody has given the password, and nothing more.
func (n *node) signedIn(username string) *browser {
	n.t.Helper()
	b := n.browser()
	b.signIn(username)
	return b
}

func (b *browser) signIn(username string) {
	b.t.Helper()
	if a := b.post("/login", form(username, "demo", "")); a.status != http.StatusSeeOther || a.next != "/account" {
		b.t.Fatalf("signing in = %d to %q, want 303 to /account", a.status, a.next)
	}
}

// isIn reports whether a page is really seen: its status and its user's canary.
func (b *browser) isIn(name, username string) bool {
	b.t.Helper()
	a := b.get("/" + name)
	seen := strings.Contains(a.body, "canary:"+name+":"+username)
	if seen != (a.status == http.StatusOK) {
		b.t.Errorf("GET /%s = %d, canary there %v", name, a.status, seen)
	}
	return seen
}

// enroll adds an authenticator app.
func (b *browser) enroll(label string) {
	b.t.Helper()
	status, doc := b.call("/mfa/enroll/totp/begin", map[string]string{})
	if status != http.StatusOK {
		b.t.Fatalf("begin of an enrollment = %d %v", status, doc)
	}
	prompt, _ := doc["prompt"].(map[string]any)
	text, _ := prompt["secret"].(string)
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	if err != nil || len(secret) < 20 {
		b.t.Fatalf("the secret is %q, %v", text, err)
	}
	b.secret = secret
	ticket, _ := doc["ticket"].(string)
	answer := map[string]string{"ticket": ticket, "answer": b.code(0), "label": label}
	if status, doc := b.call("/mfa/enroll/totp", answer); status != http.StatusCreated {
		b.t.Fatalf("enrollment = %d %v, want 201", status, doc)
	}
}

// prove answers with a code and returns the status.
func (b *browser) prove(code string) int {
	b.t.Helper()
	status, doc := b.call("/mfa/verify/totp/begin", map[string]string{})
	if status != http.StatusOK {
		b.t.Fatalf("begin = %d %v", status, doc)
	}
	ticket, _ := doc["ticket"].(string)
	status, _ = b.call("/mfa/verify/totp", map[string]string{"ticket": ticket, "answer": code})
	return status
}

// code is what the app shows some steps of 30 seconds from now: RFC 6238 with SHA-1 and 6 digits.
func (b *browser) code(step int64) string {
	b.t.Helper()
	now := b.now
	if now.IsZero() {
		now = time.Now()
	}
	mac := hmac.New(sha1.New, b.secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(now.Unix()/30+step)))
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[at:])&0x7fffffff)%1_000_000)
}

// advance moves the clock of a node, and with it the phone's.
func (b *browser) advance(by string) {
	b.t.Helper()
	a := b.do("POST", "/demo/clock", `{"advance":"`+by+`"}`, isJSON)
	var clock struct{ Now time.Time }
	if err := json.Unmarshal([]byte(a.body), &clock); err != nil || a.status != http.StatusOK {
		b.t.Fatalf("moving the clock by %s = %d %q", by, a.status, a.body)
	}
	b.now = clock.Now
}

func (b *browser) session() string {
	u, err := url.Parse(b.n.url)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Name == "demo_session" {
			return c.Value
		}
	}
	return ""
}
