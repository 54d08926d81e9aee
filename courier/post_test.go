package courier_test

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"sallyport/courier"
)

// post is a mail server that keeps what it is given.
type post struct {
	server  *smtp.Server
	address string
	pipes   *pipes // nil: it listens on a socket

	// says returns the answer to a step of the n-th mail, counted from 1: "mail", "rcpt" or "data". It may take its time.
	says func(step string, n int) error

	mu      sync.Mutex
	letters []letter
	conns   []*smtp.Conn
	open    int
	most    int // open at once
	mails   int
	logins  []string
	tls     []bool
	utf8    []bool
}

// letter is a mail as the server got it, also one that it refused at the end.
type letter struct{ from, to, text string }

// newPost starts a server. The change may turn its configuration.
func newPost(t *testing.T, network *pipes, change func(*smtp.Server)) *post {
	t.Helper()
	p := &post{pipes: network, says: func(string, int) error { return nil }}
	p.server = smtp.NewServer(smtp.BackendFunc(p.session))
	p.server.Domain, p.server.ErrorLog = "mail.example.com", log.New(io.Discard, "", 0)
	if change != nil {
		change(p.server)
	}
	var listener net.Listener = network
	if network == nil {
		var err error
		if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	p.address = listener.Addr().String()
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = p.server.Serve(listener) // it ends when the test does
	}()
	t.Cleanup(func() {
		p.server.Close()
		listener.Close() // of which the server may not have heard yet
		<-over
	})
	return p
}

func (p *post) session(c *smtp.Conn) (smtp.Session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, c)
	p.open++
	p.most = max(p.most, p.open)
	return &session{p: p, conn: c}, nil
}

// courier connects to the server.
func (p *post) courier(t *testing.T, change func(*courier.SMTPConfig)) *courier.SMTP {
	t.Helper()
	c := courier.SMTPConfig{Host: "127.0.0.1", From: "Exämple <no-reply@example.com>"}
	if p.pipes != nil {
		c.InsecureNoTLS = true
	}
	_, port, err := net.SplitHostPort(p.address)
	if err != nil {
		t.Fatal(err)
	}
	if c.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&c)
	}
	s, err := courier.NewSMTP(c)
	if err != nil {
		t.Fatalf("NewSMTP = %v, want no error", err)
	}
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, p.address)
	}
	if p.pipes != nil {
		dial = p.pipes.dial
	}
	s.DialBy(dial)
	t.Cleanup(func() { s.Close() })
	return s
}

func (p *post) got() []letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]letter(nil), p.letters...)
}

// connections returns how many there were in all, and at most at once.
func (p *post) connections() (all, most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns), p.most
}

// hangUp closes all connections, as a server does that has waited for long.
func (p *post) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Conn().Close()
	}
}

type session struct {
	p        *post
	conn     *smtp.Conn
	from, to string
	n        int
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, given string) error {
		s.p.mu.Lock()
		defer s.p.mu.Unlock()
		s.p.logins = append(s.p.logins, username)
		if username != "site" || given != password {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (s *session) Mail(from string, opts *smtp.MailOptions) error {
	_, secured := s.conn.TLSConnectionState()
	s.p.mu.Lock()
	s.p.mails++
	s.n = s.p.mails
	s.from = from
	s.p.tls, s.p.utf8 = append(s.p.tls, secured), append(s.p.utf8, opts.UTF8)
	s.p.mu.Unlock()
	return s.p.says("mail", s.n)
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to += to
	return s.p.says("rcpt", s.n)
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.p.mu.Lock()
	s.p.letters = append(s.p.letters, letter{s.from, s.to, string(text)})
	s.p.mu.Unlock()
	return s.p.says("data", s.n)
}

func (s *session) Reset() { s.from, s.to = "", "" }

func (s *session) Logout() error {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.open--
	return nil
}

// refusal is an answer that a test gives.
func refusal(code int) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 7, 1}, Message: "no: " + password}
}

// offering makes the server offer STARTTLS.
func offering(c *tls.Config) func(*smtp.Server) { return func(s *smtp.Server) { s.TLSConfig = c } }

// waited returns how long something takes.
func waited(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}
