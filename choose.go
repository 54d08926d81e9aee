package sallyport

import (
	"net/http"
	"slices"

	"sallyport/mfa"
)

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

// without returns the ways besides those of a method whose guesses are exhausted.
func without(list []mfa.Factor, f mfa.Factor) []mfa.Factor {
	return slices.DeleteFunc(slices.Clone(list), func(o mfa.Factor) bool { return o.Method == f.Method })
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
