package courier

import (
	"cmp"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
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

	// Countries lists whose numbers may be reached, as in {"GB", "IE"}. Nil: all, which invites whoever earns by
	// messages to premium destinations.
	Countries []string

	// Client makes the requests. Nil: one with time-outs.
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
)

type gateway struct {
	phone
	c    GatewayConfig
	base *url.URL
}

// NewSMS checks the configuration, all mistakes at once, and connects to nobody.
func NewSMS(c GatewayConfig) (*SMS, error) {
	g, err := newGateway("SMS", c)
	return &SMS{g}, err
}

// NewVoice checks the configuration, all mistakes at once, and connects to nobody.
func NewVoice(c GatewayConfig) (*Voice, error) {
	g, err := newGateway("Voice", c)
	return &Voice{g}, err
}

func newGateway(kind string, c GatewayConfig) (gateway, error) {
	if c.BaseURL == "" {
		c.BaseURL = "https://api.twilio.com"
	}
	var mistakes []error
	base, err := url.Parse(c.BaseURL)
	if err != nil || base.Host == "" || base.Scheme != "https" && !isLoopback(base) {
		mistakes = append(mistakes, fmt.Errorf("BaseURL is %q: give an https URL", c.BaseURL))
	}
	for _, field := range [...]struct{ name, value string }{{"Account", c.Account}, {"Token", c.Token}, {"From", c.From}} {
		if field.value == "" {
			mistakes = append(mistakes, fmt.Errorf("%s is empty: the gateway gives you one", field.name))
		}
	}
	for _, country := range append([]string{c.Region}, c.Countries...) {
		if country != "" && len(country) != 2 {
			mistakes = append(mistakes, fmt.Errorf("the country %q is not two letters, as in GB", country))
		}
	}
	if err := errors.Join(mistakes...); err != nil {
		return gateway{}, fmt.Errorf("courier: %s: %w", kind, err)
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: tryTime}
	}
	return gateway{phone{strings.ToUpper(c.Region), c.Countries}, c, base}, nil
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
	spoken := m.Spoken
	if spoken == "" {
		spoken = m.Text
	}
	script, err := spokenTwice(spoken, m.Language)
	if err != nil {
		return fmt.Errorf("voice: %w", err)
	}
	return v.post(ctx, "Calls.json", m.ID, url.Values{"To": {m.To}, "From": {v.c.From}, "Twiml": {script}})
}

// spokenTwice is what the gateway reads out.
func spokenTwice(text, language string) (string, error) {
	var escaped, attribute strings.Builder
	if err := xml.EscapeText(&escaped, []byte(text)); err != nil {
		return "", err
	}
	if language != "" {
		attribute.WriteString(` language="`)
		if err := xml.EscapeText(&attribute, []byte(language)); err != nil {
			return "", err
		}
		attribute.WriteString(`"`)
	}
	say := "<Say" + attribute.String() + ">" + escaped.String() + "</Say>"
	return `<Response><Pause length="1"/>` + say + `<Pause length="2"/>` + say + "</Response>", nil
}

// post gives a message to the gateway. Its errors never hold the form, which holds the code.
func (g *gateway) post(ctx context.Context, resource, id string, form url.Values) error {
	return retry(ctx, func(ctx context.Context) error {
		target := g.base.JoinPath("2010-04-01", "Accounts", g.c.Account, resource)
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), strings.NewReader(form.Encode()))
		if err != nil {
			return fmt.Errorf("gateway: %w", err)
		}
		r.SetBasicAuth(g.c.Account, g.c.Token)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", "application/json")
		r.Header.Set("I-Twilio-Idempotency-Token", id)
		answer, err := g.c.Client.Do(r)
		if err != nil {
			return passing{fmt.Errorf("gateway: %s does not answer: %w", g.base.Host, withoutURL(err))}
		}
		defer answer.Body.Close()
		return judgeAnswer("gateway "+g.base.Host, answer)
	})
}

// withoutURL drops the address from an error of http.Client: it may hold a secret of the configuration.
func withoutURL(err error) error {
	var told *url.Error
	if errors.As(err, &told) {
		return told.Err
	}
	return err
}

// judgeAnswer says whether an HTTP answer means that the message was taken.
func judgeAnswer(who string, answer *http.Response) error {
	if answer.StatusCode/100 == 2 {
		io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
		return nil
	}
	var told struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	err := fmt.Errorf("%s answers %d", who, answer.StatusCode)
	if json.Unmarshal(text, &told) == nil && told.Code != 0 {
		err = fmt.Errorf("%s answers %d: error %d", who, answer.StatusCode, told.Code)
	}
	if answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode >= 500 {
		return passing{err}
	}
	return err
}
