package courier_test

import (
	"crypto/tls"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sallyport/courier"
	"sallyport/mfa"
)

func TestAMailArrivesOverSTARTTLSWithASignIn(t *testing.T) {
	ca := newAuthority(t)
	p := newPost(t, nil, offering(ca.server(t, "127.0.0.1")))
	s := p.courier(t, func(c *courier.SMTPConfig) { c.TLS, c.Username, c.Password = ca.client(), "site", password })
	m := message("alice@example.net")
	if err := s.Carry(t.Context(), m); err != nil {
		t.Fatalf("Carry = %v, want no error", err)
	}
	got := p.got()
	if len(got) != 1 || got[0].from != "no-reply@example.com" || got[0].to != "alice@example.net" {
		t.Fatalf("the server got %+v, want one mail from no-reply@example.com to alice@example.net", got)
	}
	if len(p.logins) != 1 || p.logins[0] != "site" || !p.tls[0] {
		t.Errorf("sign-ins %v, over TLS %v, want one of site over TLS", p.logins, p.tls)
	}
	read := open(t, got[0].text)
	for name, want := range map[string]string{
		"Subject": m.Subject, "From": "Exämple <no-reply@example.com>", "To": "<alice@example.net>",
		"Message-Id": "<m-7Qk_2.email@example.com>", "Auto-Submitted": "auto-generated", "Content-Language": "en",
	} {
		text, err := (&mime.WordDecoder{}).DecodeHeader(read.Header.Get(name))
		if name == "From" {
			text = strings.ReplaceAll(text, `"`, "")
		}
		if err != nil || text != want {
			t.Errorf("the header %s is %q, %v, want %q", name, text, err, want)
		}
	}
	if at, err := read.Header.Date(); err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("the date is %v, %v, want now", at, err)
	}
	parts := alternatives(t, read)
	if len(parts) != 2 || parts[0] != "text/plain\n"+m.Text || parts[1] != "text/html\n"+m.HTML {
		t.Errorf("the parts are %q, want the text and then the HTML", parts)
	}
}

func open(t *testing.T, text string) *mail.Message {
	t.Helper()
	read, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatalf("the mail cannot be read: %v\n%s", err, text)
	}
	return read
}

// alternatives returns the parts of a mail, each with its type in the first line.
func alternatives(t *testing.T, read *mail.Message) []string {
	t.Helper()
	kind, params, err := mime.ParseMediaType(read.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("the mail is %q, %v, want multipart/alternative", kind, err)
	}
	var parts []string
	for r := multipart.NewReader(read.Body, params["boundary"]); ; {
		part, err := r.NextPart() // which undoes quoted-printable
		if err == io.EOF {
			return parts
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		parts = append(parts, kind+"\n"+strings.ReplaceAll(string(text), "\r\n", "\n"))
	}
}

func TestAMailWithoutHTMLIsPlainText(t *testing.T) {
	p := newPost(t, nil, nil)
	s := p.courier(t, func(c *courier.SMTPConfig) { c.InsecureNoTLS = true })
	m := message("alice@example.net")
	m.HTML = ""
	if err := s.Carry(t.Context(), m); err != nil {
		t.Fatalf("Carry = %v, want no error", err)
	}
	if kind := open(t, p.got()[0].text).Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain") {
		t.Errorf("the mail is %q, want text/plain", kind)
	}
}

func TestPort465SpeaksTLSFromTheFirstByte(t *testing.T) {
	ca := newAuthority(t)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", ca.server(t, "127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	p := newPost(t, nil, nil)
	go func() { _ = p.server.Serve(listener) }() // the server of the test closes it
	p.address = listener.Addr().String()
	s := p.courier(t, func(c *courier.SMTPConfig) {
		c.Port, c.TLS, c.Username, c.Password = 465, ca.client(), "site", password
	})
	if err := s.Carry(t.Context(), message("alice@example.net")); err != nil {
		t.Fatalf("Carry = %v, want no error", err)
	}
	if len(p.got()) != 1 || len(p.logins) != 1 || !p.tls[0] {
		t.Errorf("%d mails, sign-ins %v, over TLS %v, want one of each", len(p.got()), p.logins, p.tls)
	}
	stranger := p.courier(t, func(c *courier.SMTPConfig) { c.Port = 465 })
	demandSilence(t, stranger.Carry(t.Context(), message("alice@example.net")))
	if len(p.got()) != 1 {
		t.Errorf("%d mails, want none more by a courier that does not trust the server", len(p.got()))
	}
}

func TestAServerThatCannotBeTrustedGetsNothing(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	for name, c := range map[string]struct {
		offers func(*smtp.Server)
		change func(*courier.SMTPConfig)
	}{
		"its certificate is signed by somebody unknown": {
			offers: offering(ca.server(t, "127.0.0.1")), change: func(c *courier.SMTPConfig) { c.TLS = other.client() },
		},
		"its certificate is another server's": {
			offers: offering(ca.server(t, "mail.example.org")), change: func(c *courier.SMTPConfig) { c.TLS = ca.client() },
		},
		"its certificate is unknown, and TLS need not be": {
			offers: offering(ca.server(t, "127.0.0.1")), change: func(c *courier.SMTPConfig) { c.InsecureNoTLS = true },
		},
		"it offers no STARTTLS": {change: func(*courier.SMTPConfig) {}},
		"it offers no STARTTLS but a sign-in": {
			offers: func(s *smtp.Server) { s.AllowInsecureAuth = true }, change: func(*courier.SMTPConfig) {},
		},
		"without TLS it asks for the password itself": {
			offers: func(s *smtp.Server) { s.AllowInsecureAuth = true },
			change: func(c *courier.SMTPConfig) { c.InsecureNoTLS = true },
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPost(t, nil, c.offers)
			s := p.courier(t, func(conf *courier.SMTPConfig) {
				conf.Username, conf.Password = "site", password
				c.change(conf)
			})
			demandSilence(t, s.Carry(t.Context(), message("alice@example.net")))
			if len(p.got()) != 0 || len(p.logins) != 0 || p.mails != 0 {
				t.Errorf("the server got %v, sign-ins %v, want nothing", p.got(), p.logins)
			}
			if all, _ := p.connections(); all > 1 {
				t.Errorf("%d connections, want one: to try again does not help", all)
			}
		})
	}
}

func TestWithoutTLSMailGoesOnlyWhereThatIsConfigured(t *testing.T) {
	p := newPost(t, nil, nil)
	s := p.courier(t, func(c *courier.SMTPConfig) { c.InsecureNoTLS = true })
	if err := s.Carry(t.Context(), message("alice@example.net")); err != nil {
		t.Fatalf("Carry with InsecureNoTLS = %v, want no error", err)
	}
	if err := p.courier(t, nil).Carry(t.Context(), message("alice@example.net")); err == nil {
		t.Error("Carry without InsecureNoTLS = nil, want an error")
	}
	if len(p.got()) != 1 || p.tls[0] {
		t.Errorf("%d mails, over TLS %v, want one without", len(p.got()), p.tls)
	}
}

func TestAWrongPasswordIsTriedOnce(t *testing.T) {
	ca := newAuthority(t)
	p := newPost(t, nil, offering(ca.server(t, "127.0.0.1")))
	s := p.courier(t, func(c *courier.SMTPConfig) {
		c.TLS, c.Username, c.Password = ca.client(), "site", "wrong-"+password
	})
	err := s.Carry(t.Context(), message("alice@example.net"))
	demandSilence(t, err)
	if err != nil && !strings.Contains(err.Error(), "535") {
		t.Errorf("the error is %q, want the number of the answer, 535", err)
	}
	if len(p.logins) != 1 || len(p.got()) != 0 {
		t.Errorf("%d sign-ins and %d mails, want one and none: more may lock the site out", len(p.logins), len(p.got()))
	}
}

// What comes from outside stays where it belongs: no second recipient, no header, no second mail.
func TestNamesAndTextsMakeNoHeaders(t *testing.T) {
	const evil = "bob@example.org"
	for name, change := range map[string]func(*mfa.Message){
		"a subject with a header behind a line break": func(m *mfa.Message) {
			m.Subject = "Hi\r\nBcc: " + evil
		},
		"a subject with a body behind two": func(m *mfa.Message) {
			m.Subject = "Hi\r\n\r\nBcc: " + evil
		},
		"a subject with a bare line feed": func(m *mfa.Message) {
			m.Subject = "Hi\nBcc: " + evil
		},
		"a subject with a bare carriage return": func(m *mfa.Message) {
			m.Subject = "Hi\rBcc: " + evil
		},
		"a subject of encoded words": func(m *mfa.Message) {
			m.Subject = "=?utf-8?q?Hi=0d=0aBcc:_" + evil + "?="
		},
		"a subject with other ends of lines": func(m *mfa.Message) {
			m.Subject = "Hi\u2028Bcc: x\u0085Bcc: " + evil
		},
		"a subject with a zero byte": func(m *mfa.Message) {
			m.Subject = "Hi\x00\x0bBcc: " + evil
		},
		"a long subject of wide letters": func(m *mfa.Message) {
			m.Subject = strings.Repeat("ü☂ Bcc: "+evil+" ", 40)
		},
		"a language with a header": func(m *mfa.Message) {
			m.Language = "en\r\nBcc: " + evil
		},
		"an id with a header": func(m *mfa.Message) { m.ID = "1>\r\nBcc: <" + evil },
		"a text with commands of SMTP": func(m *mfa.Message) {
			m.Text = "\r\n.\r\nMAIL FROM:<" + evil + ">\r\nRCPT TO:<" + evil + ">\r\nDATA\r\n"
		},
		"a name of the user that is an address": func(m *mfa.Message) {
			m.User.Name = evil + "\r\nBcc: " + evil
		},
		"HTML with the end of a part and another part": func(m *mfa.Message) {
			m.HTML = "\r\n--x--\r\nBcc: " + evil + "\r\n"
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPost(t, nil, nil)
			s := p.courier(t, func(c *courier.SMTPConfig) { c.InsecureNoTLS = true })
			m := message("alice@example.net")
			change(&m)
			if err := s.Carry(t.Context(), m); err != nil {
				t.Fatalf("Carry = %v, want no error", err)
			}
			got := p.got()
			if len(got) != 1 || got[0].to != "alice@example.net" || got[0].from != "no-reply@example.com" {
				t.Fatalf("the server got %+v, want one mail to alice alone", got)
			}
			h := open(t, got[0].text).Header
			if h.Get("Bcc") != "" || len(h["Subject"]) != 1 || len(h["Message-Id"]) != 1 || len(h["To"]) != 1 {
				t.Errorf("the headers are %v, want one of each and no Bcc", h)
			}
			if id := h.Get("Message-Id"); strings.Contains(id, evil) || !strings.HasSuffix(id, "@example.com>") {
				t.Errorf("the Message-ID is %q, want one of example.com", id)
			}
		})
	}
}

func TestASubjectComesBackAsItWas(t *testing.T) {
	p := newPost(t, nil, nil)
	s := p.courier(t, func(c *courier.SMTPConfig) { c.InsecureNoTLS = true })
	subjects := []string{
		"Your code", "Ihr Code für Exämple", "コード", "☂ = _ ? =?", strings.Repeat("длинная тема ", 20) + "!",
		"a\u200bb", `"quoted" <x@y>`,
	}
	for i, subject := range subjects {
		m := message("alice@example.net")
		m.Subject = subject
		if err := s.Carry(t.Context(), m); err != nil {
			t.Fatalf("Carry = %v, want no error", err)
		}
		raw := open(t, p.got()[i].text).Header.Get("Subject")
		if got, err := (&mime.WordDecoder{}).DecodeHeader(raw); err != nil || got != subject {
			t.Errorf("the subject is %q, %v, want %q", got, err, subject)
		}
	}
}

func TestMailGoesToNoAddressThatIsNone(t *testing.T) {
	p := newPost(t, nil, nil)
	s := p.courier(t, func(c *courier.SMTPConfig) { c.InsecureNoTLS = true })
	for _, to := range []string{
		"", "alice", "alice@", "@example.net", "alice@example.net\r\nRCPT TO:<bob@example.org>", "alice@example.net>\r\nDATA",
		"Alice <alice@example.net>", "alice@example.net, bob@example.org", "alice@example.net bob@example.org",
		"a\x00b@example.net",
	} {
		if err := s.Carry(t.Context(), message(to)); err == nil {
			t.Errorf("Carry to %q = nil, want an error", to)
		} else if strings.Contains(err.Error(), "bob") {
			t.Errorf("Carry to %q = %v, want no address in it", to, err)
		}
	}
	if all, _ := p.connections(); all != 0 {
		t.Errorf("%d connections, want none", all)
	}
}

func TestSMTPUTF8IsAskedForOnlyWhereAnAddressNeedsIt(t *testing.T) {
	p := newPost(t, nil, func(s *smtp.Server) { s.EnableSMTPUTF8 = true })
	s := p.courier(t, func(c *courier.SMTPConfig) { c.InsecureNoTLS = true })
	for _, to := range []string{"alice@example.net", "jürgen@exämple.net", "bob@example.net"} {
		if err := s.Carry(t.Context(), message(to)); err != nil {
			t.Fatalf("Carry to %s = %v, want no error", to, err)
		}
	}
	if len(p.utf8) != 3 || p.utf8[0] || !p.utf8[1] || p.utf8[2] {
		t.Errorf("SMTPUTF8 was asked for %v, want for the second mail alone", p.utf8)
	}
	if got := p.got()[1].to; got != "jürgen@exämple.net" {
		t.Errorf("the second mail went to %q, want jürgen@exämple.net", got)
	}
}

func TestNewSMTPNamesAllMistakesAtOnce(t *testing.T) {
	_, err := courier.NewSMTP(courier.SMTPConfig{Host: "smtp.example.com:587", Port: -1, From: "x", Password: password})
	if err == nil {
		t.Fatal("NewSMTP = nil, want an error")
	}
	for _, want := range []string{"Host", "Port", "From", "Username"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("NewSMTP = %v, want %s in it", err, want)
		}
	}
	demandSilence(t, err)
	for _, from := range []string{
		"Evil\r\nBcc: bob@example.org <a@example.com>", "a@example.com, b@example.com", "a@[127.0.0.1]",
	} {
		if _, err := courier.NewSMTP(courier.SMTPConfig{Host: "smtp.example.com", From: from}); err == nil {
			t.Errorf("NewSMTP from %q = nil, want an error", from)
		}
	}
}

// The address of a socket that nobody listens on.
func TestAServerThatIsDownIsAnError(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	p := &post{address: listener.Addr().String()}
	demandSilence(t, p.courier(t, nil).Carry(t.Context(), message("alice@example.net")))
}
