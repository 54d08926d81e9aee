package sallyport_test

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/mfa"
)

// endless is a body that never ends and counts what was read of it.
type endless struct {
	pattern string
	read    atomic.Int64
	limit   int64 // 0: none
}

func (e *endless) Read(p []byte) (int, error) {
	if e.limit > 0 && e.read.Load() >= e.limit {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = e.pattern[(int(e.read.Load())+i)%len(e.pattern)]
	}
	e.read.Add(int64(len(p)))
	return len(p), nil
}

// upload sends a body of unknown length and returns the status; 0: the connection was closed before there was one.
func (b *browser) upload(path, kind string, body io.Reader, headers ...header) int {
	r, err := http.NewRequest("POST", b.s.server.URL+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	for _, h := range headers {
		r.Header.Set(h.name, h.value)
	}
	res, err := b.client.Do(r)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// heap is how many bytes are in use after a collection.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

const (
	mega    = 1 << 20
	maxBody = 64 << 10 // SECURITY 1, request limits
)

func gzipped(text []byte) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(text)
	w.Close()
	return b.String()
}

func TestBOMB1_OversizedAndHostileBodiesAreRefusedCheaply(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	bystander := s.enrolled("bob")
	pending := owner.again("alice")
	before := s.record("alice")
	big := strings.Repeat("9", mega)
	bodies := map[string]struct{ kind, body string }{
		"a code of 1 MB":    {"application/json", `{"ticket":"x","answer":"` + big + `"}`},
		"a name of 1 MB":    {"application/x-www-form-urlencoded", "label=" + big},
		"a ticket of 60 kB": {"application/json", `{"ticket":"` + big[:60_000] + `","answer":"1"}`},
		"arrays in arrays":  {"application/json", strings.Repeat("[", 30_000)},
		"arrays in a field": {"application/json",
			`{"answer":` + strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000) + `}`},
		"objects in an answer": {"application/json",
			`{"ticket":"x","answer":` + strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000) + `}`},
		"10,000 fields":               {"application/x-www-form-urlencoded", strings.Repeat("a=&", 10_000)},
		"10,000 names":                {"application/json", "{" + strings.Repeat(`"a":"",`, 7_000) + `"b":""}`},
		"a number without an end":     {"application/json", `{"answer":1e` + big[:50_000] + `}`},
		"invalid UTF-8":               {"application/json", "{\"answer\":\"\xff\xfe\"}"},
		"invalid UTF-8 in a form":     {"application/x-www-form-urlencoded", "answer=%ff%fe&ticket=x"},
		"half a surrogate":            {"application/json", `{"ticket":"x","answer":"\ud800"}`},
		"a byte order mark":           {"application/json", "\xef\xbb\xbf{}x"},
		"two documents":               {"application/json", `{"ticket":"x"}{"answer":"1"}`},
		"a field that is there twice": {"application/json", `{"ticket":"x","answer":"1","answer":"2"}`},
		"the same in a form":          {"application/x-www-form-urlencoded", "ticket=x&answer=1&answer=2"},
		"an array":                    {"application/json", `{"ticket":["x"],"answer":"1"}`},
		"null":                        {"application/json", `{"ticket":null,"answer":null}`},
		"a number":                    {"application/json", `{"ticket":"x","answer":123456}`},
		"nothing but an opening":      {"application/json", `{`},
		"a form of semicolons":        {"application/x-www-form-urlencoded", strings.Repeat(";", 1000)},
		"a bad escape":                {"application/x-www-form-urlencoded", "answer=%zz"},
		"gzip":                        {"application/json", gzipped([]byte(`{"ticket":"x","answer":"` + big + `"}`))},
		"multipart": {"multipart/form-data; boundary=x",
			"--x\r\nContent-Disposition: form-data; name=\"answer\"\r\n\r\n1\r\n--x--"},
		"XML":                        {"application/xml", `<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`},
		"a type that cannot be read": {"application/json; =", "{}"},
	}
	for name, b := range bodies {
		for _, path := range []string{"/mfa/verify/totp", "/mfa/verify/recovery", "/mfa/verify/totp/begin",
			"/mfa/enroll/totp", "/mfa/sessions/end"} {
			began := time.Now()
			a := pending.do("POST", path, b.kind, b.body, acceptJSON)
			if a.status < 400 || a.status > 499 {
				t.Errorf("%s to %s = %d, want 4xx", name, path, a.status)
			}
			if took := time.Since(began); took > 10*time.Second { // a second, on a machine that does nothing else
				t.Errorf("%s to %s took %v", name, path, took)
			}
		}
	}
	compressed := pending.do("POST", "/mfa/verify/totp", "application/json", gzipped([]byte("{}")), acceptJSON,
		header{"Content-Encoding", "gzip"})
	if compressed.status != http.StatusUnsupportedMediaType {
		t.Errorf("a compressed body = %d, want 415", compressed.status)
	}
	if a := owner.post("/mfa/factors/"+owner.factor("totp")+"/rename",
		map[string][]string{"label": {strings.Repeat("ä", 101)}}); a.status != http.StatusBadRequest {
		t.Errorf("a name of 101 characters = %d, want 400", a.status)
	}
	s.mustBeUnchanged("alice", before, "hostile bodies")
	bystander.mustBeIn("account")
}

func TestBOMB1_NoMoreOfABodyIsReadThanIsNeeded(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	b := s.enrolled("alice")
	small := heap()
	for _, path := range []string{"/mfa/verify/totp", "/mfa/enroll/totp", "/mfa/sessions/end"} {
		for name, e := range map[string]*endless{
			"100 MB": {pattern: `{"answer":"`, limit: 100 * mega}, "an endless body": {pattern: "answer=1&"},
			"endless arrays": {pattern: "["},
		} {
			status := b.upload(path, "application/json", e, acceptJSON)
			if status != http.StatusRequestEntityTooLarge && status != 0 {
				t.Errorf("%s to %s = %d, want 413", name, path, status)
			}
			// What the kernel and the client hold on the way is sent, too; it is far below what was on offer.
			if read := e.read.Load(); read > 16*mega {
				t.Errorf("%s to %s: %d bytes left the client, want it stopped soon after %d", name, path, read, maxBody)
			}
		}
	}
	if grown := heap() - small; grown > 16*mega {
		t.Errorf("the heap has grown by %d bytes, want less than 16 MB", grown)
	}
	b.mustBeIn("account")
}

func TestBOMB1_AsMuchAsIsAllowedIsRead(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	b := s.enrolled("alice")
	pad := func(n int) string { return "{" + strings.Repeat(" ", n-2) + "}" }
	for size, want := range map[int]int{maxBody: http.StatusOK, maxBody + 1: http.StatusRequestEntityTooLarge} {
		if a := b.do("POST", "/mfa/sessions/end", "application/json", pad(size), acceptJSON); a.status != want {
			t.Errorf("a body of %d bytes = %d, want %d", size, a.status, want)
		}
	}
}

func TestBOMB1_ManyAndLargeHeaders(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	b := s.enrolled("alice")
	head := "GET /account HTTP/1.1\r\nHost: " + s.host() + "\r\nConnection: close\r\n"
	many := strings.Builder{}
	for i := range 10_000 {
		fmt.Fprintf(&many, "X-%d: y\r\n", i)
	}
	for name, more := range map[string]string{
		"10,000 fields":          many.String(),
		"10,000 cookies":         "Cookie: " + strings.Repeat(assuranceCookie+"=x; ", 10_000) + "\r\n",
		"a cookie of 500 kB":     "Cookie: " + assuranceCookie + "=" + strings.Repeat("A", 500_000) + "\r\n",
		"an Accept of 500 kB":    "Accept: " + strings.Repeat("a/b,", 125_000) + "\r\n",
		"a browser of 500 kB":    "User-Agent: " + strings.Repeat("U", 500_000) + "\r\n",
		"a known cookie of 1 MB": "Cookie: " + knownCookie + "=" + strings.Repeat("A", 900_000) + "\r\n",
	} {
		began := time.Now()
		a := s.raw(head + more + "Cookie: session=" + b.cookie("session") + "\r\n\r\n")
		// Go reads none of 10,000 cookies; then nobody is signed in, and the site's page is a stranger's.
		if strings.Contains(a.body, "canary:account:alice") || a.status >= 500 {
			t.Errorf("%s = %d, want no page of alice", name, a.status)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
	b.mustBeIn("account")
}

func TestDOS1_ManyRecoveryCodesAtOnceHoldNobodyUp(t *testing.T) {
	onStores(t, func(t *testing.T, open func() attackedStore) {
		s := newNodes(t, 1, open)
		alice, bob := s.enrolled("alice"), s.enrolled("bob")
		s.advance(30 * time.Second)
		attacker := alice.again("alice")
		bystander := bob.again("bob")
		mine := bystander.load(bystander.get("/mfa/verify/totp"), bob.code(0))
		alice.login("alice") // the owner herself, in the browser that she has used before
		hers := alice.load(alice.get("/mfa/verify/totp"), alice.code(0))
		wrong := checked(strings.Repeat("7", 24))
		var forms []loaded
		for range sized(60, 1000) {
			forms = append(forms, attacker.load(attacker.get("/mfa/verify/recovery"), wrong))
		}
		small := heap()
		statuses := volley(append(forms, hers, mine))
		if got := statuses[len(statuses)-2:]; got[0] != http.StatusSeeOther || got[1] != http.StatusSeeOther {
			t.Errorf("the owner's code = %d and a bystander's = %d, want 303", got[0], got[1])
		}
		bystander.mustBeIn("account")
		alice.mustBeIn("account")
		if grown := heap() - small; grown > 16*mega {
			t.Errorf("the heap has grown by %d bytes, want less than 16 MB", grown)
		}
		if n := s.judged("alice"); n != 10 {
			t.Errorf("%d wrong recovery codes were remembered within a minute, want 10", n)
		}
		if a := attacker.recover(alice.codes[7]); a.status != http.StatusSeeOther {
			t.Errorf("a right code after them = %d, want 303", a.status)
		}
	})
}

func TestDOS2_BeginningsLeaveNothing(t *testing.T) {
	base := &counted{attackedStore: attackStore{mfa.NewMemory()}}
	s := newNodes(t, 1, func() attackedStore { return base })
	owner := s.enrolled("alice")
	pending, stranger, carol := owner.again("alice"), s.browser(), s.login("carol")
	before := s.record("alice")
	small := heap()
	calls := base.during(func() {
		for i := range sized(2_000, 10_000) {
			switch i % 5 {
			case 0:
				pending.do("POST", "/mfa/verify/totp/begin", "", "", acceptJSON)
			case 1:
				carol.do("POST", "/mfa/enroll/totp/begin", "", "", acceptJSON)
			case 2:
				pending.do("POST", "/mfa/verify/recovery/begin", "", "", acceptJSON)
			case 3:
				stranger.do("POST", fmt.Sprintf("/mfa/verify/x%d/begin", i), "", "", acceptJSON)
			case 4:
				s.login(fmt.Sprintf("nobody%d", i%50)).get("/mfa/enroll/totp")
			}
		}
	})
	if strings.Contains(calls, "save") {
		t.Error("beginning ceremonies has saved something")
	}
	// The fixture keeps its own sessions and its log; what the guard keeps is a bounded cache of accounts.
	if grown := heap() - small - int64(len(s.log.String())); grown > 8*mega {
		t.Errorf("the heap has grown by %d bytes, want less than 8 MB", grown)
	}
	s.mustBeUnchanged("alice", before, "beginnings")
	if rec := s.record("carol"); rec.Version != 0 {
		t.Error("an enrollment that was only begun has left a row")
	}
	owner.mustBeIn("account")
}

// An account remembers at most 128 answered tickets a lane, so its record stays small whoever sends wrong answers.
func TestDOS2_TheRecordOfAnAttackedAccountStaysSmall(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner, bob := s.enrolled("alice"), s.enrolled("bob")
	b := owner.again("alice")
	for i := range 200 {
		b.recover(bob.codes[i%10])
		s.advance(3 * time.Second)
	}
	if n := len(s.record("alice").Data); n > 16<<10 {
		t.Errorf("the record of an attacked account has %d bytes, want at most 16 kB", n)
	}
	s.advance(11 * time.Minute)
	b.prove()
	if n := len(s.record("alice").Data); n > 3<<10 {
		t.Errorf("after the tickets have expired the record has %d bytes, want at most 3 kB", n)
	}
}

// A hundred connections that send nothing hold up nobody: there is no lock around the reading of a body.
func TestDOS1_SlowBodiesHoldNobodyUp(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	cookies := owner.cookies()
	var conns sync.WaitGroup
	done := make(chan struct{})
	for range 20 {
		conn, err := tls.Dial("tcp", s.host(), s.server.Client().Transport.(*http.Transport).TLSClientConfig)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /mfa/sessions/end HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\n"+
			"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{", s.host(), cookies)
		conns.Go(func() {
			<-done
			conn.Close()
		})
	}
	owner.mustBeIn("account")
	s.advance(30 * time.Second)
	b := owner.again("alice")
	if a := b.guess(b.code(0)); a.status != http.StatusSeeOther {
		t.Errorf("a code while others send slowly = %d, want 303", a.status)
	}
	close(done)
	conns.Wait()
}
