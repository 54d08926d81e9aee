package sallyport

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/mfa"
)

// carryTime is how long the couriers of one code may take together, while the user waits.
const carryTime = 15 * time.Second

// carry gives a code that was saved to all its couriers at once, and tells the prompt how many of them failed.
func (g *Guard) carry(ctx context.Context, u mfa.User, b *mfa.Begun) {
	if b.Sending == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), carryTime)
	defer cancel()
	var failed atomic.Int64
	var wg sync.WaitGroup
	for _, to := range b.Sending.To {
		wg.Go(func() {
			m := g.codeMessage(u, b.Sending, to)
			_, err := guarded("the courier "+to.Courier.Name(), func() (struct{}, error) {
				return struct{}{}, to.Courier.Carry(ctx, m)
			})
			if err != nil {
				failed.Add(1)
				g.c.Log.Error("sallyport: a code was not delivered", "courier", to.Courier.Name(), "message", m.ID, "error", err)
			}
		})
	}
	wg.Wait()
	if p, ok := b.Prompt.(mfa.SentPrompt); ok {
		p.Failed = int(failed.Load())
		b.Prompt = p
	}
}

// codeMessage puts a code into words.
func (g *Guard) codeMessage(u mfa.User, s *mfa.Sending, to mfa.Destination) mfa.Message {
	say := g.pages.say
	code := s.Code[:len(s.Code)/2] + " " + s.Code[len(s.Code)/2:]
	host := g.c.Origin
	if origin, err := url.Parse(g.c.Origin); err == nil {
		host = origin.Hostname()
	}
	m := mfa.Message{
		ID: s.ID + "." + to.Courier.Name(), To: to.Address, User: u, Purpose: purposeOf(s), Code: s.Code, Expires: s.Expires, Language: "en",
		Subject: say("sent.subject", "site", g.c.Name),
		Text:    say("sent.text", "site", g.c.Name, "code", code) + "\n\n" + say("sent.warning", "site", g.c.Name) + "\n",
		// The last line has browsers offer the code on this site alone (Origin-bound one-time codes, WICG).
		Short:  say("sent.short", "site", g.c.Name, "code", s.Code) + "\n\n@" + host + " #" + s.Code,
		Spoken: say("sent.spoken", "site", g.c.Name, "code", strings.Join(strings.Split(s.Code, ""), ". ")),
	}
	var html bytes.Buffer
	main := map[string]string{
		"Subject": m.Subject, "Text": say("sent.html", "site", g.c.Name), "Code": code, "Warning": say("sent.warning", "site", g.c.Name),
		"Site": g.c.Name,
	}
	if err := g.pages.templates["mail"].ExecuteTemplate(&html, "mail", main); err == nil {
		m.HTML = html.String()
	}
	return m
}

// purposeOf is what a code is for, as couriers are told.
func purposeOf(s *mfa.Sending) string {
	if strings.HasPrefix(s.Purpose, "enroll") {
		return "enroll"
	}
	return "verify"
}

// sends reports whether answers of a method are sent to the user first.
func (g *Guard) sends(method string) bool {
	m, err := g.engine.Method(method)
	_, ok := m.(mfa.Sender)
	return err == nil && ok
}

// offerSending asks before a code is sent: nothing that a browser loads ahead may send one.
func (g *Guard) offerSending(w http.ResponseWriter, r *http.Request, c *caller, acct *mfa.Account, list []mfa.Factor, f mfa.Factor) error {
	kept, ok := acct.Factor(f.ID)
	for i := 0; !ok && i < len(list); i++ {
		if list[i].Method == f.Method {
			kept, ok = list[i], true
		}
	}
	if !ok {
		return notFound()
	}
	main := verifyMain{
		Action: g.c.Path + "verify/" + f.Method, Back: c.back, FactorID: kept.ID, Factor: g.factorName(kept),
		Prompt: mfa.SentPrompt{Factor: kept.ID, To: g.reached(c.User, kept, acct)}, Others: g.others(c, list), Lost: g.lost(c),
	}
	g.render(w, r, http.StatusOK, "verify-sent", &page{
		Title: g.pages.say("verify.title"), UserName: displayName(c.User), Main: main,
	})
	return nil
}

// reached are the masked addresses that a code for a factor goes to.
func (g *Guard) reached(u mfa.User, f mfa.Factor, acct *mfa.Account) []string {
	var list []string
	for _, reach := range g.engine.Reaches(u, f, acct) {
		if !reach.Muted {
			list = append(list, reach.To)
		}
	}
	return list
}

// courierRow is a courier that reaches the user, on the security home.
type courierRow struct {
	Name, To string
	Muted    bool
	Base     string
}

func (g *Guard) courierRows(u mfa.User, acct *mfa.Account) []courierRow {
	var rows []courierRow
	for _, reach := range g.engine.Reaches(u, mfa.Factor{}, acct) {
		rows = append(rows, courierRow{
			Name: g.pages.sayOr("courier."+reach.Courier, "courier.other"), To: reach.To, Muted: reach.Muted,
			Base: g.c.Path + "couriers/" + url.PathEscape(reach.Courier) + "/",
		})
	}
	return rows
}

// Words of changes of couriers, as in URLs.
const (
	toMute   = "mute"
	toUnmute = "unmute"
)

// changeCourier switches a courier off or on for the user.
func (g *Guard) changeCourier(w http.ResponseWriter, r *http.Request, c *caller) error {
	if _, err := g.read(w, r, c); err != nil {
		return err
	}
	var done mfa.Done
	var err error
	switch r.PathValue("change") {
	case toMute:
		done, err = g.engine.Mute(r.Context(), c.Visit, r.PathValue("name"))
	case toUnmute:
		done, err = g.engine.Unmute(r.Context(), c.Visit, r.PathValue("name"))
	default:
		return notFound()
	}
	if err != nil {
		return err
	}
	if err := g.keep(w, r, done.Assurance); err != nil {
		return err
	}
	if c.json {
		g.writeJSON(w, r, http.StatusOK, "application/json", map[string]any{"muted": done.Account.Preferences.Muted, "next": g.c.Path})
		return nil
	}
	redirect(w, g.c.Path)
	return nil
}
