package main_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The program is built and run as a reader would, and used over HTTP alone.
func TestASecondSignInIsAskedForTheCodeOfTheApp(t *testing.T) {
	site := start(t)
	b := newBrowser(t, site)
	if status, next := b.get("/account"); status != http.StatusSeeOther || next != "/login" {
		t.Fatalf("the account for a stranger = %d to %q, want 303 to /login", status, next)
	}
	if status, _ := b.post("/login", url.Values{"username": {"alice"}, "password": {"looking-glass"}}); status != 401 {
		t.Fatalf("a wrong password = %d, want 401", status)
	}
	b.signIn()
	if !b.seesAccount() {
		t.Fatal("alice, who has no factor yet, does not see her account")
	}
	secret := b.enroll()

	other := newBrowser(t, site)
	other.signIn()
	if other.seesAccount() {
		t.Fatal("a second browser sees the account with the password alone")
	}
	if status, next := other.get("/account"); status != http.StatusSeeOther || !strings.HasPrefix(next, "/mfa/verify") {
		t.Fatalf("the account = %d to %q, want 303 to /mfa/verify", status, next)
	}
	wrong := "000000"
	if code(secret, 0) == wrong || code(secret, 1) == wrong || code(secret, 2) == wrong {
		wrong = "111111"
	}
	if status := other.prove(wrong); status != http.StatusUnprocessableEntity {
		t.Fatalf("a wrong code = %d, want 422", status)
	}
	if status := other.prove(code(secret, 1)); status != http.StatusOK {
		t.Fatalf("the code of the app = %d, want 200", status)
	}
	if !other.seesAccount() {
		t.Fatal("the account is closed after the right code")
	}
	if other.post("/logout", nil); other.seesAccount() {
		t.Error("the account is open after signing out")
	}
}

// start builds the program, runs it in a new folder until the test ends, and returns its address.
func start(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "nethttp")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building the example: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("localhost:%d", l.Addr().(*net.TCPAddr).Port)
	l.Close() // the program takes its place
	var said bytes.Buffer
	cmd := exec.Command(program)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PORT="+addr[len("localhost:"):])
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("the program said:\n%s", &said)
		}
	})
	if err := answers(t.Context(), addr); err != nil {
		t.Fatalf("the program does not answer: %v", err)
	}
	return "http://" + addr
}

// answers waits until something accepts connections. A program that is http.ListenAndServe has no other way to say it.
func answers(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return err
		case <-again.C:
		}
	}
}

// browser is a cookie jar that follows no redirect by itself.
type browser struct {
	t      *testing.T
	site   string
	client *http.Client
}

func newBrowser(t *testing.T, site string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, site, &http.Client{
		Jar:           jar,
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (b *browser) do(method, path, kind, accept, body string) (status int, next, text string) {
	b.t.Helper()
	r, err := http.NewRequest(method, b.site+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	res, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	read, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("Location"), string(read)
}

func (b *browser) get(path string) (status int, next string) {
	b.t.Helper()
	status, next, _ = b.do("GET", path, "", "text/html", "")
	return status, next
}

func (b *browser) post(path string, form url.Values) (status int, next string) {
	b.t.Helper()
	status, next, _ = b.do("POST", path, "application/x-www-form-urlencoded", "text/html", form.Encode())
	return status, next
}

func (b *browser) signIn() {
	b.t.Helper()
	status, next := b.post("/login", url.Values{"username": {"alice"}, "password": {"wonderland"}})
	if status != http.StatusSeeOther || next != "/account" {
		b.t.Fatalf("signing in = %d to %q, want 303 to /account", status, next)
	}
}

func (b *browser) seesAccount() bool {
	b.t.Helper()
	status, _, text := b.do("GET", "/account", "", "text/html", "")
	return status == http.StatusOK && strings.Contains(text, "Hello, alice")
}

// call sends a document to the second door and returns the one that answers.
func (b *browser) call(path string, body map[string]string) (int, document) {
	b.t.Helper()
	sent, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	status, _, text := b.do("POST", path, "application/json", "application/json", string(sent))
	var doc document
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		b.t.Fatalf("POST %s = %d %q, want a document", path, status, text)
	}
	return status, doc
}

type document struct {
	Ticket string
	Prompt struct{ Secret string }
}

// enroll adds an authenticator app and returns its secret.
func (b *browser) enroll() []byte {
	b.t.Helper()
	_, doc := b.call("/mfa/enroll/totp/begin", map[string]string{})
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(doc.Prompt.Secret)
	if err != nil || len(secret) == 0 {
		b.t.Fatalf("the secret is %q, %v", doc.Prompt.Secret, err)
	}
	answer := map[string]string{"ticket": doc.Ticket, "answer": code(secret, 0)}
	if status, _ := b.call("/mfa/enroll/totp", answer); status != http.StatusCreated {
		b.t.Fatalf("enrollment = %d, want 201", status)
	}
	return secret
}

// prove answers with a code and returns the status.
func (b *browser) prove(code string) int {
	b.t.Helper()
	_, doc := b.call("/mfa/verify/totp/begin", map[string]string{})
	status, _ := b.call("/mfa/verify/totp", map[string]string{"ticket": doc.Ticket, "answer": code})
	return status
}

// code is what an authenticator app shows some steps of 30 seconds from now: RFC 6238 with SHA-1 and 6 digits.
func code(secret []byte, step int64) string {
	mac := hmac.New(sha1.New, secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(time.Now().Unix()/30+step)))
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[at:])&0x7fffffff)%1_000_000)
}
