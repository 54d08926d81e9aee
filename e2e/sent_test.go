package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// message is what the site has sent to somebody.
type message struct{ User, To, Courier, Subject, Text string }

// outbox returns what the site has sent, newest first.
func (d *demo) outbox() []message {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", d.url+"/outbox", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Accept", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	var list []message
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
		d.t.Fatalf("reading the outbox: %s, %v", answer.Status, err)
	}
	return list
}

// received is the newest code that was sent to the visitor, and the addresses that it went to.
func (v *visitor) received() (code string, to []string) {
	v.t.Helper()
	for _, m := range v.d.outbox() {
		digits := strings.ReplaceAll(sentCode.FindString(m.Text), " ", "")
		if m.User != v.name || digits == "" || code != "" && digits != code {
			continue
		}
		code, to = digits, append(to, m.To)
	}
	if code == "" {
		v.t.Fatalf("no code was sent to %s", v.name)
	}
	return code, to
}

var sentCode = regexp.MustCompile(`\b[0-9]{4} ?[0-9]{4}\b`)

// other is a code of the same length that is not this one.
func other(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return string(code[0]+1) + code[1:]
}

func TestACodeThatIsSentOpensTheNotes(t *testing.T) {
	eachWay(t, func(t *testing.T, h hands, scripts bool) {
		v := startDemo(t).visitor(t, "carol", h)
		v.scripts(scripts)
		v.open(v.d.url + "/notes")
		v.givesPassword()
		v.asks()
		v.says("c•••@example.com")
		if n := len(v.d.outbox()); n != 0 {
			t.Fatalf("%d messages were sent before anybody asked for one", n)
		}
		v.use("Send the code")
		v.says("We have sent a code.")
		v.says("+1 ••• 43")
		first, to := v.received()
		if len(to) != 2 {
			t.Errorf("the code went to %q, want the mailbox and the phone", to)
		}
		v.sendsAgainLater(first, scripts)
		code, _ := v.received()
		v.enter("The code", other(code))
		v.complains(v.use("Confirm"))
		v.enter("The code", first)
		v.complains(v.use("Confirm")) // another one was sent since
		v.enter("The code", code[:4]+" "+code[4:])
		v.use("Confirm")
		v.isIn("notes")
		v.open(v.d.url + "/vault")
		v.says("Protect your account")
	})
}

// sendsAgainLater asks for another code: at once there is none, and the page tells when there can be one.
func (v *visitor) sendsAgainLater(first string, scripts bool) {
	v.t.Helper()
	const left = `document.querySelector("[data-sallyport-seconds]").textContent`
	shown := eval[string](v.tab, left)
	if !strings.HasPrefix(shown, "You can ask for another one in ") {
		v.t.Errorf("the page says %q", shown)
	}
	if scripts {
		quoted, _ := json.Marshal(shown)
		v.until(left + ` !== ` + string(quoted) + ` && ` + left + `.startsWith("You can ask for another one in ")`)
	}
	v.use("Send another code")
	if code, _ := v.received(); code != first {
		v.t.Error("another code was sent at once")
	}
	v.d.advance(2 * time.Minute)
	v.use("Send another code")
	if code, _ := v.received(); code == first {
		v.t.Error("no other code was sent after the wait")
	}
}

func TestAnAddressIsAddedAndRemoved(t *testing.T) {
	eachWay(t, func(t *testing.T, h hands, scripts bool) {
		v := startDemo(t).visitor(t, "alice", h)
		v.scripts(scripts)
		v.signIn()
		v.open(v.d.url + "/mfa/")
		v.use("Add: Code sent to you")
		v.enter("E-mail address or phone number", "nothing of the kind")
		v.use("Send the code")
		v.says("That is no e-mail address or phone number that we can reach.")
		v.enter("E-mail address or phone number", "archer@example.org")
		v.use("Send the code")
		code, to := v.received()
		if len(to) != 1 || to[0] != "archer@example.org" {
			t.Errorf("the code went to %q, want the new address alone", to)
		}
		v.enter("Name (optional)", "Private mail")
		v.enter("The code", other(code))
		v.complains(v.use("Add it"))
		v.enter("The code", code)
		v.use("Add it")
		v.keepCodes()
		v.says("Private mail")

		v.signOut()
		v.d.advance(2 * time.Minute) // another code may go to the address
		v.signIn()
		v.open(v.d.url + "/mfa/") // where what one has is enough
		v.says("a•••@example.org")
		v.use("Send the code")
		code, _ = v.received()
		v.enter("The code", code)
		v.use("Confirm")
		v.use("Remove Private mail")
		v.use("Remove it")
		v.says("You have not added any yet.")
	})
}

func TestACourierIsSwitchedOff(t *testing.T) {
	eachWay(t, func(t *testing.T, h hands, scripts bool) {
		v := startDemo(t).visitor(t, "bob", h)
		v.scripts(scripts)
		v.enrolled()
		v.open(v.d.url + "/mfa/")
		v.use("Switch off: Text message")
		v.says("Switched off")
		if status := v.use("Switch off: E-mail"); status != 409 {
			t.Errorf("switching off the last one is answered %d, want 409", status)
		}
		v.open(v.d.url + "/outbox")
		v.says("A way to reach you was switched off")
		v.open(v.d.url + "/mfa/")
		v.use("Switch on: Text message")
		if n := v.count(".badge.off"); n != 0 {
			t.Errorf("something is still switched off: %s", v.where())
		}
		v.use("Switch off: E-mail")
		v.says("Switched off")
	})
}
