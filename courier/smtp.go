package courier

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strings"
	"sync"

	"github.com/wneessen/go-mail"

	"sallyport/mfa"
)

// SMTPConfig says which mail server takes the messages. Host and From are required.
type SMTPConfig struct {
	Host string

	// Port is that of submission with STARTTLS, 587, by default. 465 is TLS from the first byte.
	Port int

	// Username and Password sign in, where the server asks for it: by SCRAM-SHA-256, PLAIN or LOGIN, and without TLS by
	// the first alone, which shows nobody the password.
	Username, Password string

	// From is who sends, as in "Example <no-reply@example.com>".
	From string

	// TLS is used for the connection. Nil: the system's roots, and Host as the name in the certificate. Host is that
	// name also if ServerName is empty.
	TLS *tls.Config

	// InsecureNoTLS sends also where the server offers no STARTTLS: everybody on the way can read the codes.
	InsecureNoTLS bool
}

const (
	submission  = 587 // RFC 6409
	submissions = 465 // RFC 8314 §3.3
)

// SMTP is the courier "email". It keeps a few connections to its server open for a while.
type SMTP struct {
	mailbox
	c      SMTPConfig
	domain string // of From
	client *mail.Client
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	turns  chan struct{} // one for each conversation that is being held

	mu   sync.Mutex
	idle []*conversation // newest last
}

var _ mfa.Courier = (*SMTP)(nil)

// NewSMTP checks the configuration, all mistakes at once, and connects to nobody.
func NewSMTP(c SMTPConfig) (*SMTP, error) {
	var mistakes []error
	if c.Host == "" || strings.ContainsAny(c.Host, " /@:") {
		mistakes = append(mistakes, fmt.Errorf("Host is %q: give the name of the server, as in smtp.example.com", c.Host))
	}
	if c.Port < 0 || c.Port > 65535 {
		mistakes = append(mistakes, fmt.Errorf("Port is %d: give 587, 465 or what the server listens on", c.Port))
	}
	domain, err := senderDomain(c.From)
	if err != nil {
		mistakes = append(mistakes, err)
	}
	if (c.Username == "") != (c.Password == "") {
		mistakes = append(mistakes, errors.New("Username and Password: one is given without the other"))
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, fmt.Errorf("courier: SMTP: %w", err)
	}
	if c.Port == 0 {
		c.Port = submission
	}
	if c.TLS = c.TLS.Clone(); c.TLS == nil {
		c.TLS = &tls.Config{}
	}
	if c.TLS.ServerName == "" {
		c.TLS.ServerName = c.Host
	}
	client, err := mail.NewClient(c.Host, mail.WithTimeout(tryTime), mail.WithoutNoop())
	if err != nil {
		return nil, fmt.Errorf("courier: SMTP: %w", err)
	}
	return &SMTP{
		c: c, domain: domain, client: client, dial: (&net.Dialer{}).DialContext, turns: make(chan struct{}, conversations),
	}, nil
}

// senderDomain returns the domain of who sends.
func senderDomain(from string) (string, error) {
	parsed, err := netmail.ParseAddress(from)
	if err != nil {
		return "", fmt.Errorf(`From is %q: give an address, as in "Example <no-reply@example.com>"`, from)
	}
	address, ok := mailbox{}.Canonical(parsed.Address)
	if !ok {
		return "", fmt.Errorf("From is %q: its address cannot be used", from)
	}
	_, domain, _ := strings.Cut(address, "@")
	return domain, nil
}

// Name returns email.
func (s *SMTP) Name() string { return "email" }

// Carry implements mfa.Courier. All tries have one Message-ID: where the connection broke before the server said that
// it has the mail, it may come twice.
func (s *SMTP) Carry(ctx context.Context, m mfa.Message) error {
	letter, err := s.letter(m)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	return retry(ctx, func(ctx context.Context) error { return s.send(ctx, letter) })
}

// letter makes the mail.
func (s *SMTP) letter(m mfa.Message) (*mail.Msg, error) {
	to, ok := s.Canonical(m.To)
	if !ok {
		return nil, errors.New("the address of the user cannot be used")
	}
	letter := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := letter.From(s.c.From); err != nil {
		return nil, errors.New("From cannot be used")
	}
	if err := letter.To(to); err != nil {
		return nil, errors.New("the address of the user cannot be used")
	}
	letter.Subject(oneLine(m.Subject))
	letter.SetDate()
	letter.SetMessageIDWithValue(messageID(m.ID) + "@" + s.domain)
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

// messageID returns the left side of a Message-ID: id, or its hash where that would be none (RFC 5322 §3.6.4).
func messageID(id string) string {
	strange := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	}
	if id == "" || len(id) > 100 || strings.ContainsFunc(id, strange) || strings.Contains("."+id+".", "..") {
		sum := sha256.Sum256([]byte(id))
		return hex.EncodeToString(sum[:16])
	}
	return id
}

// send holds one conversation: one mail, on a connection that was kept or on a new one.
func (s *SMTP) send(ctx context.Context, letter *mail.Msg) error {
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	case <-ctx.Done():
		return passing{fmt.Errorf("mail: too many wait for %s: %w", s.c.Host, ctx.Err())}
	}
	c, err := s.conversation(ctx)
	if err != nil {
		return err
	}
	if err := c.deliver(ctx, s.client, letter); err != nil {
		c.cut()
		return s.judged(err)
	}
	s.keep(c)
	return nil
}

// Close ends the connections to the server that nobody uses. A later Carry opens another.
func (s *SMTP) Close() error {
	for c := s.take(); c != nil; c = s.take() {
		c.quit()
	}
	return nil
}
