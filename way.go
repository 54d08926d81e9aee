package sallyport

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sallyport/mfa"
)

// way is the way back: what somebody was about to do when they met a door, and what that door asks. It travels through
// a ceremony as sealed text, so that nobody but us chooses where it leads.
type way struct {
	Path   string `json:"p,omitempty"` // of the site; "" is "/"
	Step   string `json:"s,omitempty"` // a page of ours to visit first, below Config.Path
	Manage bool   `json:"m,omitempty"` // that page changes factors

	Factors       int           `json:"f,omitempty"`
	Strength      int           `json:"w,omitempty"`
	Verified      bool          `json:"v,omitempty"`
	VerifiedIsTwo bool          `json:"t,omitempty"`
	MaxAge        time.Duration `json:"a,omitempty"`
	Remembered    bool          `json:"r,omitempty"`
}

// maxWay is how long a way back may be.
const maxWay = 2 << 10

const wayPurpose = "back"

// wayTo leads back to a page of the site through a door that asks for p.
func wayTo(sitePath string, p mfa.Policy) way {
	return way{
		Path: cleanSitePath(sitePath), Factors: p.Factors, Strength: int(p.Min),
		Verified: p.Verified, VerifiedIsTwo: p.VerifiedIsTwo, MaxAge: p.MaxAge, Remembered: p.Remembered,
	}
}

// anyway is the way of somebody who came without one: to the front page, and any proof will do.
func anyway() way { return way{Strength: int(mfa.Sent)} }

// policy is what the place asks that the way leads to.
func (b way) policy() mfa.Policy {
	return mfa.Policy{
		Factors: b.Factors, Min: mfa.Strength(b.Strength), Verified: b.Verified, VerifiedIsTwo: b.VerifiedIsTwo,
		MaxAge: b.MaxAge, Remembered: b.Remembered,
	}
}

// after is the way that is left when its step was taken.
func (b way) after() way {
	b.Step, b.Manage = "", false
	return b
}

// through is the way with a stop at a page of ours that changes factors.
func (b way) through(step string) way {
	b.Step, b.Manage = step, true
	return b
}

// sealWay binds a way to the login that goes it.
func (g *Guard) sealWay(u mfa.User, b way) (string, error) {
	var plain bytes.Buffer
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false) // a query full of "&" would grow to six times its length, and not open again
	if err := e.Encode(b); err != nil {
		return "", err
	}
	return g.ring.SealText(g.c.Now(), wayPurpose, plain.Bytes(), u.ID, u.Session, g.c.Origin)
}

// openWay returns the way that text holds. Another login's, or none, is the way to the front page. Its path is judged
// here, where it is used.
func (g *Guard) openWay(u mfa.User, text string) (way, bool) {
	if text == "" {
		return way{}, false
	}
	plain, err := g.ring.OpenText(wayPurpose, text, u.ID, u.Session, g.c.Origin)
	if err != nil {
		return way{}, false
	}
	var b way
	if err := json.Unmarshal(plain, &b); err != nil {
		return way{}, false
	}
	b.Path = cleanSitePath(b.Path)
	return b, true
}

// place is where a way ends.
func (b way) place() string {
	if b.Path == "" {
		return "/"
	}
	return b.Path
}

// cleanSitePath returns p if every browser reads it as a path of this site, else "/".
func cleanSitePath(p string) string {
	if len(p) > maxWay || !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") || strings.ContainsFunc(p, unsafeInLocation) {
		return "/"
	}
	if u, err := url.Parse(p); err != nil || u.Host != "" || u.Scheme != "" {
		return "/"
	}
	return p
}

// unsafeInLocation reports what browsers strip from an address or read as a slash, and what no header may carry.
func unsafeInLocation(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }

// wayOf is where a request wants to go: its own address if that can be asked for again, else the page it came from.
func (g *Guard) wayOf(r *http.Request) string {
	if isSafe(r.Method) && (isNavigation(r) || g.isOurs(r.URL.Path)) {
		return cleanSitePath(r.URL.RequestURI())
	}
	if from, ok := strings.CutPrefix(r.Referer(), g.c.Origin+"/"); ok {
		return cleanSitePath("/" + from)
	}
	return "/"
}

func isSafe(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// isNavigation reports whether r loads a page into a browser's window.
func isNavigation(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	for _, name := range [...]string{"Sec-Fetch-Site", "Sec-Fetch-Dest", "Sec-Fetch-User"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	return accepts(r, "text/html")
}

// accepts reports whether a request names a media type in Accept.
func accepts(r *http.Request, mediaType string) bool {
	for _, line := range r.Header["Accept"] {
		for part := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(name), mediaType) {
				return true
			}
		}
	}
	return false
}
