package sallyport

import (
	"net/http"
	"slices"
	"time"

	"sallyport/mfa"
)

// Parsers of what comes from outside.

func ParseForm(body []byte) (map[string]string, error) { return parseForm(body) }

func ParseJSON(body []byte) (map[string]string, error) { return parseJSON(body) }

func ParseKeys(text []byte) ([]mfa.Key, error) { return parseKeys(text) }

func CleanSitePath(p string) string { return cleanSitePath(p) }

// ReencodeKnown decodes a list of known users and encodes it again.
func ReencodeKnown(b []byte) (again []byte, users int, err error) {
	list, err := decodeKnown(b)
	return encodeKnown(list), len(list), err
}

// KnownBytes is how a list of n known users is kept.
func KnownBytes(n int, at time.Time) []byte {
	return encodeKnown(slices.Repeat([]knownUser{{at: at}}, n))
}

// SealWay seals what nobody has cleaned: a path, a page of ours and a demand.
func (g *Guard) SealWay(u mfa.User, path, step string, strength int) (string, error) {
	return g.sealWay(u, way{Path: path, Step: step, Strength: strength})
}

// OpenWay returns where a text leads a login.
func (g *Guard) OpenWay(u mfa.User, text string) (place string, ok bool) {
	b, ok := g.openWay(u, text)
	return b.place(), ok
}

// CookieIn returns the value of a cookie in the lines of a Cookie header.
func CookieIn(name string, lines ...string) string {
	return cookieValue(&http.Request{Header: http.Header{"Cookie": lines}}, name)
}

// MediaTypeOf returns the media type that the lines of a Content-Type header name.
func MediaTypeOf(lines ...string) string {
	return mediaType(&http.Request{Header: http.Header{"Content-Type": lines}})
}

// AcceptsIn reports whether the lines of an Accept header name a media type.
func AcceptsIn(mediaType string, lines ...string) bool {
	return accepts(&http.Request{Header: http.Header{"Accept": lines}}, mediaType)
}

// What the pages are made of.

func (g *Guard) Messages() map[string]string { return g.pages.messages }

func ProblemNames() []string { return problemNames() }

// PagesOfMethods returns the tails of the names of the templates that methods have.
func PagesOfMethods() []string {
	tails := []string{"other"}
	for _, v := range views() {
		tails = append(tails, v.page)
	}
	return tails
}

// Templates returns the names of the templates.
func (g *Guard) Templates() []string {
	var names []string
	for name := range g.pages.templates {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
