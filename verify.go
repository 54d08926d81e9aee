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

// choiceMain is a page that offers ways to prove.
type choiceMain struct {
	Text    string
	Choices []choice
	Seconds int
	Wait    string
	Codes   string // address where a recovery code can be used; "": none would do
	Support string
}

// choice is one way to prove, on a page and in a document.
type choice struct {
	FactorID string       `json:"factor"`
	Method   string       `json:"method"`
	Label    string       `json:"label"`
	Strength mfa.Strength `json:"strength"`
	URL      string       `json:"url"`
	Title    string       `json:"-"`
	Text     string       `json:"-"`
}

// choices are the factors that bring a visit closer to where its way leads, the best one to ask for first.
func (g *Guard) choices(acct *mfa.Account, v mfa.Visit, b way) []mfa.Factor {
	all := g.engine.Choices(acct)
	list := g.helpful(all, b)
	unproved := slices.DeleteFunc(slices.Clone(list), func(f mfa.Factor) bool { return g.holds(v.Assurance, acct, f) })
	if b.Factors > 1 && len(unproved) > 0 {
		return unproved
	}
	if len(list) == 0 {
		return all
	}
	return list
}

// helpful leaves out the factors that are too weak for the place that the way leads to.
func (g *Guard) helpful(all []mfa.Factor, b way) []mfa.Factor {
	least := mfa.Strength(b.Strength)
	if b.Verified {
		least = mfa.PhishingResistant
	}
	standIn := func(f mfa.Factor) bool { return f.Method == mfa.MethodRecovery || f.Method == mfa.MethodPass }
	if b.Manage {
		for _, f := range all {
			if !standIn(f) {
				least = max(least, f.Strength)
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(f mfa.Factor) bool {
		return f.Strength < least && !(b.Manage && standIn(f))
	})
}

// holds reports whether a has a proof of f that has not ended.
func (g *Guard) holds(a mfa.Assurance, acct *mfa.Account, f mfa.Factor) bool {
	now := g.c.Now()
	return a.Epoch == acct.Epoch && slices.ContainsFunc(a.Proofs, func(p mfa.Proof) bool {
		return p.FactorID == f.ID && (p.Until.IsZero() || now.Before(p.Until))
	})
}

// choice is how a factor is offered.
func (g *Guard) choice(f mfa.Factor, back string) choice {
	return choice{
		FactorID: f.ID, Method: f.Method, Label: f.Label, Strength: f.Strength,
		Title: g.factorName(f), Text: g.pages.sayOr("choice."+f.Method, "choice.other"),
		URL: g.link("verify/"+f.Method, "factor", f.ID, "back", back),
	}
}

func (g *Guard) choiceList(factors []mfa.Factor, back string) []choice {
	list := make([]choice, 0, len(factors))
	for _, f := range factors {
		list = append(list, g.choice(f, back))
	}
	return list
}

// ways returns the account of a caller and the factors to offer. Without any it is a problem that says where to turn.
func (g *Guard) ways(r *http.Request, c *caller) (*mfa.Account, []mfa.Factor, error) {
	acct, err := g.engine.AccountOf(r.Context(), c.User)
	if err != nil {
		return nil, nil, err
	}
	list := slices.Concat(g.choices(acct, c.Visit, c.way), g.engine.Freeable(acct))
	switch {
	case len(list) == 0 && !acct.Enrolled():
		return acct, nil, &mfa.Refusal{Why: mfa.WhyMustEnroll}
	case len(list) == 0:
		return acct, nil, denied("stuck")
	}
	if c.way.VerifiedIsTwo && len(g.helpful(g.engine.Choices(acct), c.way)) < c.way.Factors {
		c.NeedVerified = true // nothing else is left to make up the number
	}
	return acct, list, nil
}

// offered is what pages offer. Where answers name their own factor a ticket is good for all of them, so the first
// stands for all, without its name.
func (g *Guard) offered(list []mfa.Factor) []mfa.Factor {
	var kept []mfa.Factor
	for _, f := range list {
		m, err := g.engine.Method(f.Method)
		_, names := m.(mfa.Identifier)
		i := slices.IndexFunc(kept, func(o mfa.Factor) bool { return o.Method == f.Method })
		if err == nil && names && i >= 0 {
			kept[i].Label = ""
			continue
		}
		kept = append(kept, f)
	}
	return kept
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

// without returns the ways besides those of a method whose guesses are exhausted.
func without(list []mfa.Factor, f mfa.Factor) []mfa.Factor {
	return slices.DeleteFunc(slices.Clone(list), func(o mfa.Factor) bool { return o.Method == f.Method })
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

// lost is the address of what to do without phone or key.
func (g *Guard) lost(c *caller) string {
	return g.link("verify", "choose", "1", "back", c.back) + "#lost"
}

// others is the address of the other ways to prove; "": there are none.
func (g *Guard) others(c *caller, list []mfa.Factor) string {
	if len(g.offered(list)) < 2 {
		return ""
	}
	return g.link("verify", "choose", "1", "back", c.back)
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

// choosePage offers the ways to prove, below the reason if one of them has to wait.
func (g *Guard) choosePage(w http.ResponseWriter, r *http.Request, c *caller, list []mfa.Factor, tooMany *mfa.Refusal) {
	main := choiceMain{Choices: g.choiceList(g.offered(list), c.back), Support: g.c.Support}
	for _, o := range main.Choices {
		if o.Method == mfa.MethodRecovery {
			main.Codes = o.URL
		}
	}
	status, title := http.StatusOK, "choose.title"
	if tooMany != nil {
		p := problemOfRefusal(tooMany)
		g.problemHeaders(w, p)
		status, title = p.status, "problem.too-many.title"
		main.Text, main.Seconds, main.Wait = g.pages.say(p.textKey()), seconds(p.retryAfter), g.wait(p.retryAfter)
	}
	g.render(w, r, status, "choose", &page{Title: g.pages.say(title), UserName: displayName(c.User), Main: main})
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

// finishVerify judges an answer.
func (g *Guard) finishVerify(w http.ResponseWriter, r *http.Request, c *caller) error {
	method := r.PathValue("method")
	f, err := g.read(w, r, c, fieldTicket, fieldAnswer, fieldRemember)
	if err != nil {
		return err
	}
	if _, err := g.engine.Method(method); err != nil {
		return err
	}
	answer, err := g.view(method).answer(f)
	if err != nil {
		return err
	}
	ticket, err := f.need(fieldTicket)
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

// proofDocument is the JSON of a proof.
type proofDocument struct {
	Factor   string       `json:"factor"`
	Method   string       `json:"method"`
	Strength mfa.Strength `json:"strength"`
	At       time.Time    `json:"at"`
	Until    *time.Time   `json:"until,omitempty"`
}

// afterProof leads on. Who has used a recovery code is shown first how many are left.
func (g *Guard) afterProof(w http.ResponseWriter, r *http.Request, c *caller, done mfa.Done) error {
	next, err := g.next(c)
	if err != nil {
		return err
	}
	if c.json {
		g.writeJSON(w, r, http.StatusOK, "application/json", map[string]any{
			"proved": proofDocument{
				done.Factor.ID, done.Factor.Method, done.Factor.Strength, *jsonTime(done.Proof.At), jsonTime(done.Proof.Until),
			},
			"next": next,
		})
		return nil
	}
	if done.Factor.Method == mfa.MethodRecovery && c.challenge == nil {
		next = g.link("recovered", "back", c.back)
	}
	redirect(w, next)
	return nil
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

// isSatisfied reports whether a caller has proved already what the way asks for.
func (g *Guard) isSatisfied(r *http.Request, c *caller) bool {
	if c.way.Manage {
		acct, err := g.engine.AccountOf(r.Context(), c.User)
		return err == nil && acct.Enrolled() && g.engine.Gate(acct, c.Visit) == nil
	}
	d, err := g.engine.Decide(r.Context(), c.way.policy(), c.Visit)
	return err == nil && d.Action == mfa.Allow && d.Reason == mfa.ReasonProved
}

// leadOn answers a second click as the first one was.
func (g *Guard) leadOn(w http.ResponseWriter, r *http.Request, c *caller) error {
	next, err := g.next(c)
	if err != nil {
		return err
	}
	return g.leadTo(w, r, c, next)
}

func (g *Guard) leadTo(w http.ResponseWriter, r *http.Request, c *caller, next string) error {
	if c.json {
		g.writeJSON(w, r, http.StatusOK, "application/json", map[string]any{"next": next})
		return nil
	}
	redirect(w, next)
	return nil
}

// confirmed is where the tab ends that was opened beside a form.
func (g *Guard) confirmed(w http.ResponseWriter, r *http.Request, c *caller) error {
	if c.json {
		g.writeJSON(w, r, http.StatusOK, "application/json", map[string]any{"next": c.way.place()})
		return nil
	}
	p := &problem{name: "confirmed"}
	main := problemMain{Text: g.pages.say("confirmed.text"), Actions: g.wayOut(p, c)}
	g.render(w, r, http.StatusOK, "problem", &page{Title: g.pages.say("confirmed.title"), Main: main})
	return nil
}

// recoveredMain tells who has used a recovery code how many are left.
type recoveredMain struct{ Text, Renew, Next string }

// recovered offers new recovery codes after one was used.
func (g *Guard) recovered(w http.ResponseWriter, r *http.Request, c *caller) error {
	acct, err := g.engine.AccountOf(r.Context(), c.User)
	if err != nil {
		return err
	}
	next, err := g.next(c)
	if err != nil {
		return err
	}
	if err := g.needProof(r, c); err != nil {
		return err
	}
	left := g.codesLeft(acct)
	if c.json {
		g.writeJSON(w, r, http.StatusOK, "application/json", map[string]any{"left": left, "next": next})
		return nil
	}
	main := recoveredMain{
		Text: g.pages.say("recovered.text", "count", left), Next: next,
		Renew: g.link("enroll/recovery", "back", c.back),
	}
	g.render(w, r, http.StatusOK, "recovered", &page{
		Title: g.pages.say("recovered.title"), UserName: displayName(c.User), Main: main,
	})
	return nil
}

// codesLeft counts the recovery codes that were not used.
func (g *Guard) codesLeft(acct *mfa.Account) int {
	left := 0
	for _, f := range acct.Factors {
		if f.Method != mfa.MethodRecovery {
			continue
		}
		if n, counts := g.engine.Left(f); counts {
			left += n
		}
	}
	return left
}

// needProof returns nil if a caller has passed the second door.
func (g *Guard) needProof(r *http.Request, c *caller) error {
	d, err := g.engine.Decide(r.Context(), mfa.Policy{Min: mfa.Sent}, c.Visit)
	if err == nil && d.Action != mfa.Allow {
		err = &mfa.Refusal{Why: mfa.WhyMustVerify}
	}
	return err
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
