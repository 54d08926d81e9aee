package courier

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"

	"sallyport/mfa"
)

// Func is a courier that is a function of the site. It reaches e-mail addresses.
type Func struct {
	mailbox
	name  string
	carry func(context.Context, mfa.Message) error
}

var _ mfa.Courier = (*Func)(nil)

// NewFunc makes a courier of a function, which must return when its context ends. Nothing is tried again. It panics
// without a name or a function.
func NewFunc(name string, carry func(context.Context, mfa.Message) error) *Func {
	if name == "" || carry == nil {
		panic("courier: NewFunc without a name or a function")
	}
	return &Func{name: name, carry: carry}
}

// Name returns the name.
func (f *Func) Name() string { return f.name }

// Carry implements mfa.Courier.
func (f *Func) Carry(ctx context.Context, m mfa.Message) error { return carryWithin(ctx, f.carry, m) }

func carryWithin(ctx context.Context, carry func(context.Context, mfa.Message) error, m mfa.Message) error {
	ctx, cancel := context.WithTimeout(ctx, allTime)
	defer cancel()
	return carry(ctx, m)
}

// PhoneFunc is a courier that is a function of the site and reaches phones.
type PhoneFunc struct {
	phone
	name  string
	carry func(context.Context, mfa.Message) error
}

var (
	_ mfa.Courier = (*PhoneFunc)(nil)
	_ mfa.Grouper = (*PhoneFunc)(nil)
)

// NewPhoneFunc makes a courier of a function, which must return when its context ends. Region and countries are those
// of GatewayConfig. It panics without a name or a function, and for a country that is none.
func NewPhoneFunc(name, region string, countries []string, carry func(context.Context, mfa.Message) error) *PhoneFunc {
	if name == "" || carry == nil {
		panic("courier: NewPhoneFunc without a name or a function")
	}
	numbers, err := newPhone(region, countries)
	if err != nil {
		panic("courier: NewPhoneFunc: " + err.Error())
	}
	return &PhoneFunc{numbers, name, carry}
}

// Name returns the name.
func (f *PhoneFunc) Name() string { return f.name }

// Carry implements mfa.Courier.
func (f *PhoneFunc) Carry(ctx context.Context, m mfa.Message) error {
	return carryWithin(ctx, f.carry, m)
}

// Terminal is the courier "terminal": it prints messages, for development. Everybody who sees the screen or its log
// sees the codes.
type Terminal struct {
	mailbox
	mu  sync.Mutex
	out io.Writer
}

var _ mfa.Courier = (*Terminal)(nil)

// NewTerminal makes a courier that prints to out.
func NewTerminal(out io.Writer) *Terminal { return &Terminal{out: out} }

// Name returns terminal.
func (t *Terminal) Name() string { return "terminal" }

// Carry implements mfa.Courier. What could move the cursor is left out.
func (t *Terminal) Carry(_ context.Context, m mfa.Message) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	to, subject := printable(oneLine(m.To)), printable(oneLine(m.Subject))
	if _, err := fmt.Fprintf(t.out, "--- to %s: %s\n%s\n---\n", to, subject, printable(m.Text)); err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	return nil
}

func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return -1
		}
		return r
	}, text)
}
