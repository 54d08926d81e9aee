package sallyport

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sallyport/mfa"
)

// refuseSite answers for the site: a request that may not reach it.
func (g *Guard) refuseSite(w http.ResponseWriter, r *http.Request, err error) {
	g.answerProblem(w, r, g.problemOf(r, err), isNavigation(r))
}

// refuse answers a request under Config.Path that belongs to nobody.
func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, err error) {
	g.answerProblem(w, r, g.problemOf(r, err), !wantsJSON(r))
}

func (g *Guard) answerProblem(w http.ResponseWriter, r *http.Request, p *problem, asPage bool) {
	if asPage {
		g.problemPage(w, r, p, nil)
		return
	}
	g.writeProblem(w, r, p)
}

// refuseCaller answers a request under Config.Path that ended in an error. Who must prove more first is led there and
// back.
func (g *Guard) refuseCaller(w http.ResponseWriter, r *http.Request, c *caller, err error) {
	var refusal *mfa.Refusal
	if errors.As(err, &refusal) && (refusal.Why == mfa.WhyMustVerify || refusal.Why == mfa.WhyMustEnroll) {
		if g.leadToProof(w, r, c, refusal) {
			return
		}
	}
	p := g.problemOf(r, err)
	p.signal = c.signal
	if c.json {
		g.writeProblem(w, r, p)
		return
	}
	g.problemPage(w, r, p, c)
}

// leadToProof sends a caller to prove or enroll what a page of ours asks for first. It reports whether it could.
func (g *Guard) leadToProof(w http.ResponseWriter, r *http.Request, c *caller, refusal *mfa.Refusal) bool {
	door, step := "verify", g.stepOf(r)
	b := c.way.through(step)
	if b.Path == "" {
		b.Path = g.c.Path
	}
	if refusal.Why == mfa.WhyMustEnroll {
		door, b = "enroll", b.after()
	}
	to, methods, err := g.door(r, c.Visit, door, b)
	if err != nil {
		return false
	}
	if !c.json {
		if c.challenge == nil {
			g.leave(w, r)
		}
		redirect(w, to)
		return true
	}
	p := problemOfRefusal(refusal)
	p.url, p.methods = to, methods
	g.writeProblem(w, r, p)
	return true
}

// stepOf is the page of ours to come back to: the one asked for, or the one with the form that was sent. A change that
// has no page of its own leads to the list.
func (g *Guard) stepOf(r *http.Request) string {
	step := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, g.c.Path), "/begin")
	if strings.HasPrefix(step, "factors/") {
		if change := step[strings.LastIndexByte(step, '/')+1:]; !slices.Contains(asked(), change) {
			return ""
		}
	}
	page := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: g.c.Path + step}, Host: r.Host}
	if h, _ := g.own.Handler(page); !isRoute(h) {
		return ""
	}
	return step
}

// door is the address of a page that asks for a proof or an enrollment, and the methods that may be used there.
func (g *Guard) door(r *http.Request, v mfa.Visit, name string, b way) (to string, methods []string, err error) {
	sealed, err := g.sealWay(v.User, b)
	if err != nil {
		return "", nil, err
	}
	if name == "enroll" {
		methods = g.enrollable(b)
	} else {
		acct, err := g.engine.AccountOf(r.Context(), v.User)
		if err != nil {
			return "", nil, err
		}
		for _, f := range g.choices(acct, v, b) {
			if !slices.Contains(methods, f.Method) {
				methods = append(methods, f.Method)
			}
		}
	}
	return g.link(name, "back", sealed), methods, nil
}

// detour answers a request that must prove or enroll something first, or that may not pass at all.
func (g *Guard) detour(w http.ResponseWriter, r *http.Request, v mfa.Visit, d mfa.Decision, asPage bool) {
	refuse := func(err error) { g.answerProblem(w, r, g.problemOf(r, err), asPage) }
	switch {
	case d.Reason == mfa.ReasonNoLogin:
		refuse(g.withoutSession())
		return
	case d.Action != mfa.Verify && d.Action != mfa.Enroll:
		refuse(denied(""))
		return
	case d.Action == mfa.Enroll && !g.engine.CanSatisfy(d.Policy):
		refuse(denied("no-method"))
		return
	}
	to, methods, err := g.door(r, v, d.Action.String(), wayTo(g.wayOf(r), d.Policy))
	switch {
	case err != nil:
		refuse(err)
	case asPage && isSafe(r.Method):
		g.leave(w, r)
		redirect(w, to)
	case asPage:
		g.sendAgain(w, r, v, d)
	default:
		p := mustDo(d)
		p.url, p.methods = to, methods
		g.writeProblem(w, r, p)
	}
}

func mustDo(d mfa.Decision) *problem {
	p := &problem{name: nameMustVerify, status: http.StatusUnauthorized, challenge: true}
	switch {
	case d.Action == mfa.Enroll:
		p.name = nameMustEnroll
	case d.Reason == mfa.ReasonStuck:
		p.detail = "stuck"
	}
	return p
}

// sendAgain answers a form that was sent to the site too early: nothing of it is kept. The proof is given in a new tab,
// so that this one can be reloaded and the browser sends the form again.
func (g *Guard) sendAgain(w http.ResponseWriter, r *http.Request, v mfa.Visit, d mfa.Decision) {
	b := wayTo("/", d.Policy)
	b.Step = "confirmed"
	to, _, err := g.door(r, v, d.Action.String(), b)
	if err != nil {
		g.refuseSite(w, r, err)
		return
	}
	p := mustDo(d)
	p.url = to
	g.problemHeaders(w, p)
	g.render(w, r, p.status, "again", &page{Title: g.pages.say("again.title"), Main: to})
}

// meetStranger sends somebody who is not signed in to the site's sign-in page.
func (g *Guard) meetStranger(w http.ResponseWriter, r *http.Request, asPage bool) {
	if asPage {
		redirect(w, g.loginURL(r))
		return
	}
	g.writeProblem(w, r, g.mustSignIn())
}

func (g *Guard) mustSignIn() *problem {
	return &problem{name: nameMustSignIn, status: http.StatusUnauthorized, challenge: true, url: g.c.Login}
}

// loginURL is the sign-in page, with the way back if that can be asked for again.
func (g *Guard) loginURL(r *http.Request) string {
	if !isSafe(r.Method) {
		return g.c.Login
	}
	return g.c.Login + "?next=" + url.QueryEscape(cleanSitePath(r.URL.RequestURI()))
}
