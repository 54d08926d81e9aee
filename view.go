package sallyport

import (
	"html/template"
	"net/http"
	"strings"

	"rsc.io/qr"

	"sallyport/mfa"
	"sallyport/passkey"
)

// view is what the pages know about one method. Everything else about a method is its own.
type view struct {
	// page is the tail of the names of its templates, verify-<page> and enroll-<page>.
	page string

	// object says that its answers are JSON objects, in a form their text.
	object bool

	// prompt completes what clients are shown, in documents and pages alike. Nil: as the method made it.
	prompt func(any) (any, error)
}

// views returns the methods that have pages of their own.
func views() map[string]view {
	return map[string]view{
		mfa.MethodPasskey:  {page: "passkey", object: true},
		mfa.MethodTOTP:     {page: "totp", prompt: withQR},
		mfa.MethodHOTP:     {page: "totp", prompt: withQR},
		mfa.MethodRecovery: {page: "recovery"},
		mfa.MethodSent:     {page: "sent"},
	}
}

// view returns that of a method. One without its own asks for a text.
func (g *Guard) view(method string) view {
	if v, ok := g.views[method]; ok {
		return v
	}
	return view{page: "other"}
}

// answer is what the fields of a request answer.
func (v view) answer(f fields) ([]byte, error) {
	text, ok := f[fieldAnswer]
	switch {
	case !ok:
		return nil, invalid(`the field "answer" is missing`)
	case strings.HasPrefix(text, "{") != v.object && text != "":
		if v.object {
			return nil, invalid(`the field "answer" must be an object`)
		}
		return nil, invalid(`the field "answer" must be a string`)
	}
	return []byte(text), nil
}

// shown completes the prompt of a ceremony.
func (g *Guard) shown(b *mfa.Begun) error {
	if v := g.view(b.Method); v.prompt != nil {
		prompt, err := v.prompt(b.Prompt)
		if err != nil {
			return err
		}
		b.Prompt = prompt
	}
	return nil
}

// withQR draws the picture of an enrollment's otpauth URI.
func withQR(prompt any) (any, error) {
	p, ok := prompt.(mfa.OTPEnrollPrompt)
	if !ok || p.QR != "" {
		return prompt, nil
	}
	code, err := qr.Encode(p.URI, qr.M)
	if err != nil {
		return nil, err
	}
	p.QR = svgOf(code)
	return p, nil
}

// svgOf draws a QR code in rows of dark runs, with the four modules of quiet around it that ISO/IEC 18004 asks for.
func svgOf(code *qr.Code) string {
	const quiet = 4
	var b strings.Builder
	side := itoa(code.Size + 2*quiet)
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ` + side + ` ` + side + `" shape-rendering="crispEdges">`)
	b.WriteString(`<path fill="#fff" d="M0 0h` + side + `v` + side + `H0z"/><path fill="#000" d="`)
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			if !code.Black(x, y) {
				continue
			}
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			b.WriteString("M" + itoa(from+quiet) + " " + itoa(y+quiet) + "h" + itoa(x-from) + "v1H" + itoa(from+quiet) + "z")
		}
	}
	b.WriteString(`"/></svg>`)
	return b.String()
}

// picture is a prompt's own SVG, drawn by svgOf from numbers alone.
func picture(svg string) template.HTML {
	return template.HTML(strings.Replace(svg, "<svg ", `<svg class="qr" aria-hidden="true" focusable="false" `, 1))
}

// groups sets a text apart in fours, to be read and typed.
func groups(text string) string {
	var b strings.Builder
	for i, r := range text {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// otpauth lets an authenticator app on this device open the secret.
func otpauth(uri string) template.URL {
	if !strings.HasPrefix(uri, "otpauth://") {
		return ""
	}
	return template.URL(uri)
}

// static serves a file under its hashed name, which never changes its content.
func (g *Guard) static(w http.ResponseWriter, r *http.Request) {
	f, ok := g.pages.static[r.PathValue("name")]
	if !ok {
		g.refuse(w, r, notFound())
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Content-Type", f.mediaType)
	h.Del("Vary")
	w.Write(f.content)
}

// passkeyMethod returns the one among the methods that knows about WebAuthn; nil: there is none.
func passkeyMethod(methods []mfa.Method) *passkey.Method {
	for _, m := range methods {
		if keys, ok := m.(*passkey.Method); ok && keys != nil {
			return keys
		}
	}
	return nil
}
