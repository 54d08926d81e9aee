package sallyport

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"sallyport/mfa"
)

// verifyMain is a page that asks for a proof.
type verifyMain struct {
	Action, Ticket, Back string
	Prompt               any
	Factor               string // what its owner calls it
	Others               string // address of the other ways; "": there are none
	Lost                 string // address of what to do without phone or key
	Wrong                bool   // the last answer was
	FactorID             string // of the factor that a code is to be sent for
	Resync               string // address of the form for two codes in a row; "": not offered
	Again                int    // seconds until a code can be sent again
	Codes                int    // how many codes in a row are asked for
	Counts               bool   // each comes at a press, not by the clock
	Remember             string // what the box says that has this browser remembered; "": there is none
	Seconds              int    // until the next answer is judged
	Wait                 string
}

// verify asks for the factor that is preferred or was used last, or offers a choice.
func (g *Guard) verify(w http.ResponseWriter, r *http.Request, c *caller) error {
	_, list, err := g.ways(r, c)
	if err != nil {
		return err
	}
	if c.json {
		g.writeJSON(w, r, http.StatusOK, "application/json", map[string]any{"choices": g.choiceList(list, c.back)})
		return nil
	}
	if r.URL.Query().Get("choose") != "" {
		g.choosePage(w, r, c, list, nil)
		return nil
	}
	return g.ask(w, r, c, list, list[0])
}

// verifyWith asks for a factor of one method.
func (g *Guard) verifyWith(w http.ResponseWriter, r *http.Request, c *caller) error {
	method := r.PathValue("method")
	if _, err := g.engine.Method(method); err != nil {
		return err
	}
	id, err := one(r.URL.Query(), fieldFactor)
	if err != nil {
		return err
	}
	_, list, err := g.ways(r, c)
	if err != nil {
		return err
	}
	if c.json {
		list = slices.DeleteFunc(list, func(f mfa.Factor) bool { return f.Method != method })
		g.writeJSON(w, r, http.StatusOK, "application/json", map[string]any{"choices": g.choiceList(list, c.back)})
		return nil
	}
	return g.ask(w, r, c, list, mfa.Factor{ID: id, Method: method})
}

// ask begins a ceremony and shows its page.
func (g *Guard) ask(w http.ResponseWriter, r *http.Request, c *caller, list []mfa.Factor, f mfa.Factor) error {
	if g.sends(f.Method) {
		acct, err := g.engine.AccountOf(r.Context(), c.User)
		if err != nil {
			return err
		}
		return g.offerSending(w, r, c, acct, list, f)
	}
	b, err := g.engine.BeginVerify(r.Context(), c.Visit, f.Method, f.ID)
	if tooMany := refusalOf(err, mfa.WhyTooMany); tooMany != nil {
		g.choosePage(w, r, c, without(list, f), tooMany)
		return nil
	}
	if err != nil {
		return err
	}
	return g.verifyPage(w, r, c, http.StatusOK, &b, list, nil)
}

// verifyPage shows the form of a ceremony. wrong is what became of the last answer; nil: this is the first.
func (g *Guard) verifyPage(
	w http.ResponseWriter, r *http.Request, c *caller, status int, b *mfa.Begun, list []mfa.Factor, wrong *mfa.Refusal,
) error {
	if err := g.shown(b); err != nil {
		return err
	}
	main := verifyMain{
		Action: g.c.Path + "verify/" + b.Method, Ticket: b.Ticket, Back: c.back, Prompt: b.Prompt,
		Factor: g.factorName(b.Factor), FactorID: b.Factor.ID, Codes: codesOf(r, b), Others: g.others(c, list), Lost: g.lost(c),
	}
	main.Counts = b.Method == mfa.MethodHOTP
	if main.Codes == 2 {
		main.Action += "?codes=2" // a wrong pair is followed by another one
	}
	if main.Codes == 1 && canResync(b.Method) {
		main.Resync = g.link("verify/"+b.Method, "factor", b.Factor.ID, "codes", "2", "back", c.back)
	}
	if g.remembers(b.Method) && !c.way.Manage {
		main.Remember = g.pages.say("browser.remember", "count", int(g.c.Remember.Round(24*time.Hour)/(24*time.Hour)))
	}
	p := &page{Title: g.pages.say("verify.title"), UserName: displayName(c.User)}
	if wrong != nil {
		main.Wrong, p.Error = true, g.wrongText(b.Method, wrong.RetryAfter)
		if wrong.RetryAfter > 0 {
			main.Seconds, main.Wait = seconds(wrong.RetryAfter), g.wait(wrong.RetryAfter)
		}
	}
	if wrong != nil && wrong.Hint != "" {
		p.Error = g.pages.say("wrong.hint-" + wrong.Hint)
	}
	if sent, ok := b.Prompt.(mfa.SentPrompt); ok {
		main.Again = max(0, seconds(sent.ResendAt.Sub(g.c.Now())))
		if sent.Failed > 0 && wrong == nil {
			p.Error = g.undelivered(sent)
		}
	}
	p.Main = main
	g.render(w, r, status, "verify-"+g.view(b.Method).page, p)
	return nil
}

// undelivered says that a code has not reached all its addresses.
func (g *Guard) undelivered(p mfa.SentPrompt) string {
	if p.Failed == len(p.To) {
		return g.pages.say("sent.failed-all")
	}
	return g.pages.say("sent.failed", "failed", p.Failed, "of", len(p.To))
}

// canResync reports whether two codes in a row bring a factor of a method back into step.
func canResync(method string) bool { return method == mfa.MethodTOTP || method == mfa.MethodHOTP }

// codesOf is how many codes in a row a page asks for: as many as free a factor, two in the form that brings one back into
// step, else one.
func codesOf(r *http.Request, b *mfa.Begun) int {
	if p, ok := b.Prompt.(mfa.OTPPrompt); ok && p.Codes > 1 {
		return p.Codes
	}
	if canResync(b.Method) && r.URL.Query().Get("codes") == "2" {
		return 2
	}
	return 1
}

// beginVerify is the first half of a proof, for a client that makes its own pages.
func (g *Guard) beginVerify(w http.ResponseWriter, r *http.Request, c *caller) error {
	f, err := g.read(w, r, c, fieldFactor)
	if err != nil {
		return err
	}
	method := r.PathValue("method")
	if _, err := g.engine.Method(method); err != nil {
		return err
	}
	_, list, err := g.ways(r, c)
	if err != nil {
		return err
	}
	b, err := g.engine.BeginVerify(r.Context(), c.Visit, method, f[fieldFactor])
	if tooMany := refusalOf(err, mfa.WhyTooMany); tooMany != nil && !c.json {
		g.choosePage(w, r, c, without(list, mfa.Factor{Method: method}), tooMany)
		return nil
	}
	if err != nil {
		return err
	}
	g.carry(r.Context(), c.User, &b)
	if !c.json {
		return g.verifyPage(w, r, c, http.StatusOK, &b, list, nil)
	}
	return g.writeBegun(w, r, &b)
}

func (g *Guard) writeBegun(w http.ResponseWriter, r *http.Request, b *mfa.Begun) error {
	if err := g.shown(b); err != nil {
		return err
	}
	g.writeJSON(w, r, http.StatusOK, "application/json", newBegunDocument(b))
	return nil
}

// reply reads what finishes a ceremony: its fields, of which one is this ceremony's own, its ticket and the answer.
func (g *Guard) reply(
	w http.ResponseWriter, r *http.Request, c *caller, method, own string,
) (f fields, ticket string, answer []byte, err error) {
	if f, err = g.read(w, r, c, fieldTicket, fieldAnswer, own); err != nil {
		return nil, "", nil, err
	}
	if _, err := g.engine.Method(method); err != nil {
		return nil, "", nil, err
	}
	if answer, err = g.view(method).answer(f); err != nil {
		return nil, "", nil, err
	}
	ticket, err = f.need(fieldTicket)
	return f, ticket, answer, err
}

// finishVerify judges an answer.
func (g *Guard) finishVerify(w http.ResponseWriter, r *http.Request, c *caller) error {
	method := r.PathValue("method")
	f, ticket, answer, err := g.reply(w, r, c, method, fieldRemember)
	if err != nil {
		return err
	}
	if wait := g.crowded(r); wait > 0 {
		return &problem{name: nameUnavailable, status: http.StatusServiceUnavailable, detail: "crowded", retryAfter: wait}
	}
	if f[fieldRemember] != "" && f[fieldRemember] != "false" && g.remembers(method) {
		c.Remember, c.Label = g.c.Remember, g.browserName(r.UserAgent())
	}
	done, err := g.engine.FinishVerify(r.Context(), c.Visit, method, ticket, answer)
	if err != nil {
		return g.unproved(w, r, c, method, err)
	}
	if err := g.proved(w, r, c, done); err != nil {
		return err
	}
	return g.afterProof(w, r, c, done)
}

// proved gives the login what it has proved, and marks the browser as known.
func (g *Guard) proved(w http.ResponseWriter, r *http.Request, c *caller, done mfa.Done) error {
	if c.challenge != nil {
		return g.provedPending(w, r, c, done)
	}
	if err := g.keep(w, r, done.Assurance); err != nil {
		return err
	}
	if done.Proof.FactorID == "" {
		return nil
	}
	if done.Token != "" {
		if err := g.keepDevice(w, r, c.User.ID, done.Series, done.Token); err != nil {
			return err
		}
	}
	return g.remember(w, r, c.User.ID, done.Proof.At)
}

// unproved answers an answer that was not accepted: with the next ticket, or by leading on where nothing more is asked.
func (g *Guard) unproved(w http.ResponseWriter, r *http.Request, c *caller, method string, err error) error {
	if refusalOf(err, mfa.WhyNoTicket) != nil && g.isSatisfied(r, c) {
		return g.leadOn(w, r, c)
	}
	wrong := refusalOf(err, mfa.WhyWrongAnswer)
	if wrong != nil {
		g.countWrong(r, c.User.ID)
	}
	if c.json {
		return g.withPrompt(err, wrong)
	}
	_, list, listErr := g.ways(r, c)
	if listErr != nil {
		return listErr
	}
	if tooMany := refusalOf(err, mfa.WhyTooMany); tooMany != nil {
		g.choosePage(w, r, c, without(list, mfa.Factor{Method: method}), tooMany)
		return nil
	}
	if wrong == nil || wrong.Retry == nil {
		return err
	}
	p := problemOfRefusal(wrong)
	g.problemHeaders(w, p)
	return g.verifyPage(w, r, c, p.status, wrong.Retry, list, wrong)
}

// withPrompt completes the prompt of the next ticket, for a document.
func (g *Guard) withPrompt(err error, wrong *mfa.Refusal) error {
	if wrong == nil || wrong.Retry == nil {
		return err
	}
	if shownErr := g.shown(wrong.Retry); shownErr != nil {
		return shownErr
	}
	return err
}

// wrongText says what to do about a wrong answer. A wait is told beside it.
func (g *Guard) wrongText(method string, wait time.Duration) string {
	if wait > 0 {
		return g.pages.say("wrong.wait")
	}
	return g.pages.sayOr("wrong."+method, "wrong.other")
}

// refusalOf returns the refusal in err if it is for that reason, else nil.
func refusalOf(err error, why mfa.Why) *mfa.Refusal {
	var refusal *mfa.Refusal
	if errors.As(err, &refusal) && refusal.Why == why {
		return refusal
	}
	return nil
}

func displayName(u mfa.User) string {
	if u.DisplayName != "" {
		return u.DisplayName
	}
	return u.Name
}
