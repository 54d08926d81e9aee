package sallyport

import (
	"net/http"
	"slices"
	"time"

	"sallyport/mfa"
)

// homeMain is the security home: the factors of a user, and what can be done with them.
type homeMain struct {
	Factors  []factorRow
	Codes    *factorRow // the recovery codes; nil: none
	Left     string     // how many of them
	Renew    string     // address where codes are made; "": not offered
	Add      []methodChoice
	CanEnd   bool
	EndOther string
	Couriers []courierRow
	Browsers []browserRow
	Forget   string // address where all browsers are forgotten
}

// factorRow is one factor of the list.
type factorRow struct {
	ID, Name, Method, MethodName string
	Added, Used                  time.Time
	Off                          []string
	Paused, Managed, Preferred   bool
	CanPrefer, CanPause          bool
	Base                         string
}

// home lists the factors of a user, to those who have proved one.
func (g *Guard) home(w http.ResponseWriter, r *http.Request, c *caller) error {
	d, err := g.engine.Decide(r.Context(), mfa.Policy{Min: mfa.Sent}, c.Visit)
	if err != nil {
		return err
	}
	if d.Action != mfa.Allow {
		g.detour(w, r, c.Visit, d, !c.json)
		return nil
	}
	acct, err := g.engine.AccountOf(r.Context(), c.User)
	if err != nil {
		return err
	}
	if c.json {
		g.writeHome(w, r, c, acct)
		return nil
	}
	main, err := g.homeMain(r, c, acct)
	if err != nil {
		return err
	}
	g.render(w, r, http.StatusOK, "home", &page{
		Title: g.pages.say("home.title"), UserName: displayName(c.User), Main: main,
		Signal: g.signal(c.User, acct, g.openRemoved(r, c.User, acct)...),
	})
	return nil
}

func (g *Guard) homeMain(r *http.Request, c *caller, acct *mfa.Account) (homeMain, error) {
	back, err := g.sealWay(c.User, wayTo(g.c.Path, mfa.Policy{Min: mfa.Sent}))
	if err != nil {
		return homeMain{}, err
	}
	main := homeMain{Add: g.methodChoices(g.enrollable(anyway()), back), CanEnd: acct.Enrolled(), EndOther: g.c.Path + "sessions/end"}
	main.Couriers = g.courierRows(c.User, acct)
	main.Browsers, main.Forget = g.browserRows(r, c, acct), g.c.Path+"browsers/forget"
	others := false
	for _, f := range acct.Factors {
		row := g.factorRow(f, acct)
		if f.Method == mfa.MethodRecovery {
			main.Codes, main.Left = &row, g.pages.say("home.codes-left", "count", g.codesLeft(acct))
			continue
		}
		others = true
		main.Factors = append(main.Factors, row)
	}
	if others && g.offersRecovery() {
		main.Renew = g.link("enroll/recovery", "back", back)
	}
	return main, nil
}

func (g *Guard) factorRow(f mfa.Factor, acct *mfa.Account) factorRow {
	row := factorRow{
		ID: f.ID, Name: g.factorName(f), Method: f.Method, MethodName: g.methodName(f.Method), Added: f.Created,
		Used: f.LastUsed, Paused: f.Off&mfa.Paused != 0, Managed: f.Managed,
		Preferred: acct.Preferences.FactorID == f.ID, Base: g.c.Path + "factors/" + f.ID + "/",
	}
	for _, word := range offWords(f.Off) {
		row.Off = append(row.Off, g.pages.say("off."+word))
	}
	if f.Expires.Before(g.c.Now()) && !f.Expires.IsZero() {
		row.Off = append(row.Off, g.pages.say("off.expired"))
	}
	if !slices.Contains(g.engine.Methods(), f.Method) {
		row.Off = append(row.Off, g.pages.say("off.not-offered"))
	}
	row.CanPrefer = len(row.Off) == 0 && !row.Preferred
	row.CanPause = len(row.Off) == 0 && !f.Managed
	return row
}

func (g *Guard) writeHome(w http.ResponseWriter, r *http.Request, c *caller, acct *mfa.Account) {
	factors := make([]factorDocument, 0, len(acct.Factors))
	for _, f := range acct.Factors {
		factors = append(factors, g.factorDocument(f, acct))
	}
	methods := g.enrollable(anyway())
	if len(factors) > 0 && g.offersRecovery() {
		methods = append(methods, mfa.MethodRecovery)
	}
	doc := map[string]any{
		"user": c.User.ID, "factors": factors, "methods": methods, "browsers": g.browserDocuments(r, c, acct),
	}
	if s := g.signal(c.User, acct); s != nil {
		doc["signal"] = s
	}
	g.writeJSON(w, r, http.StatusOK, "application/json", doc)
}

// statusDocument says what a login has proved, and what Protect would ask of it now.
type statusDocument struct {
	User     string        `json:"user"`
	Factors  int           `json:"factors"`
	Strength *mfa.Strength `json:"strength"`
	ProvedAt *time.Time    `json:"proved_at"`
	DueAt    *time.Time    `json:"due_at"`
	Must     string        `json:"must"` // "", "verify" or "enroll"
}

// status tells a client where it stands. It tells nothing about the factors of somebody who has proved none.
func (g *Guard) status(w http.ResponseWriter, r *http.Request, c *caller) error {
	p, err := g.policy(r)
	if err != nil {
		return err
	}
	d, err := g.engine.Decide(r.Context(), p, c.Visit)
	if err != nil {
		return err
	}
	doc := statusDocument{User: c.User.ID, Factors: d.Factors, ProvedAt: jsonTime(d.At), DueAt: jsonTime(d.DueAt)}
	if d.Factors > 0 {
		doc.Strength = &d.Strength
	}
	if d.Action != mfa.Allow {
		doc.Must = d.Action.String()
	}
	if c.json {
		g.writeJSON(w, r, http.StatusOK, "application/json", doc)
		return nil
	}
	text := "status.proved"
	switch {
	case doc.Must != "":
		text = "status." + doc.Must
	case d.Factors == 0:
		text = "status.nothing"
	}
	main := problemMain{Text: g.pages.say(text), Actions: g.wayOut(&problem{}, c)}
	g.render(w, r, http.StatusOK, "problem", &page{Title: g.pages.say("status.title"), Main: main})
	return nil
}
