package courier

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/textproto"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

const (
	conversations = 4                // that are held at once with one server
	idleTime      = 30 * time.Second // how long a connection that nobody uses is kept
	askTime       = 2 * time.Second  // for asking whether it is still there, and for saying good-bye
)

// conversation is an open connection to a mail server, past greeting, TLS and AUTH.
type conversation struct {
	smtp   *smtp.Client
	wire   net.Conn // below TLS: to close it ends whatever waits for the server
	broken bool
	expiry *time.Timer
}

// Errors of servers that do not do what they must. To try again would not help.
var (
	errNoTLS  = errors.New("it offers no STARTTLS, without which everybody on the way could read the codes")
	errNoAuth = errors.New("it offers no way to sign in that would keep the password from others")
)

// conversation returns a connection that was kept and is still good, or a new one.
func (s *SMTP) conversation(ctx context.Context) (*conversation, error) {
	for c := s.take(); c != nil; c = s.take() {
		if c.alive(ctx) {
			return c, nil
		}
		c.cut()
	}
	wire, err := s.dial(ctx, "tcp", net.JoinHostPort(s.c.Host, strconv.Itoa(s.c.Port)))
	if err != nil {
		return nil, passing{fmt.Errorf("mail: no connection to %s: %w", s.c.Host, err)}
	}
	c := &conversation{wire: wire}
	if err := c.within(ctx, func() error { return c.greet(ctx, s.c) }); err != nil {
		c.cut()
		return nil, s.judged(err)
	}
	return c, nil
}

// within talks, and ends that when ctx ends, also while the server is silent.
func (c *conversation) within(ctx context.Context, talk func() error) error {
	stop := context.AfterFunc(ctx, func() { c.wire.Close() })
	err := talk()
	if !stop() {
		c.broken = true
		if err != nil {
			return ctx.Err()
		}
	}
	return err
}

// greet takes a new connection up to where mail may be sent.
func (c *conversation) greet(ctx context.Context, conf SMTPConfig) error {
	wire, secured := c.wire, conf.Port == submissions
	if secured {
		secure := tls.Client(wire, conf.TLS)
		if err := secure.HandshakeContext(ctx); err != nil {
			return err
		}
		wire = secure
	}
	var err error
	if c.smtp, err = smtp.NewClient(wire, conf.Host); err != nil {
		return err
	}
	name, _ := os.Hostname()
	if err := c.smtp.Hello(cmp.Or(name, "localhost")); err != nil {
		return err
	}
	if offered, _ := c.smtp.Extension("STARTTLS"); offered && !secured {
		if err := c.smtp.StartTLS(conf.TLS); err != nil {
			return err
		}
		secured = true
	}
	if !secured && !conf.InsecureNoTLS {
		return errNoTLS
	}
	return c.signIn(conf, secured)
}

// signIn proves who we are, where a password is configured.
func (c *conversation) signIn(conf SMTPConfig, secured bool) error {
	if conf.Username == "" {
		return nil
	}
	_, offered := c.smtp.Extension("AUTH")
	offers := func(mechanism string) bool { return slices.Contains(strings.Fields(offered), mechanism) }
	switch {
	case offers("SCRAM-SHA-256"):
		return c.smtp.Auth(smtp.ScramSHA256Auth(conf.Username, conf.Password))
	case secured && offers("PLAIN"):
		return c.smtp.Auth(smtp.PlainAuth("", conf.Username, conf.Password, conf.Host, false))
	case secured && offers("LOGIN"):
		return c.smtp.Auth(smtp.LoginAuth(conf.Username, conf.Password, conf.Host, false))
	}
	return errNoAuth
}

// deliver gives one mail to the server.
func (c *conversation) deliver(ctx context.Context, client *mail.Client, letter *mail.Msg) error {
	// A server that was told SMTPUTF8 may hand the mail to no other that does not know it (RFC 6531 §3.2).
	c.smtp.SkipSMTPUTF8(!needsUTF8(letter))
	err := c.within(ctx, func() error { return client.SendWithSMTPClient(c.smtp, letter) })
	if err != nil && letter.IsDelivered() {
		c.broken = true // the server has the mail, and went before it was asked for the next one
		return nil
	}
	return err
}

func needsUTF8(letter *mail.Msg) bool {
	beyond := func(a *netmail.Address) bool {
		return strings.ContainsFunc(a.Address, func(r rune) bool { return r >= 0x80 })
	}
	return slices.ContainsFunc(slices.Concat(letter.GetFrom(), letter.GetTo()), beyond)
}

// alive asks the server whether it is still there. What was delivered last has left a deadline on the connection.
func (c *conversation) alive(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if err := c.wire.SetDeadline(time.Time{}); err != nil {
		return false
	}
	return c.within(ctx, c.smtp.Noop) == nil && !c.broken
}

// keep makes a connection free for the next mail.
func (s *SMTP) keep(c *conversation) {
	if c.broken {
		c.cut()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.expiry = time.AfterFunc(idleTime, func() { s.expire(c) })
	s.idle = append(s.idle, c)
}

// take returns the connection that was used last; nil: none is kept.
func (s *SMTP) take() *conversation {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.idle)
	if n == 0 {
		return nil
	}
	c := s.idle[n-1]
	s.idle = s.idle[:n-1]
	c.expiry.Stop()
	return c
}

// expire ends a connection that nobody has used, unless somebody has just taken it.
func (s *SMTP) expire(c *conversation) {
	s.mu.Lock()
	i := slices.Index(s.idle, c)
	if i >= 0 {
		s.idle = slices.Delete(s.idle, i, i+1)
	}
	s.mu.Unlock()
	if i >= 0 {
		c.quit()
	}
}

// quit says good-bye.
func (c *conversation) quit() {
	defer c.cut()
	if c.wire.SetDeadline(time.Now().Add(askTime)) == nil {
		_ = c.smtp.Quit() // who does not answer to that is gone as well
	}
}

func (c *conversation) cut() { c.wire.Close() }

// judged says whether a failed conversation is worth another try. Of what the server says it keeps the numbers alone: a
// server may repeat what it does not like, and that can be the password or the code.
func (s *SMTP) judged(err error) error {
	code, enhanced := 0, ""
	var answer *textproto.Error
	var refused *mail.SendError
	switch {
	case errors.Is(err, errNoTLS), errors.Is(err, errNoAuth):
		return fmt.Errorf("mail: %s cannot be used: %w", s.c.Host, err)
	case errors.As(err, &refused):
		code, enhanced = refused.ErrorCode(), refused.EnhancedStatusCode()
		if code == 0 {
			return passing{fmt.Errorf("mail: the conversation with %s broke at %s", s.c.Host, refused.Reason)}
		}
	case errors.As(err, &answer):
		code = answer.Code
	default:
		err := fmt.Errorf("mail: the conversation with %s broke: %w", s.c.Host, harmless(err))
		var untrusted *tls.CertificateVerificationError
		if errors.As(err, &untrusted) {
			return err
		}
		return passing{err}
	}
	err = fmt.Errorf("mail: %s answers %s", s.c.Host, strings.TrimSpace(strconv.Itoa(code)+" "+enhanced))
	if refused != nil {
		err = fmt.Errorf("%w at %s", err, refused.Reason)
	}
	if code >= 500 {
		return err
	}
	return passing{err}
}
