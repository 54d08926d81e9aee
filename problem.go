package sallyport

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"sallyport/mfa"
)

// problem is an answer that says no, as RFC 9457 has it or as a page. Its title and text come from the messages, by
// its name.
type problem struct {
	name   string // of /mfa/problems/<name>
	status int
	detail string // key of the message that says more; "": that of the name
	args   []any  // of that message

	retryAfter time.Duration
	challenge  bool // it carries WWW-Authenticate
	allow      string
	url        string   // where to go to mend it
	methods    []string // that may be used there
	begun      *mfa.Begun
	signal     *signal // for the browser that keeps a passkey; nil: nothing
	hint       string  // of a Refusal
	note       string  // for developers: what exactly was wrong; never a secret
}

// Error names the problem, for logs.
func (p *problem) Error() string { return "problem " + p.name }

// Names of problems.
const (
	nameWrongAnswer   = "wrong-answer"
	nameNoTicket      = "no-ticket"
	nameLastFactor    = "last-factor"
	nameTooMany       = "too-many"
	nameUnknownMethod = "unknown-method"
	nameNotFound      = "not-found"
	nameMustVerify    = "must-verify"
	nameMustEnroll    = "must-enroll"
	nameMustSignIn    = "must-sign-in"
	nameDenied        = "denied"
	nameCrossOrigin   = "cross-origin"
	nameInvalid       = "invalid-request"
	nameTooLarge      = "too-large"
	nameUnavailable   = "unavailable"
	nameMisconfigured = "misconfigured"
)

func problemNames() []string {
	return []string{
		nameWrongAnswer, nameNoTicket, nameLastFactor, nameTooMany, nameUnknownMethod, nameNotFound, nameMustVerify,
		nameMustEnroll, nameMustSignIn, nameDenied, nameCrossOrigin, nameInvalid, nameTooLarge, nameUnavailable,
		nameMisconfigured,
	}
}

func invalid(note string) error {
	return &problem{name: nameInvalid, status: http.StatusBadRequest, note: note}
}

func notFound() error { return &problem{name: nameNotFound, status: http.StatusNotFound} }

func denied(detail string) *problem {
	return &problem{name: nameDenied, status: http.StatusForbidden, detail: detail}
}

// unavailableFor is what Retry-After says when nobody knows better.
const unavailableFor = 5 * time.Second

func unavailable() *problem {
	return &problem{name: nameUnavailable, status: http.StatusServiceUnavailable, retryAfter: unavailableFor}
}

// problemOf turns an error into what the client is told. An error that nobody has foreseen denies; it was logged.
func (g *Guard) problemOf(r *http.Request, err error) *problem {
	var known *problem
	var refusal *mfa.Refusal
	var bug *panicked
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &refusal):
		return problemOfRefusal(refusal)
	case errors.As(err, &bug):
		g.c.Log.Error("sallyport: a panic was caught, and the request refused",
			"in", bug.what, "path", r.URL.Path, "type", fmt.Sprintf("%T", bug.value), "stack", string(bug.stack))
		return &problem{name: nameMisconfigured, status: http.StatusInternalServerError}
	}
	if r.Context().Err() == nil {
		g.c.Log.Error("sallyport: a request was refused, since it could not be decided", "path", r.URL.Path, "error", err)
	}
	return unavailable()
}

func problemOfRefusal(r *mfa.Refusal) *problem {
	p := &problem{name: string(r.Why), retryAfter: r.RetryAfter, note: r.Detail, begun: r.Retry, hint: r.Hint}
	switch r.Why {
	case mfa.WhyWrongAnswer:
		p.status = http.StatusUnprocessableEntity
	case mfa.WhyNoTicket, mfa.WhyLastFactor:
		p.status = http.StatusConflict
	case mfa.WhyTooMany:
		p.status = http.StatusTooManyRequests
	case mfa.WhyUnknownMethod, mfa.WhyNotFound:
		p.status = http.StatusNotFound
	case mfa.WhyMustVerify, mfa.WhyMustEnroll:
		p.status, p.challenge = http.StatusUnauthorized, true
	case mfa.WhyInvalid:
		p.status = http.StatusBadRequest
	case mfa.WhyMustSignIn, mfa.WhyManaged:
		p.name, p.status, p.detail = nameDenied, http.StatusForbidden, string(r.Why)
	case mfa.WhyTaken, mfa.WhyFull:
		p.name, p.status, p.detail = nameDenied, http.StatusConflict, string(r.Why)
	default:
		p.name, p.status = nameDenied, http.StatusForbidden
	}
	return p
}

// problemDocument is the JSON of a problem.
type problemDocument struct {
	Type    string   `json:"type"`
	Title   string   `json:"title"`
	Status  int      `json:"status"`
	Detail  string   `json:"detail,omitempty"`
	URL     string   `json:"url,omitempty"`
	Methods []string `json:"methods,omitempty"`
	Hint    string   `json:"hint,omitempty"` // clock: two codes in a row bring the app back into step
	Signal  *signal  `json:"signal,omitempty"`
	*begunDocument
}

// begunDocument is the JSON of a ceremony's first half.
type begunDocument struct {
	Ticket  string    `json:"ticket"`
	Prompt  any       `json:"prompt"`
	Expires time.Time `json:"expires"`
}

func newBegunDocument(b *mfa.Begun) *begunDocument {
	if b == nil {
		return nil
	}
	return &begunDocument{b.Ticket, b.Prompt, b.Expires.UTC().Truncate(time.Second)}
}

// writeProblem writes a problem as a document.
func (g *Guard) writeProblem(w http.ResponseWriter, r *http.Request, p *problem) {
	g.problemHeaders(w, p)
	detail := g.pages.say(p.textKey(), p.args...)
	if p.note != "" {
		detail += " (" + p.note + ")"
	}
	g.writeJSON(w, r, p.status, "application/problem+json", problemDocument{
		Type: g.c.Path + "problems/" + p.name, Title: g.pages.say("problem." + p.name + ".title"), Status: p.status,
		Detail: detail, URL: p.url, Methods: p.methods, Signal: p.signal, Hint: p.hint,
		begunDocument: newBegunDocument(p.begun),
	})
}

// textKey is the message that says what was wrong and what to do next.
func (p *problem) textKey() string {
	if p.detail != "" {
		return "detail." + p.detail
	}
	return "problem." + p.name + ".text"
}

func (g *Guard) problemHeaders(w http.ResponseWriter, p *problem) {
	ourHeaders(w.Header())
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds(p.retryAfter)))
	}
	if p.challenge {
		w.Header().Set("WWW-Authenticate", `Sallyport url="`+g.c.Path+`verify"`)
	}
	if p.allow != "" {
		w.Header().Set("Allow", p.allow)
	}
}

// seconds rounds up, so that nobody is told to come back too early.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

func (g *Guard) writeJSON(w http.ResponseWriter, r *http.Request, status int, mediaType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		g.c.Log.Error("sallyport: encoding an answer", "path", r.URL.Path, "error", err)
		status, body = http.StatusInternalServerError, []byte(`{"type":"about:blank","status":500}`)
	}
	ourHeaders(w.Header())
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}

// varies is what our answers depend on.
const varies = "Accept, Authorization, Content-Type, Cookie, Sec-Fetch-Mode"

// ourHeaders puts the headers on that every answer of ours carries, and takes off what a site's own layers may have
// promised for theirs.
func ourHeaders(h http.Header) {
	for _, name := range [...]string{"Etag", "Last-Modified", "Expires", "Content-Length"} {
		h.Del(name)
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "+
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "publickey-credentials-get=(self), publickey-credentials-create=(self)")
	if !slices.Contains(h["Vary"], varies) {
		h.Add("Vary", varies)
	}
}
