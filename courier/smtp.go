package courier

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"
	"sync"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"sallyport/mfa"
)

// SMTPConfig says which mail server takes the messages. Host and From are required.
type SMTPConfig struct {
	Host string

	// Port is that of submission with STARTTLS, 587, by default. 465 is TLS from the first byte.
	Port int

	// Username and Password sign in, where the server asks for it.
	Username, Password string

	// From is who sends, as in "Example <no-reply@example.com>".
	From string

	// TLS is used for the connection. Nil: the system's roots, and Host as the name in the certificate.
	TLS *tls.Config

	// InsecureNoTLS sends also where the server offers no STARTTLS: everybody on the way can read the codes.
	InsecureNoTLS bool
}

// SMTP is the courier "email". It keeps one connection to its server open for a while.
type SMTP struct {
	mailbox
	c      SMTPConfig
	client *mail.Client

	mu   sync.Mutex // held while a message is sent
	idle *smtp.Client
	used time.Time
}

var _ mfa.Courier = (*SMTP)(nil)

// idleTime is how long a connection that nobody uses is believed to be good.
const idleTime = 30 * time.Second

// NewSMTP checks the configuration, all mistakes at once, and connects to nobody.
func NewSMTP(c SMTPConfig) (*SMTP, error) {
	var mistakes []error
	if c.Host == "" || strings.ContainsAny(c.Host, " /@:") {
		mistakes = append(mistakes, fmt.Errorf("Host is %q: give the name of the mail server, as in smtp.example.com", c.Host))
	}
	if c.Port < 0 || c.Port > 65535 {
		mistakes = append(mistakes, fmt.Errorf("Port is %d: give 587, 465 or what the server listens on", c.Port))
	}
	if from, err := netmail.ParseAddress(c.From); err != nil {
		mistakes = append(mistakes, fmt.Errorf(`From is %q: give an address, as in "Example <no-reply@example.com>"`, c.From))
	} else if _, ok := (mailbox{}).Canonical(from.Address); !ok {
		mistakes = append(mistakes, fmt.Errorf("From is %q: its address cannot be used", c.From))
	}
	if (c.Username == "") != (c.Password == "") {
		mistakes = append(mistakes, errors.New("Username and Password: one is given without the other"))
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, fmt.Errorf("courier: SMTP: %w", err)
	}
	client, err := mail.NewClient(c.Host, c.options()...)
	if err != nil {
		return nil, fmt.Errorf("courier: SMTP: %w", err)
	}
	return &SMTP{c: c, client: client}, nil
}

func (c SMTPConfig) options() []mail.Option {
	port := c.Port
	if port == 0 {
		port = 587
	}
	options := []mail.Option{mail.WithPort(port), mail.WithTimeout(tryTime)}
	switch {
	case port == 465:
		options = append(options, mail.WithSSL())
	case c.InsecureNoTLS:
		options = append(options, mail.WithTLSPolicy(mail.TLSOpportunistic))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if c.TLS != nil {
		options = append(options, mail.WithTLSConfig(c.TLS))
	}
	if c.Username != "" {
		options = append(options, mail.WithUsername(c.Username), mail.WithPassword(c.Password),
			mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover))
	}
	return options
}

// Name returns email.
func (s *SMTP) Name() string { return "email" }

// Carry implements mfa.Courier.
func (s *SMTP) Carry(ctx context.Context, m mfa.Message) error {
	letter, err := s.letter(m)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	return retry(ctx, func(ctx context.Context) error { return s.send(ctx, letter) })
}

// letter makes the mail. Names from outside are encoded by the library; a line break in one is refused by it or here.
func (s *SMTP) letter(m mfa.Message) (*mail.Msg, error) {
	to, ok := s.Canonical(m.To)
	if !ok {
		return nil, errors.New("the address of the user cannot be used")
	}
	letter := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := letter.From(s.c.From); err != nil {
		return nil, err
	}
	if err := letter.To(to); err != nil {
		return nil, err
	}
	letter.Subject(oneLine(m.Subject))
	letter.SetDate()
	_, domain, _ := strings.Cut(to, "@")
	if from, err := netmail.ParseAddress(s.c.From); err == nil {
		_, domain, _ = strings.Cut(from.Address, "@")
	}
	letter.SetMessageIDWithValue(m.ID + "@" + domain)
	letter.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 §5
	letter.SetGenHeader("X-Auto-Response-Suppress", "All")
	if m.Language != "" {
		letter.SetGenHeader("Content-Language", oneLine(m.Language))
	}
	letter.SetBodyString(mail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		letter.AddAlternativeString(mail.TypeTextHTML, m.HTML)
	}
	return letter, nil
}

func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' }), " ")
}

// send takes the open connection, or a new one, for one mail.
func (s *SMTP) send(ctx context.Context, letter *mail.Msg) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.idle != nil && time.Since(s.used) < idleTime
	conn, err := s.connection(ctx, kept)
	if err != nil {
		return err
	}
	if err := s.deliver(ctx, conn, letter); err != nil {
		s.drop(conn)
		if kept && ctx.Err() == nil { // the server may have closed it meanwhile
			return s.sendAnew(ctx, letter)
		}
		return err
	}
	s.idle, s.used = conn, time.Now()
	return nil
}

func (s *SMTP) sendAnew(ctx context.Context, letter *mail.Msg) error {
	conn, err := s.connection(ctx, false)
	if err != nil {
		return err
	}
	if err := s.deliver(ctx, conn, letter); err != nil {
		s.drop(conn)
		return err
	}
	s.idle, s.used = conn, time.Now()
	return nil
}

func (s *SMTP) connection(ctx context.Context, kept bool) (*smtp.Client, error) {
	if kept {
		conn := s.idle
		s.idle = nil
		return conn, nil
	}
	if s.idle != nil {
		s.drop(s.idle)
	}
	conn, err := s.client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return nil, passing{fmt.Errorf("mail: connecting to %s: %w", s.c.Host, err)}
	}
	return conn, nil
}

// deliver gives up when ctx ends, also in the middle of a conversation that stalls.
func (s *SMTP) deliver(ctx context.Context, conn *smtp.Client, letter *mail.Msg) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	err := s.client.SendWithSMTPClient(conn, letter)
	if err == nil {
		return nil
	}
	var told *mail.SendError
	if errors.As(err, &told) && !told.IsTemp() && told.ErrorCode() >= 500 {
		return fmt.Errorf("mail: %s refuses it: %w", s.c.Host, err)
	}
	return passing{fmt.Errorf("mail: sending by %s: %w", s.c.Host, err)}
}

func (s *SMTP) drop(conn *smtp.Client) {
	s.idle = nil
	conn.Close() // it may be broken: there is nothing to say good-bye to
}

// Close ends the connection to the server. A later Carry opens another.
func (s *SMTP) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle == nil {
		return nil
	}
	conn := s.idle
	s.idle = nil
	return s.client.CloseWithSMTPClient(conn)
}
