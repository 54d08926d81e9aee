package sallyport_test

import (
	"context"
	"html"
	"regexp"
	"strconv"
	"time"

	"sallyport/mfa"
)

// minute is longer than a code of an app lives.
const minute = time.Minute

var (
	newTabLink   = regexp.MustCompile(`<a class="button" href="([^"]*)" target="_blank" rel="noopener">`)
	othersLink   = regexp.MustCompile(`<a href="([^"]*)">Try another way</a>`)
	recoveryLink = regexp.MustCompile(`<a href="(/mfa/verify/recovery[^"]*)">`)
	renewLink    = regexp.MustCompile(`<a class="button" href="([^"]*)">Make new codes</a>`)
	addLink      = regexp.MustCompile(`<a href="(/mfa/enroll/totp[^"]*)">`)
	staticLink   = regexp.MustCompile(`(?:href|src)="(/mfa/static/[^"]*\.(\w+))"`)
	hashInName   = regexp.MustCompile(`\.[0-9a-f]{16}\.`)
	unfilled     = regexp.MustCompile(`\{\w*\}`)
	h1           = regexp.MustCompile(`<h1>([^<]*)</h1>`)
)

// heading is the one heading of a page.
func heading(page answer) string {
	m := h1.FindAllStringSubmatch(page.body, -1)
	if len(m) != 1 {
		return strconv.Itoa(len(m)) + " headings"
	}
	return html.UnescapeString(m[0][1])
}

func itoa(n int) string { return strconv.Itoa(n) }

// password2 is a method of a site's own: the same words for everybody.
type password2 struct{}

func (password2) Name() string           { return "second-password" }
func (password2) Strength() mfa.Strength { return mfa.Typed }

func (password2) Begin(context.Context, mfa.Attempt) (any, []byte, error) {
	return map[string]string{}, nil, nil
}

func (password2) Finish(_ context.Context, a mfa.Attempt) (mfa.Outcome, error) {
	if string(a.Answer) != "open sesame" {
		return mfa.Outcome{}, mfa.ErrWrongAnswer
	}
	return mfa.Outcome{Factor: a.Factor}, nil
}

func (m password2) BeginEnroll(ctx context.Context, a mfa.Attempt) (any, []byte, error) {
	return m.Begin(ctx, a)
}

func (m password2) FinishEnroll(ctx context.Context, a mfa.Attempt) (mfa.Outcome, error) {
	out, err := m.Finish(ctx, a)
	out.Factor = mfa.Factor{Strength: mfa.Typed, State: []byte("set")}
	return out, err
}
