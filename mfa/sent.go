package mfa

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"time"
)

// SentCodes is the method of codes that couriers carry to the user, the out-of-band authenticators of NIST SP 800-63B §3.1.3.
// The address that the site knows of a user is a factor without enrollment, worth Sent, so it counts only where a
// Policy says Min: Sent. Further addresses are enrolled by proving a code. One code goes out by every courier that
// reaches the factor's address: whoever has stolen the mailbox is noticed by SMS.
type SentCodes struct {
	Couriers []Courier // in the order in which they are named to the user

	// PerGroup and InAll are how many codes a day may go to one Grouper.Group, and to all of them together. Zero: 200
	// and 10,000. A group that was sent 20 codes or more, of which fewer than 5 in 100 were proved, gets no more either.
	// Whoever asks is told the same as ever, an operator by an error in the log and the event SendsStopped.
	PerGroup, InAll int
}

// Courier carries messages to a person: an e-mail server, an SMS gateway, a function of the site. See package courier.
type Courier interface {
	// Name is a stable word, such as email, sms or voice. A user may switch a courier off by it.
	Name() string

	// Address returns where it reaches a user as the site knows them, in the form that Canonical gives; "": nowhere.
	Address(User) string

	// Canonical returns the one form of an address that a person typed, and whether it is one of this courier's.
	Canonical(typed string) (address string, ok bool)

	// Mask returns an address so that its owner knows it again and nobody else learns it.
	Mask(address string) string

	// Carry delivers m, or returns why it cannot be delivered now. It may be called again with the same Message.ID,
	// and then delivers once.
	Carry(ctx context.Context, m Message) error
}

// Grouper is a Courier whose messages cost money, so that somebody may earn by having them sent. Group returns what is
// counted together of an address, such as the range of a phone number; "": nothing.
type Grouper interface {
	Group(address string) string
}

// Message is what a Courier carries, finished and in the language of the user.
type Message struct {
	ID      string // the same for every try: an idempotency key
	To      string // canonical address
	User    User
	Purpose string // verify, enroll or notice

	Subject, Text, HTML string
	Short               string // for a text message; "": Text
	Spoken              string // for a voice, which reads it twice
	Language            string // BCP 47

	Code    string // "" in a notice
	Expires time.Time
}

// SentPrompt says where a code was sent. It is the prompt of both ceremonies.
type SentPrompt struct {
	Factor   string    `json:"factor,omitempty"`
	Digits   int       `json:"digits"`
	To       []string  `json:"to"` // masked
	ResendAt time.Time `json:"resend_at,omitzero"`

	Sent   bool `json:"sent"`             // by this begin; false: the code of the begin before is still the newest
	Failed int  `json:"failed,omitempty"` // couriers that could not deliver, of len(To)
}

// Destination is one way to reach a factor.
type Destination struct {
	Courier Courier
	Address string
}

// Sending is a code that was saved and is to be carried now.
type Sending struct {
	ID, Code, Purpose string
	To                []Destination
	Expires           time.Time
}

const (
	sentDigits  = 8
	sentLife    = 10 * time.Minute
	sentWrong   = 5 // wrong answers end a code
	maxLive     = 3
	ownFactor   = "own-" // begins the ids of factors without enrollment
	sentVersion = 1
)

// Name returns sent.
func (SentCodes) Name() string { return MethodSent }

// Strength returns the strength Sent.
func (SentCodes) Strength() Strength { return Sent }

// Check returns what is missing.
func (m SentCodes) Check() error {
	var mistakes []error
	if m.PerGroup < 0 || m.InAll < 0 {
		mistakes = append(mistakes, errors.New("SentCodes: PerGroup or InAll is negative: give how many codes a day, or 0"))
	}
	if len(m.Couriers) == 0 {
		mistakes = append(mistakes, errors.New("SentCodes.Couriers is empty: give one of package courier, or leave the method out"))
	}
	seen := map[string]bool{}
	for i, c := range m.Couriers {
		switch {
		case c == nil:
			mistakes = append(mistakes, fmt.Errorf("SentCodes.Couriers: number %d is nil: leave it out", i+1))
			continue
		case c.Name() == "" || seen[c.Name()]:
			mistakes = append(mistakes, fmt.Errorf("SentCodes.Couriers: the name %q of number %d is empty or there twice", c.Name(), i+1))
		}
		seen[c.Name()] = true
	}
	return errors.Join(mistakes...)
}

// Implied implements Sender: the addresses that the site knows are one factor. Its id changes with them.
func (m SentCodes) Implied(u User) []Factor {
	h := sha256.New()
	label := ""
	for _, c := range m.Couriers {
		if address := c.Address(u); address != "" {
			fmt.Fprintf(h, "%q %q ", c.Name(), address)
			if mask := c.Mask(address); label == "" {
				label = mask
			} else if !strings.Contains(label, mask) {
				label += ", " + mask
			}
		}
	}
	if label == "" {
		return nil
	}
	id := ownFactor + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:12])
	return []Factor{{ID: id, Method: MethodSent, Label: label, Strength: Sent}}
}

// Destinations implements Sender.
func (m SentCodes) Destinations(u User, f Factor, muted []string) []Destination {
	all := m.reach(u, f)
	list := slices.DeleteFunc(slices.Clone(all), func(d Destination) bool { return slices.Contains(muted, d.Courier.Name()) })
	if len(list) == 0 {
		return all // what was switched off is better than nothing at all
	}
	return list
}

func (m SentCodes) reach(u User, f Factor) []Destination {
	var list []Destination
	typed := ""
	if f.State != nil {
		s, err := decodeSent(f.State)
		if err != nil {
			return nil
		}
		typed = s
	}
	for _, c := range m.Couriers {
		address, ok := c.Address(u), true
		if typed != "" {
			address, ok = c.Canonical(typed)
		}
		if ok && address != "" {
			list = append(list, Destination{c, address})
		}
	}
	return list
}

// Begin says where the code of the factor goes. The Engine sends it.
func (m SentCodes) Begin(_ context.Context, a Attempt) (prompt any, state []byte, err error) {
	return SentPrompt{Factor: a.Factor.ID, Digits: sentDigits, To: m.masked(a.User, a.Factor)}, nil, nil
}

func (m SentCodes) masked(u User, f Factor) []string {
	var list []string
	for _, d := range m.reach(u, f) {
		list = append(list, d.Courier.Mask(d.Address))
	}
	return list
}

// Finish compares an answer with the code that was sent last, whose hash is the state.
func (m SentCodes) Finish(_ context.Context, a Attempt) (Outcome, error) {
	if !isSentCode(a.State, a.Answer) {
		return Outcome{}, ErrWrongAnswer
	}
	return Outcome{Factor: a.Factor}, nil
}

// BeginEnroll accepts an address. The Engine sends the code to it.
func (m SentCodes) BeginEnroll(_ context.Context, a Attempt) (prompt any, state []byte, err error) {
	for _, c := range m.Couriers {
		if address, ok := c.Canonical(a.Address); ok {
			return SentPrompt{Digits: sentDigits}, encodeSent(address), nil
		}
	}
	return nil, nil, refuse(WhyInvalid, "address")
}

// FinishEnroll compares an answer with the code that was sent to the address.
func (m SentCodes) FinishEnroll(_ context.Context, a Attempt) (Outcome, error) {
	address, err := decodeSent(a.State)
	if err != nil {
		return Outcome{}, fmt.Errorf("new sent factor: %w", err)
	}
	if !isSentCode(a.Live, a.Answer) {
		return Outcome{}, ErrWrongAnswer
	}
	f := Factor{Strength: Sent, State: encodeSent(address)}
	for _, c := range m.Couriers {
		if canonical, ok := c.Canonical(address); ok {
			f.Label = cmp.Or(f.Label, c.Mask(canonical))
		}
	}
	return Outcome{Factor: f}, nil
}

// Reprompt asks for the same code again.
func (m SentCodes) Reprompt(a Attempt) (prompt any, err error) {
	return SentPrompt{Digits: sentDigits, To: m.masked(User{}, Factor{State: a.State})}, nil
}

// Canonical implements Canonicalizer: eight ASCII digits.
func (SentCodes) Canonical(_ Factor, answer []byte) ([]byte, bool) {
	return canonicalDigits(answer, sentDigits)
}

// SentFactor returns a factor of an address in a courier's canonical form.
func SentFactor(address string) Factor {
	return Factor{Method: MethodSent, Strength: Sent, State: encodeSent(address)}
}

func encodeSent(address string) []byte {
	w := &writer{b: []byte{sentVersion}}
	w.text(address)
	return w.b
}

func decodeSent(b []byte) (address string, err error) {
	r := &reader{b: b}
	if r.byte() != sentVersion {
		return "", errWire
	}
	address = r.text()
	if address == "" {
		r.fail()
	}
	return address, r.end()
}

// newSentCode draws a code, and the salt and hash that are kept of it.
func newSentCode() (code string, hash []byte, err error) {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(powerOfTen(sentDigits))))
	if err != nil {
		return "", nil, fmt.Errorf("drawing a code: %w", err)
	}
	code = fmt.Sprintf("%0*d", sentDigits, n)
	salt := make([]byte, 16)
	if _, err := io.ReadFull(rand.Reader, salt); err != nil {
		return "", nil, fmt.Errorf("drawing a code: %w", err)
	}
	return code, hashSentCode(salt, []byte(code)), nil
}

func hashSentCode(salt, code []byte) []byte {
	h := hmac.New(sha256.New, salt)
	h.Write(code)
	return h.Sum(slices.Clone(salt))
}

func isSentCode(hash, code []byte) bool {
	const salt = 16
	return len(hash) == salt+sha256.Size && subtle.ConstantTimeCompare(hash, hashSentCode(hash[:salt], code)) == 1
}
