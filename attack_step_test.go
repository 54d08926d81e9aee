package sallyport_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/mfa"
)

func TestSTEP1_APendingSessionEnrollsNothing(t *testing.T) {
	onStores(t, func(t *testing.T, open func() attackedStore) {
		s := newNodes(t, 1, open)
		owner := s.enrolled("alice")
		pending := owner.again("alice")
		before := s.record("alice")
		stolen, ok := tryEnroll(owner) // a ticket of the owner's own session
		if !ok {
			t.Fatal("the owner cannot begin an enrollment")
		}
		for _, method := range []string{"totp", "recovery"} {
			if a := pending.get("/mfa/enroll/" + method); !strings.HasPrefix(a.next, "/mfa/verify") {
				t.Errorf("a pending session on the page to enroll %s = %d to %q, want the second door", method, a.status, a.next)
			}
			if a, _ := pending.call("POST", "/mfa/enroll/"+method+"/begin", nil); a.status != http.StatusUnauthorized {
				t.Errorf("a pending session that begins to enroll %s = %d, want 401", method, a.status)
			}
			finish := map[string]any{"ticket": stolen, "answer": "123456"}
			if a, _ := pending.call("POST", "/mfa/enroll/"+method, finish); a.status != http.StatusUnauthorized &&
				a.status != http.StatusConflict {
				t.Errorf("a pending session that finishes an enrollment of %s = %d, want 401 or 409", method, a.status)
			}
		}
		s.mustBeUnchanged("alice", before, "enrollment by a pending session")
		pending.mustBeOut("account")
		pending.prove()
		pending.mustBeIn("account")
	})
}

// tryEnroll begins to enroll an app and returns its ticket.
func tryEnroll(b *browser) (ticket string, ok bool) {
	_, begun := b.call("POST", "/mfa/enroll/totp/begin", nil)
	ticket, ok = begun["ticket"].(string)
	return ticket, ok
}

// The gate is checked again when an enrollment is finished: a proof may have grown old in between.
func TestSTEP1_TheGateIsCheckedAgainAtTheEnd(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	page := owner.follow(owner.get("/mfa/enroll/totp"))
	second := *owner
	second.secret = secretOf(page)
	s.advance(5*time.Minute + time.Second)
	before := s.record("alice")
	if got := owner.fill(page, second.code(0)); !strings.HasPrefix(got.next, "/mfa/verify") {
		t.Errorf("finishing an enrollment with an old proof = %d to %q, want the second door", got.status, got.next)
	}
	s.mustBeUnchanged("alice", before, "an enrollment whose proof grew old")
}

func TestSTEP2_AnOldSessionChangesNothingWithoutAFreshProof(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	id, codes := owner.factor("totp"), owner.factor("recovery")
	s.advance(6 * time.Minute)
	before := s.record("alice")
	for _, p := range []string{"/mfa/factors/" + id + "/remove", "/mfa/factors/" + codes + "/remove",
		"/mfa/factors/" + codes + "/pause", "/mfa/factors/" + codes + "/resume"} {
		if a := owner.post(p, nil); !strings.HasPrefix(a.next, "/mfa/verify") {
			t.Errorf("POST %s with an old proof = %d to %q, want the second door", p, a.status, a.next)
		}
	}
	for _, p := range []string{"/mfa/enroll", "/mfa/enroll/totp", "/mfa/enroll/recovery",
		"/mfa/factors/" + id + "/remove"} {
		if a := owner.get(p); !strings.HasPrefix(a.next, "/mfa/verify") {
			t.Errorf("GET %s with an old proof = %d to %q, want the second door", p, a.status, a.next)
		}
	}
	s.mustBeUnchanged("alice", before, "changes with an old proof")
	owner.prove()
	if a := owner.post("/mfa/factors/"+codes+"/remove", nil); a.status != http.StatusSeeOther || a.next != "/mfa/" {
		t.Errorf("removing with a fresh proof = %d to %q, want it done", a.status, a.next)
	}
}

// A proof of a time to come, as a node with a fast clock makes it, is not fresh for ever.
func TestSTEP2_AProofFromTheFutureIsNotFresh(t *testing.T) {
	s := newNodes(t, 2, memoryStore())
	s.configs[1].Now = func() time.Time { return s.clock().Add(time.Hour) }
	s.restart()
	owner := s.enrolled("alice")
	fast := owner.again("alice").at(1)
	if got := fast.guess(owner.code(120)); got.status != http.StatusSeeOther {
		t.Fatalf("a proof on the fast node = %d", got.status)
	}
	if a := fast.at(0).get("/mfa/enroll/totp"); !strings.HasPrefix(a.next, "/mfa/verify") {
		t.Errorf("managing with a proof an hour ahead = %d to %q, want the second door", a.status, a.next)
	}
	fast.at(0).mustBeOut("account")
}

func TestSTEP4_AnAbandonedEnrollmentLeavesNothing(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	b := s.login("alice")
	page := b.follow(b.get("/mfa/enroll/totp"))
	b.secret = secretOf(page)
	if s.record("alice").Version != 0 {
		t.Error("an enrollment that was only begun is in the store")
	}
	b.mustBeIn("account") // nothing is enrolled, so the zero policy lets pass
	s.advance(10 * time.Minute)
	if got := b.fill(page, b.code(0)); got.status != http.StatusConflict {
		t.Errorf("confirming after 10 minutes = %d, want 409", got.status)
	}
	if s.record("alice").Version != 0 {
		t.Error("an enrollment that has expired is in the store")
	}
	other := s.login("alice")
	other.enroll()
	other.mustBeIn("vault")
}

func TestSTEP7_EveryChangeIsTold(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	b := s.login("alice").sending("User-Agent", "Firefox 150").sending(fromAddress, "198.51.100.4:5")
	page := b.follow(b.get("/mfa/enroll/totp"))
	b.secret = secretOf(page)
	told := func(what string, kind mfa.Kind, factor string) {
		t.Helper()
		all := s.told()
		if len(all) == 0 {
			t.Fatalf("%s: nobody was told", what)
		}
		n := all[len(all)-1]
		if n.Event.Kind != kind || n.User.ID != "alice" || n.User.Email != "alice@example.com" {
			t.Fatalf("%s: told %s of %s, want %s of alice", what, n.Event.Kind, n.User.ID, kind)
		}
		place := []string{factor, "24 November 2026, 12:0", "198.51.100.4", "Firefox 150", s.server.URL + "/mfa/",
			"If this was not you"}
		for _, want := range place {
			if !strings.Contains(n.Text, want) {
				t.Errorf("%s: the notice lacks %q:\n%s", what, want, n.Text)
			}
		}
	}
	b.fill(page, b.code(0), "label", "my phone")
	told("the first app", mfa.FactorAdded, "my phone")
	b.saveCodes(b.get("/mfa/enroll/recovery"))
	told("recovery codes", mfa.FactorAdded, "Recovery codes")
	page = b.follow(b.get("/mfa/enroll/totp"))
	b.secret = secretOf(page)
	b.fill(page, b.code(0), "label", "my tablet")
	told("a second app", mfa.FactorAdded, "my tablet")
	id := ""
	for _, f := range b.factors() {
		if f.label == "my tablet" {
			id = f.id
		}
	}
	b.post("/mfa/factors/"+id+"/pause", nil)
	told("a pause", mfa.FactorPaused, "my tablet")
	b.post("/mfa/sessions/end", nil)
	told("the end of other sessions", mfa.SessionsEnded, "")
	b.post("/mfa/factors/"+id+"/resume", nil)
	told("a resume", mfa.FactorResumed, "my tablet")
	b.post("/mfa/factors/"+id+"/remove", nil)
	told("a removal", mfa.FactorRemoved, "my tablet")
}

func TestENROL3_TheSecretIsMadeByTheServerAlone(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	b := s.login("alice")
	const planted = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	seen := map[string]bool{}
	for _, query := range []string{"", "?secret=" + planted, "?key=" + planted, "?seed=" + planted,
		"?uri=otpauth://totp/x?secret=" + planted} {
		page := b.get("/mfa/enroll/totp" + query)
		secret := secretOf(page)
		if secret == "" || secret == planted || seen[secret] || len(secret) < 32 {
			t.Errorf("GET /mfa/enroll/totp%s shows the secret %q, want a new one of at least 160 bits", query, secret)
		}
		seen[secret] = true
	}
	for _, field := range []string{"secret", "key", "seed", "uri"} {
		if a, _ := b.call("POST", "/mfa/enroll/totp/begin",
			map[string]any{field: planted}); a.status != http.StatusBadRequest {
			t.Errorf("beginning with the field %s = %d, want 400", field, a.status)
		}
		ticket, _ := tryEnroll(b)
		planter := *b
		planter.secret = planted
		body := map[string]any{"ticket": ticket, "answer": planter.code(0), field: planted}
		if a, _ := b.call("POST", "/mfa/enroll/totp", body); a.status != http.StatusBadRequest {
			t.Errorf("finishing with the field %s = %d, want 400", field, a.status)
		}
	}
	if s.record("alice").Version != 0 {
		t.Error("something was enrolled")
	}
}

func TestENROL4_NoPageShowsWhatIsStored(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	secret, codes := owner.secret, owner.codes
	for _, view := range mfaViews(owner.factor("totp"))["GET"] {
		for _, a := range []answer{owner.get(view), owner.do("GET", view, "", "", acceptJSON)} {
			body := strings.ReplaceAll(text(a.body), " ", "") + a.body + fmt.Sprint(a.header)
			if strings.Contains(body, secret) {
				t.Errorf("GET %s shows the secret of the app", view)
			}
			for _, code := range codes {
				if strings.Contains(body, code) || bytes.Contains([]byte(body), []byte(strings.ReplaceAll(code, "-", ""))) {
					t.Errorf("GET %s shows a stored recovery code", view)
				}
			}
		}
	}
}
