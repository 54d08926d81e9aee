package demo_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sallyport/cmd/sallyport/internal/demo"
)

// mailbox returns the code that the newest message to somebody holds, and which couriers brought it.
func (b *browser) mailbox(username string) (code string, couriers []string) {
	b.t.Helper()
	var mails []struct{ User, Courier, Text string }
	if err := json.Unmarshal([]byte(b.get("/outbox", asJSON).body), &mails); err != nil {
		b.t.Fatal(err)
	}
	for _, m := range mails {
		digits := strings.ReplaceAll(eightDigits.FindString(m.Text), " ", "")
		if m.User != username || digits == "" || code != "" && digits != code {
			continue
		}
		code, couriers = digits, append(couriers, m.Courier)
	}
	return code, couriers
}

var eightDigits = regexp.MustCompile(`\b[0-9]{4} ?[0-9]{4}\b`)

func TestACodeInTheOutboxOpensTheNotes(t *testing.T) {
	b := start(t, demo.Options{}).signedIn("carol")
	if code, _ := b.mailbox("carol"); code != "" {
		t.Fatalf("the outbox holds the code %s before it was asked for", code)
	}
	status, doc := b.call("/mfa/verify/sent/begin", map[string]string{})
	code, couriers := b.mailbox("carol")
	slices.Sort(couriers)
	if status != http.StatusOK || !slices.Equal(couriers, []string{"email", "sms"}) {
		t.Fatalf("begin = %d %v, and %v brought %q; want e-mail and SMS", status, doc, couriers, code)
	}
	ticket, _ := doc["ticket"].(string)
	if status, doc := b.call("/mfa/verify/sent", map[string]string{"ticket": ticket, "answer": code}); status != http.StatusOK {
		t.Fatalf("the code = %d %v", status, doc)
	}
	if !b.isIn("notes", "carol") || b.isIn("vault", "carol") {
		t.Error("the code does not open the notes, or opens the vault too")
	}
}

func TestTheSecondFactorMayComeBeforeTheSession(t *testing.T) {
	o := demo.Options{Data: t.TempDir(), Login: "before", TestClock: true}
	n := start(t, o)
	b := n.signedIn("alice") // who has no factor is signed in at once
	b.enroll("phone")
	other := n.browser()
	other.secret, other.now = b.secret, b.now
	a := other.post("/login", form("alice", "demo", "/vault"))
	if a.status != http.StatusSeeOther || !strings.HasPrefix(a.next, "/mfa/verify") || other.session() != "" {
		t.Fatalf("the password = %d to %q, session %q; want the way to a proof and none", a.status, a.next, other.session())
	}
	if other.isIn("account", "alice") {
		t.Error("the account is seen before the second factor")
	}
	other.advance("30s")
	if status := other.prove(other.code(0)); status != http.StatusOK || !other.isIn("vault", "alice") {
		t.Errorf("the code = %d, session %q, want the vault", status, other.session())
	}
	if a := other.post("/logout", nil); other.session() != "" || other.isIn("account", "alice") {
		t.Errorf("signing out = %d, and the account is still seen", a.status)
	}
}
