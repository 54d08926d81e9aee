package sallyport_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport"
	"sallyport/mfa"
)

// validator is a validation server of version 2.0 of the protocol, as its specification has it.
type validator struct {
	t   testing.TB
	key []byte
	url string

	mu     sync.Mutex
	used   map[string]bool
	asked  int
	status string                                            // instead of a verdict; "": judge
	twist  func(answer map[string]string)                    // before it is signed
	after  func(answer map[string]string)                    // after it
	serve  func(w http.ResponseWriter, r *http.Request) bool // instead; false: go on
}

const yubicoClient = "87"

func newValidator(t testing.TB) *validator {
	v := &validator{t: t, key: []byte("a key of twenty byte"), used: map[string]bool{}}
	server := httptest.NewServer(v)
	t.Cleanup(server.Close)
	v.url = server.URL + "/wsapi/2.0/verify"
	return v
}

// sign is the HMAC-SHA-1 of the parameters in alphabetical order, joined by "&", without h.
func (v *validator) sign(p map[string]string) string {
	var list []string
	for name, value := range p {
		if name != "h" {
			list = append(list, name+"="+value)
		}
	}
	sort.Strings(list)
	mac := hmac.New(sha1.New, v.key)
	fmt.Fprint(mac, strings.Join(list, "&"))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func (v *validator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked++
	if v.serve != nil && v.serve(w, r) {
		return
	}
	q := map[string]string{}
	for name := range r.URL.Query() {
		q[name] = r.URL.Query().Get(name)
	}
	answer := map[string]string{"t": "2026-11-24T12:00:00Z0123", "otp": q["otp"], "nonce": q["nonce"], "sl": "100",
		"status":         "OK",
		"sessioncounter": "3", "sessionuse": "7", "timestamp": "12345"}
	switch n := len(q["nonce"]); {
	case q["id"] != yubicoClient:
		answer["status"] = "NO_SUCH_CLIENT"
	case q["h"] != v.sign(q):
		answer["status"] = "BAD_SIGNATURE"
	case n < 16 || n > 40 || strings.Trim(q["nonce"], "abcdefghijklmnopqrstuvwxyz0123456789") != "":
		answer["status"] = "MISSING_PARAMETER"
	case v.status != "":
		answer["status"] = v.status
	case v.used[q["otp"]]:
		answer["status"] = "REPLAYED_OTP"
	}
	v.used[q["otp"]] = true
	if v.twist != nil {
		v.twist(answer)
	}
	answer["h"] = v.sign(answer)
	if v.after != nil {
		v.after(answer)
	}
	for name, value := range answer {
		fmt.Fprintf(w, "%s=%s\r\n", name, value)
	}
}

func (v *validator) servers(more ...string) sallyport.YubicoServers {
	return sallyport.YubicoServers{ID: yubicoClient, Key: base64.StdEncoding.EncodeToString(v.key),
		URLs: append([]string{v.url}, more...)}
}

// touch is what a token types.
func touch(publicID string) string {
	const letters = "cbdefghijklnrtuv"
	otp := []byte(publicID)
	for range 32 {
		otp = append(otp, letters[rand.IntN(len(letters))])
	}
	return string(otp)
}

const aToken = "vvccccbtbtbt"

func TestAValidationServerIsBelievedOnlyIfItAnswersThisQuestion(t *testing.T) {
	lie := func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "status=OK", http.StatusInternalServerError)
		return true
	}
	for name, c := range map[string]struct {
		change func(v *validator)
		want   error // nil with ok: none
		ok     bool
	}{
		"a good OTP":           {func(*validator) {}, nil, true},
		"a replayed OTP":       {func(v *validator) { v.status = "REPLAYED_OTP" }, mfa.ErrSpent, false},
		"a bad OTP":            {func(v *validator) { v.status = "BAD_OTP" }, mfa.ErrWrongAnswer, false},
		"a replayed request":   {func(v *validator) { v.status = "REPLAYED_REQUEST" }, nil, false},
		"a client not allowed": {func(v *validator) { v.status = "OPERATION_NOT_ALLOWED" }, nil, false},
		"no status": {func(v *validator) { v.twist = func(a map[string]string) { delete(a, "status") } },
			nil, false},
		"another nonce": {func(v *validator) { v.twist = func(a map[string]string) { a["nonce"] = strings.Repeat("a", 26) } }, nil, false},
		"no nonce": {func(v *validator) { v.twist = func(a map[string]string) { delete(a, "nonce") } },
			nil, false},
		"another OTP": {func(v *validator) { v.twist = func(a map[string]string) { a["otp"] = touch(aToken) } }, nil, false},
		"no counter": {func(v *validator) {
			v.twist = func(a map[string]string) {
				delete(a,
					"sessioncounter")
			}
		}, nil, false},
		"a counter too large": {func(v *validator) { v.twist = func(a map[string]string) { a["sessionuse"] = "256" } }, nil, false},
		"a wrong signature":   {func(v *validator) { v.after = func(a map[string]string) { a["h"] = v.sign(map[string]string{}) } }, nil, false},
		"no signature": {func(v *validator) { v.after = func(a map[string]string) { delete(a, "h") } }, nil,
			false},
		"a verdict turned": {func(v *validator) {
			v.status, v.after = "BAD_OTP",
				func(a map[string]string) { a["status"] = "OK" }
		}, nil, false},
		"a parameter more":      {func(v *validator) { v.after = func(a map[string]string) { a["sl"] = "1" } }, nil, false},
		"an error of HTTP":      {func(v *validator) { v.serve = lie }, nil, false},
		"a redirect elsewhere":  {func(v *validator) { v.serve = redirectTo(v.url + "?") }, nil, false},
		"an neverEnding answer": {func(v *validator) { v.serve = neverEnding }, nil, false},
		"nothing": {func(v *validator) {
			v.serve = func(http.ResponseWriter,
				*http.Request) bool {
				return true
			}
		}, nil, false},
		"another server's key": {func(v *validator) { v.key = []byte("another") }, nil, false},
	} {
		v := newValidator(t)
		servers := v.servers()
		c.change(v)
		counter, err := servers.Validate(t.Context(), touch(aToken))
		switch verdict := errors.Is(err, mfa.ErrSpent) || errors.Is(err, mfa.ErrWrongAnswer); {
		case c.ok && (err != nil || counter != 3<<8|7):
			t.Errorf("Validate with %s = %d, %v, want %d", name, counter, err, 3<<8|7)
		case !c.ok && err == nil, c.want != nil && !errors.Is(err, c.want), c.want == nil && verdict:
			t.Errorf("Validate with %s = %d, %v, want %v", name, counter, err, c.want)
		}
	}
}

func redirectTo(to string) func(http.ResponseWriter, *http.Request) bool {
	first := true
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !first {
			return false
		}
		first = false
		http.Redirect(w, r, to+r.URL.RawQuery, http.StatusFound)
		return true
	}
}

func neverEnding(w http.ResponseWriter, _ *http.Request) bool {
	for range 1 << 10 {
		if _, err := fmt.Fprintf(w, "%0100d\r\n", 0); err != nil {
			break
		}
	}
	return true
}

func TestOneOfSeveralValidationServersIsEnough(t *testing.T) {
	v, broken := newValidator(t), newValidator(t)
	broken.status = "BACKEND_ERROR"
	gone := httptest.NewServer(nil)
	gone.Close()
	servers := v.servers(broken.url, gone.URL)
	if counter, err := servers.Validate(t.Context(), touch(aToken)); err != nil || counter != 3<<8|7 {
		t.Errorf("Validate with one sound server of three = %d, %v", counter, err)
	}
	v.status = "BACKEND_ERROR"
	otp := touch(aToken)
	if _, err := servers.Validate(t.Context(), otp); err == nil || strings.Contains(err.Error(), otp) {
		t.Errorf("Validate without a sound server = %v, want an error that does not repeat the OTP", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	broken.serve = func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }
	if _, err := broken.servers().Validate(ctx, touch(aToken)); err == nil {
		t.Error("Validate of a server that says nothing = nil, want an error")
	}
	for _, bad := range []sallyport.YubicoServers{{}, {ID: "1"}, {ID: "1", Key: "no base64!"}, {Key: "YWJj"}} {
		if _, err := bad.Validate(t.Context(), otp); err == nil {
			t.Errorf("Validate of %+v = nil, want an error", bad)
		}
	}
}

func TestAYubicoTokenIsAddedAndProved(t *testing.T) {
	v := newValidator(t)
	counter := 0
	v.twist = func(a map[string]string) { counter++; a["sessioncounter"] = fmt.Sprint(counter) }
	s := newSite(t, func(_ *site, c *sallyport.Config) {
		c.Methods = []mfa.Method{mfa.Yubico{Validate: v.servers().Validate}, mfa.Recovery{}}
	})
	b := s.login("alice")
	page := b.get("/mfa/enroll/yubico")
	otp := touch(aToken)
	a := b.fill(page, otp, "label", "Key ring")
	if a.status != http.StatusSeeOther {
		t.Fatalf("adding a token = %d\n%s", a.status, text(a.body))
	}
	b.saveCodes(b.get(a.next))
	other := b.again("alice")
	page = other.get("/mfa/verify/yubico")
	if !strings.Contains(page.body, "Key ring") {
		t.Errorf("the page does not name the token:\n%s", text(page.body))
	}
	if page = other.fill(page, otp); page.status != http.StatusUnprocessableEntity {
		t.Fatalf("the OTP that added it = %d, want 422", page.status)
	}
	if page = other.fill(page, touch("vvccccbtbtbr")); page.status != http.StatusUnprocessableEntity {
		t.Fatalf("another token = %d, want 422", page.status)
	}
	asked := v.asked
	if page = other.fill(page, "123456"); page.status != http.StatusUnprocessableEntity || v.asked != asked {
		t.Fatalf("what is no OTP = %d and %d questions, want 422 and none", page.status, v.asked-asked)
	}
	v.status = "BACKEND_ERROR"
	later := touch(aToken)
	if a := other.fill(page, later); a.status != http.StatusServiceUnavailable {
		t.Fatalf("an OTP while the servers are away = %d, want 503", a.status)
	}
	other.mustBeOut("vault")
	v.status = ""
	if a := other.fill(other.get("/mfa/verify/yubico"), touch(aToken)); a.status != http.StatusSeeOther {
		t.Fatalf("a new OTP = %d\n%s", a.status, text(a.body))
	}
	other.mustBeIn("vault")
}
