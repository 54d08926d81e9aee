package sallyport

import (
	"encoding/json"
	"net/http"
	"strings"

	"sallyport/passkey"
)

const wellKnownPlace = "/.well-known/"

// wellKnown is a document that browsers and password managers look for. Anybody may read it, from anywhere.
type wellKnown []byte

// wellKnowns makes the documents of the passkeys, by their paths.
func (g *Guard) wellKnowns() (map[string]wellKnown, error) {
	if g.keys == nil {
		return nil, nil
	}
	base := g.c.Origin + g.c.Path
	documents := map[string]any{
		wellKnownPlace + "passkey-endpoints": passkey.Endpoints{Enroll: base + "enroll/passkey", Manage: base},
	}
	if origins, ok := g.keys.RelatedOrigins(); ok {
		documents[wellKnownPlace+"webauthn"] = origins
	}
	texts := map[string]wellKnown{}
	for path, document := range documents {
		text, err := json.Marshal(document)
		if err != nil {
			return nil, err
		}
		texts[path] = text
	}
	return texts, nil
}

// serveWellKnown writes the document, if a request asks for one of ours.
func (g *Guard) serveWellKnown(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasPrefix(r.URL.Path, wellKnownPlace) || !isSafe(r.Method) {
		return false
	}
	text, ok := g.known[r.URL.Path]
	if !ok {
		return false
	}
	h := w.Header()
	ourHeaders(h)
	h.Set("Content-Type", "application/json")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	w.Write(text)
	return true
}
