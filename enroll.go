package sallyport

import (
	"net/http"
	"slices"
	"time"

	"sallyport/mfa"
)

// enrollMain is a page on which a factor is added.
type enrollMain struct {
	Action, Ticket, Back string
	Prompt               any
	Label                string
	Later                string // address of where to go without; "": the factor is needed
	Others               string // address of the other methods; "": there are none
	Heading              string // of a file in which recovery codes are saved
	Wrong                bool   // the last answer was
	Address              string // where codes are to be sent, as it was typed
	Seconds              int    // until a code can be sent again
	Replaces             bool   // it takes the place of what is there
}

// methodsMain is a page that offers methods to add.
type methodsMain struct {
	Methods []methodChoice
	Reset   bool
}

type methodChoice struct{ Method, Name, Text, URL string }

// enrollable are the methods that users can add from the pages and that would count where the way leads.
func (g *Guard) enrollable(b way) []string {
	list := []string{} // in a document [], not null
	for _, name := range g.engine.Methods() {
		m, err := g.engine.Method(name)
		if err != nil || name == mfa.MethodRecovery {
			continue
		}
		if _, ok := m.(mfa.Enroller); !ok {
			continue
		}
		if m.Strength() < mfa.Strength(b.Strength) || b.Verified && m.Strength() < mfa.PhishingResistant {
			continue
		}
		list = append(list, name)
	}
	return list
}

// enroll offers the methods that can be added.
func (g *Guard) enroll(w http.ResponseWriter, r *http.Request, c *caller) error {
	if err := g.gate(r, c); err != nil {
		return err
	}
	list := g.enrollable(c.way)
	switch {
	case c.json:
		g.writeJSON(w, r, http.StatusOK, "application/json", map[string]any{"methods": list})
	case len(list) == 0:
		return denied("no-method")
	case len(list) == 1:
		redirect(w, g.link("enroll/"+list[0], "back", c.back))
	default:
		g.render(w, r, http.StatusOK, "enroll", &page{
			Title: g.pages.say("enroll.title"), UserName: displayName(c.User), Main: methodsMain{Methods: g.methodChoices(list, c.back)},
		})
	}
	return nil
}

func (g *Guard) methodChoices(methods []string, back string) []methodChoice {
	var list []methodChoice
	for _, m := range methods {
		list = append(list, methodChoice{
			m, g.methodName(m), g.pages.sayOr("method."+m+".text", "method.other.text"), g.link("enroll/"+m, "back", back),
		})
	}
	return list
}

// gate returns nil if the caller may change factors now.
func (g *Guard) gate(r *http.Request, c *caller) error {
	acct, err := g.engine.AccountOf(r.Context(), c.User)
	if err != nil {
		return err
	}
	if err := g.sentFirst(r, c); err != nil {
		return err
	}
	return g.engine.Gate(acct, c.Visit)
}

// sentFirst returns the Refusal MustVerify if what stands before a caller asks for a code that is sent: without it no
// first factor is added, which would prove more than the code and was asked for nothing but the password.
func (g *Guard) sentFirst(r *http.Request, c *caller) error {
	if !g.sends(mfa.MethodSent) {
		return nil
	}
	p, err := g.asks(r, c)
	if err != nil {
		return err
	}
	d, err := g.engine.Decide(r.Context(), p, c.Visit)
	if err == nil && !d.Enrolled && d.Action == mfa.Verify {
		err = &mfa.Refusal{Why: mfa.WhyMustVerify, Detail: "a code is sent first"}
	}
	return err
}

// asks returns what a login that is pending was asked for, or what Protect asks for now.
func (g *Guard) asks(r *http.Request, c *caller) (mfa.Policy, error) {
	if c.challenge != nil {
		return c.challenge.Way.policy(), nil
	}
	return g.policy(r)
}

// enrollWith begins to add a factor. Nothing is kept before it is confirmed.
func (g *Guard) enrollWith(w http.ResponseWriter, r *http.Request, c *caller) error {
	method := r.PathValue("method")
	if c.json {
		m, err := g.engine.Method(method)
		if err != nil {
			return err
		}
		if err := g.gate(r, c); err != nil {
			return err
		}
		_, enrolls := m.(mfa.Enroller)
		g.writeJSON(w, r, http.StatusOK, "application/json", map[string]any{
			"method": method, "strength": m.Strength(), "enrollable": enrolls,
		})
		return nil
	}
	if g.sends(method) {
		return g.askAddress(w, r, c, http.StatusOK, "", "")
	}
	if err := g.sentFirst(r, c); err != nil {
		return err
	}
	b, err := g.engine.BeginEnroll(r.Context(), c.Visit, method)
	if err != nil {
		return err
	}
	return g.enrollPage(w, r, c, http.StatusOK, &b, "", "")
}

// askAddress asks where codes are to be sent. Nothing is sent before the form is.
func (g *Guard) askAddress(w http.ResponseWriter, r *http.Request, c *caller, status int, address, wrong string) error {
	if err := g.gate(r, c); err != nil {
		return err
	}
	main := enrollMain{
		Action: g.c.Path + "enroll/" + mfa.MethodSent, Back: c.back, Address: address, Wrong: wrong != "",
		Prompt: mfa.SentPrompt{},
	}
	if len(g.enrollable(c.way)) > 1 {
		main.Others = g.link("enroll", "back", c.back)
	}
	g.render(w, r, status, "enroll-sent", &page{
		Title: g.pages.say("enroll-sent.title"), Error: wrong, UserName: displayName(c.User), Main: main,
	})
	return nil
}

func (g *Guard) enrollPage(w http.ResponseWriter, r *http.Request, c *caller, status int, b *mfa.Begun, label, wrong string) error {
	if err := g.shown(b); err != nil {
		return err
	}
	acct, err := g.engine.AccountOf(r.Context(), c.User)
	if err != nil {
		return err
	}
	main := enrollMain{
		Action: g.c.Path + "enroll/" + b.Method, Ticket: b.Ticket, Back: c.back, Prompt: b.Prompt, Label: label,
		Wrong: wrong != "",
	}
	if p, ok := b.Prompt.(mfa.SentPrompt); ok {
		main.Seconds = max(0, seconds(p.ResendAt.Sub(g.c.Now())))
		if p.Failed > 0 && wrong == "" {
			wrong = g.undelivered(p)
		}
	}
	if _, ok := b.Prompt.(mfa.RecoveryPrompt); ok {
		main.Heading = g.pages.say("codes.file", "site", g.c.Name, "origin", g.c.Origin)
		main.Replaces = slices.ContainsFunc(acct.Factors, func(f mfa.Factor) bool { return f.Method == b.Method })
	}
	if b.Method != mfa.MethodRecovery && len(g.enrollable(c.way)) > 1 {
		main.Others = g.link("enroll", "back", c.back)
	}
	if acct.Enrolled() {
		if main.Later, err = g.next(c); err != nil {
			return err
		}
		if c.back == "" {
			main.Later = g.c.Path
		}
	}
	v := g.view(b.Method)
	title := g.pages.say("enroll-" + v.page + ".title")
	if v.page == "other" {
		title = g.pages.say("enroll-other.title", "method", g.methodName(b.Method))
	}
	g.render(w, r, status, "enroll-"+v.page, &page{
		Title: title, Error: wrong, UserName: displayName(c.User), Main: main, Signal: c.signal,
	})
	return nil
}

// beginEnroll is the first half of an enrollment, for a client that makes its own pages.
func (g *Guard) beginEnroll(w http.ResponseWriter, r *http.Request, c *caller) error {
	method, allowed := r.PathValue("method"), []string(nil)
	if g.sends(method) {
		allowed = []string{fieldAddress}
	}
	f, err := g.read(w, r, c, allowed...)
	if err != nil {
		return err
	}
	if err := g.sentFirst(r, c); err != nil {
		return err
	}
	b, err := g.engine.BeginEnrollAt(r.Context(), c.Visit, method, f[fieldAddress])
	if refusal := refusalOf(err, mfa.WhyInvalid); refusal != nil && g.sends(method) {
		p := &problem{name: nameInvalid, status: http.StatusBadRequest, detail: "address"}
		if c.json {
			return p
		}
		return g.askAddress(w, r, c, p.status, f[fieldAddress], g.pages.say(p.textKey()))
	}
	if err != nil {
		return err
	}
	g.carry(r.Context(), c.User, &b)
	if !c.json {
		return g.enrollPage(w, r, c, http.StatusOK, &b, "", "")
	}
	return g.writeBegun(w, r, &b)
}

// finishEnroll judges the answer that confirms an enrollment.
func (g *Guard) finishEnroll(w http.ResponseWriter, r *http.Request, c *caller) error {
	method := r.PathValue("method")
	f, ticket, answer, err := g.reply(w, r, c, method, fieldLabel)
	if err != nil {
		return err
	}
	if err := g.sentFirst(r, c); err != nil {
		return err
	}
	done, err := g.engine.FinishEnroll(r.Context(), c.Visit, method, ticket, answer, f[fieldLabel])
	if err != nil {
		c.signal = g.refusedPasskey(r, method, answer, err)
		return g.unenrolled(w, r, c, method, f[fieldLabel], err)
	}
	if err := g.proved(w, r, c, done); err != nil {
		return err
	}
	return g.afterEnrollment(w, r, c, done)
}

// afterEnrollment leads on: from a first factor to the recovery codes that stand in for it.
func (g *Guard) afterEnrollment(w http.ResponseWriter, r *http.Request, c *caller, done mfa.Done) error {
	next, err := g.afterFactor(c, done.Factor, done.First)
	if err != nil {
		return err
	}
	if c.json {
		g.writeJSON(w, r, http.StatusCreated, "application/json", map[string]any{
			"factor": g.factorDocument(done.Factor, done.Account), "next": next,
		})
		return nil
	}
	redirect(w, next)
	return nil
}

// afterFactor is where a new factor leads.
func (g *Guard) afterFactor(c *caller, f mfa.Factor, first bool) (string, error) {
	if first && f.Method != mfa.MethodRecovery && g.offersRecovery() {
		return g.link("enroll/recovery", "back", c.back), nil
	}
	return g.next(c)
}

func (g *Guard) offersRecovery() bool {
	m, err := g.engine.Method(mfa.MethodRecovery)
	_, enrolls := m.(mfa.Enroller)
	return err == nil && enrolls
}

// justAdded returns the factor of a method that was added while a ticket lived, and whether it is the only one. Without
// it a dead ticket is no second click: nothing was added, and nobody may be told otherwise.
func (g *Guard) justAdded(r *http.Request, c *caller, method string) (f mfa.Factor, first, ok bool) {
	acct, err := g.engine.Account(r.Context(), c.User.ID)
	if err != nil {
		return mfa.Factor{}, false, false
	}
	i := slices.IndexFunc(acct.Factors, func(f mfa.Factor) bool {
		return f.Method == method && g.c.Now().Sub(f.Created) < mfa.TicketLife
	})
	if i < 0 {
		return mfa.Factor{}, false, false
	}
	return acct.Factors[i], len(acct.Factors) == 1, true
}

// unenrolled answers a confirmation that was not accepted.
func (g *Guard) unenrolled(w http.ResponseWriter, r *http.Request, c *caller, method, label string, err error) error {
	if refusalOf(err, mfa.WhyNoTicket) != nil && g.isSatisfied(r, c) {
		if f, first, ok := g.justAdded(r, c, method); ok {
			next, err := g.afterFactor(c, f, first)
			if err != nil {
				return err
			}
			return g.leadTo(w, r, c, next)
		}
	}
	wrong := refusalOf(err, mfa.WhyWrongAnswer)
	if c.json {
		return g.withPrompt(err, wrong)
	}
	if wrong == nil || wrong.Retry == nil {
		return g.beginAgain(c, err)
	}
	p := problemOfRefusal(wrong)
	g.problemHeaders(w, p)
	return g.enrollPage(w, r, c, p.status, wrong.Retry, label, g.wrongText("enroll-"+wrong.Retry.Method, 0))
}

// beginAgain turns the end of an enrollment into a problem whose page leads back to its beginning.
func (g *Guard) beginAgain(c *caller, err error) error {
	refusal := refusalOf(err, mfa.WhyNoTicket)
	if refusal == nil {
		refusal = refusalOf(err, mfa.WhyWrongAnswer)
	}
	if refusal == nil {
		return err
	}
	p := problemOfRefusal(refusal)
	p.url = g.link("enroll", "back", c.back)
	return p
}

// factorDocument is the JSON of a factor.
type factorDocument struct {
	ID        string       `json:"id"`
	Method    string       `json:"method"`
	Label     string       `json:"label"`
	Strength  mfa.Strength `json:"strength"`
	Created   *time.Time   `json:"created"`
	LastUsed  *time.Time   `json:"last_used,omitempty"`
	Expires   *time.Time   `json:"expires,omitempty"`
	Off       []string     `json:"off,omitempty"`
	Managed   bool         `json:"managed,omitempty"`
	Preferred bool         `json:"preferred,omitempty"`
	Left      *int         `json:"left,omitempty"`
}

func (g *Guard) factorDocument(f mfa.Factor, acct *mfa.Account) factorDocument {
	d := factorDocument{
		ID: f.ID, Method: f.Method, Label: f.Label, Strength: f.Strength, Created: jsonTime(f.Created),
		LastUsed: jsonTime(f.LastUsed), Expires: jsonTime(f.Expires), Off: offWords(f.Off), Managed: f.Managed,
		Preferred: acct.Preferences.FactorID == f.ID,
	}
	if kept, ok := acct.Factor(f.ID); ok {
		if n, counts := g.engine.Left(kept); counts {
			d.Left = &n
		}
	}
	return d
}

// offWords names the reasons for which a factor is not in use.
func offWords(off mfa.Off) []string {
	var words []string
	for _, o := range [...]struct {
		reason mfa.Off
		word   string
	}{{mfa.Paused, "paused"}, {mfa.StoppedBySupport, "stopped-by-support"}, {mfa.StoppedByGuesses, "stopped-by-guesses"}} {
		if off&o.reason != 0 {
			words = append(words, o.word)
		}
	}
	return words
}
