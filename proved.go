package sallyport

import (
	"net/http"
	"time"

	"sallyport/mfa"
)

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
