package courier

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sallyport/mfa"
)

// WebhookConfig says where messages are posted. All fields but Client are required.
type WebhookConfig struct {
	// Name is what the courier is called, as in "chat".
	Name string

	URL string

	// Secret signs what is posted (Standard Webhooks): "whsec_" and base64 of 24 to 64 random bytes.
	Secret string

	// Client makes the requests. Nil: one with time-outs. Redirects are not followed.
	Client *http.Client
}

// Webhook posts each message as JSON to a service of the site, which carries it further. Requests are signed as
// Standard Webhooks 1.0 says: the headers webhook-id, webhook-timestamp and webhook-signature. It reaches e-mail
// addresses.
type Webhook struct {
	mailbox
	c      WebhookConfig
	key    []byte
	client *http.Client
}

var _ mfa.Courier = (*Webhook)(nil)

// NewWebhook checks the configuration, all mistakes at once, and connects to nobody.
func NewWebhook(c WebhookConfig) (*Webhook, error) {
	var mistakes []error
	if c.Name == "" {
		mistakes = append(mistakes, errors.New(`Name is empty: give a word, as in "chat"`))
	}
	if u, err := url.Parse(c.URL); err != nil || u.Host == "" || u.Scheme != "https" && !isLoopback(u) {
		mistakes = append(mistakes, errors.New("URL is not an https URL"))
	}
	encoded, prefixed := strings.CutPrefix(c.Secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || !prefixed || len(key) < 24 || len(key) > 64 {
		mistakes = append(mistakes, errors.New(`Secret is not "whsec_" and base64 of 24 to 64 random bytes`))
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, fmt.Errorf("courier: webhook: %w", err)
	}
	return &Webhook{c: c, key: key, client: ownClient(c.Client)}, nil
}

// Name returns WebhookConfig.Name.
func (h *Webhook) Name() string { return h.c.Name }

// posted is the JSON of a message.
type posted struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      struct {
		To       string     `json:"to"`
		User     string     `json:"user"`
		Purpose  string     `json:"purpose"`
		Subject  string     `json:"subject"`
		Text     string     `json:"text"`
		HTML     string     `json:"html,omitempty"`
		Short    string     `json:"short,omitempty"`
		Spoken   string     `json:"spoken,omitempty"`
		Language string     `json:"language,omitempty"`
		Code     string     `json:"code,omitempty"`
		Expires  *time.Time `json:"expires,omitempty"`
	} `json:"data"`
}

// Carry implements mfa.Courier.
func (h *Webhook) Carry(ctx context.Context, m mfa.Message) error {
	p := posted{Type: "sallyport.message", Timestamp: time.Now().UTC()}
	p.Data.To, p.Data.User, p.Data.Purpose, p.Data.Subject = m.To, m.User.ID, m.Purpose, m.Subject
	p.Data.Text, p.Data.HTML, p.Data.Short, p.Data.Spoken = m.Text, m.HTML, m.Short, m.Spoken
	p.Data.Language, p.Data.Code = m.Language, m.Code
	if !m.Expires.IsZero() {
		expires := m.Expires.UTC()
		p.Data.Expires = &expires
	}
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	return retry(ctx, func(ctx context.Context) error { return h.post(ctx, m.ID, body) })
}

func (h *Webhook) post(ctx context.Context, id string, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.c.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("webhook %s: no request can be made", h.c.Name)
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("webhook-id", id)
	r.Header.Set("webhook-timestamp", at)
	r.Header.Set("webhook-signature", "v1,"+h.sign(id, at, body))
	answer, err := h.client.Do(r)
	if err != nil {
		return passing{fmt.Errorf("webhook %s does not answer: %w", h.c.Name, harmless(err))}
	}
	defer answer.Body.Close()
	_, err = judgeAnswer("webhook "+h.c.Name, answer)
	return err
}

func (h *Webhook) sign(id, at string, body []byte) string {
	mac := hmac.New(sha256.New, h.key)
	fmt.Fprintf(mac, "%s.%s.", id, at)
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
