package courier

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"sallyport/mfa"
)

// GatewayConfig says which gateway takes SMS or calls: Twilio's, or another that speaks as it does. Account, Token and
// From are required.
type GatewayConfig struct {
	BaseURL string // default: https://api.twilio.com

	// Account and Token sign in.
	Account, Token string

	// From is the number that sends or calls, in E.164 form; for SMS also the SID of a messaging service ("MG…").
	From string

	// Region is the country of numbers that users type in national form, as in "GB". "": they must type a "+".
	Region string

	// Countries lists whose numbers may be reached, as in {"GB", "IE"}. Nil: those of all countries, which invites
	// whoever earns by messages to the dear ones.
	Countries []string

	// Client makes the requests. Nil: one with time-outs. Redirects are not followed.
	Client *http.Client
}

// SMS is the courier "sms".
type SMS struct{ gateway }

// Voice is the courier "voice": it calls and reads the code, slowly and twice.
type Voice struct{ gateway }

var (
	_ mfa.Courier = (*SMS)(nil)
	_ mfa.Courier = (*Voice)(nil)
	_ mfa.Grouper = (*SMS)(nil)
	_ mfa.Grouper = (*Voice)(nil)
)

type gateway struct {
	phone
	c      GatewayConfig
	base   *url.URL
	client *http.Client
}

// NewSMS checks the configuration, all mistakes at once, and connects to nobody.
func NewSMS(c GatewayConfig) (*SMS, error) {
	g, err := newGateway("SMS", c)
	if err != nil {
		return nil, err
	}
	return &SMS{g}, nil
}

// NewVoice checks the configuration, all mistakes at once, and connects to nobody.
func NewVoice(c GatewayConfig) (*Voice, error) {
	g, err := newGateway("Voice", c)
	if err != nil {
		return nil, err
	}
	return &Voice{g}, nil
}

func newGateway(kind string, c GatewayConfig) (gateway, error) {
	var mistakes []error
	base, err := url.Parse(cmp.Or(c.BaseURL, "https://api.twilio.com"))
	if err != nil || base.Host == "" || base.User != nil || base.Scheme != "https" && !isLoopback(base) {
		mistakes = append(mistakes, errors.New("BaseURL is not an https URL without a password in it"))
	}
	for _, field := range [...]struct{ name, value string }{{"Account", c.Account}, {"Token", c.Token}, {"From", c.From}} {
		if field.value == "" {
			mistakes = append(mistakes, fmt.Errorf("%s is empty: the gateway gives you one", field.name))
		}
	}
	if c.Account != url.PathEscape(c.Account) || strings.Trim(c.Account, ".") == "" && c.Account != "" {
		mistakes = append(mistakes, errors.New("Account holds what cannot stand in a path"))
	}
	numbers, err := newPhone(c.Region, c.Countries)
	if err != nil {
		mistakes = append(mistakes, err)
	}
	if err := errors.Join(mistakes...); err != nil {
		return gateway{}, fmt.Errorf("courier: %s: %w", kind, err)
	}
	return gateway{numbers, c, base, ownClient(c.Client)}, nil
}

func isLoopback(u *url.URL) bool {
	host := u.Hostname()
	return u.Scheme == "http" && (host == "localhost" || host == "127.0.0.1" || host == "::1")
}

// Name returns sms.
func (s *SMS) Name() string { return "sms" }

// Carry implements mfa.Courier.
func (s *SMS) Carry(ctx context.Context, m mfa.Message) error {
	form := url.Values{"To": {m.To}, "Body": {cmp.Or(m.Short, m.Text)}}
	if strings.HasPrefix(s.c.From, "MG") {
		form.Set("MessagingServiceSid", s.c.From)
	} else {
		form.Set("From", s.c.From)
	}
	return s.post(ctx, "Messages.json", m.ID, form)
}

// Name returns voice.
func (v *Voice) Name() string { return "voice" }

// Carry implements mfa.Courier.
func (v *Voice) Carry(ctx context.Context, m mfa.Message) error {
	script := spokenTwice(cmp.Or(m.Spoken, m.Text), m.Language)
	return v.post(ctx, "Calls.json", m.ID, url.Values{"To": {m.To}, "From": {v.c.From}, "Twiml": {script}})
}

// spokenTwice is what the gateway reads out.
func spokenTwice(text, language string) string {
	say := "<Say>"
	if language != "" {
		say = `<Say language="` + escaped(language) + `">`
	}
	say += escaped(text) + "</Say>"
	return `<Response><Pause length="1"/>` + say + `<Pause length="2"/>` + say + "</Response>"
}

func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder takes everything
	return b.String()
}

// post gives a message to the gateway. Its errors never hold the form, which holds the code.
func (g *gateway) post(ctx context.Context, resource, id string, form url.Values) error {
	target := g.base.JoinPath("2010-04-01", "Accounts", g.c.Account, resource).String()
	return retry(ctx, func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(form.Encode()))
		if err != nil {
			return fmt.Errorf("gateway %s: no request can be made", g.base.Host)
		}
		r.SetBasicAuth(g.c.Account, g.c.Token)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", "application/json")
		r.Header.Set("I-Twilio-Idempotency-Token", id)
		answer, err := g.client.Do(r)
		if err != nil {
			return passing{fmt.Errorf("gateway %s does not answer: %w", g.base.Host, harmless(err))}
		}
		defer answer.Body.Close()
		t, err := judgeAnswer("gateway "+g.base.Host, answer)
		if err == nil && (t.Status == "failed" || t.Status == "undelivered") {
			return fmt.Errorf("gateway %s took it and could not deliver it%s", g.base.Host, numbered(t.ErrorCode))
		}
		return err
	})
}
