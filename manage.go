package sallyport

import (
	"context"
	"net/http"
	"slices"

	"sallyport/mfa"
)

// Words of changes, as in URLs.
const (
	toRename = "rename"
	toPause  = "pause"
	toResume = "resume"
	toPrefer = "prefer"
	toRemove = "remove"
)

// asked are the changes that have a page before them.
func asked() []string { return []string{toRename, toPause, toRemove} }

// changeMain is a page that asks before a change.
type changeMain struct {
	Action, Change, Name string
	Cancel               string
	Text, Button         string
}

// askChange shows the form of a change.
func (g *Guard) askChange(w http.ResponseWriter, r *http.Request, c *caller) error {
	change := r.PathValue("change")
	if !slices.Contains(asked(), change) {
		if isChange(change) {
			return &problem{name: nameInvalid, status: http.StatusMethodNotAllowed, detail: "method", allow: "POST"}
		}
		return notFound()
	}
	acct, err := g.engine.AccountOf(r.Context(), c.User)
	if err != nil {
		return err
	}
	if err := g.mayAsk(r, c, acct, change); err != nil {
		return err
	}
	f, ok := acct.Factor(r.PathValue("id"))
	if !ok {
		return notFound()
	}
	if c.json {
		g.writeJSON(w, r, http.StatusOK, "application/json", map[string]any{"factor": g.factorDocument(f, acct)})
		return nil
	}
	name := g.factorName(f)
	main := changeMain{
		Action: g.c.Path + "factors/" + f.ID + "/" + change, Change: change, Name: name, Cancel: g.c.Path,
		Text: g.pages.say(change+".text", "name", name), Button: g.pages.say(change + ".button"),
	}
	g.render(w, r, http.StatusOK, "change", &page{
		Title: g.pages.say(change+".title", "name", name), UserName: displayName(c.User), Main: main,
	})
	return nil
}

func isChange(word string) bool {
	return slices.Contains([]string{toRename, toPause, toResume, toPrefer, toRemove}, word)
}

// mayAsk is the check of the change itself, so that nobody fills a form in vain.
func (g *Guard) mayAsk(r *http.Request, c *caller, acct *mfa.Account, change string) error {
	if change != toRename {
		return g.engine.Gate(acct, c.Visit)
	}
	return g.needProof(r, c)
}

// change changes a factor.
func (g *Guard) change(w http.ResponseWriter, r *http.Request, c *caller) error {
	change := r.PathValue("change")
	if !isChange(change) {
		return notFound()
	}
	var allowed []string
	if change == toRename {
		allowed = []string{fieldLabel}
	}
	f, err := g.read(w, r, c, allowed...)
	if err != nil {
		return err
	}
	removed, err := g.removed(r, c, change)
	if err != nil {
		return err
	}
	done, err := g.apply(r.Context(), c.Visit, change, r.PathValue("id"), f[fieldLabel])
	if err != nil {
		return err
	}
	if err := g.keep(w, r, done.Assurance); err != nil {
		return err
	}
	return g.changed(w, r, c, done, removed)
}

// changed leads on, and tells the browser which passkeys are left.
func (g *Guard) changed(w http.ResponseWriter, r *http.Request, c *caller, done mfa.Done, removed []mfa.Factor) error {
	if c.json {
		doc := map[string]any{"factor": g.factorDocument(done.Factor, done.Account), "next": g.c.Path}
		if s := g.signal(c.User, done.Account, removed...); s != nil {
			doc["signal"] = s
		}
		g.writeJSON(w, r, http.StatusOK, "application/json", doc)
		return nil
	}
	sealed, err := g.sealRemoved(c.User, removed)
	if err != nil {
		return err
	}
	redirect(w, g.link("", removedPurpose, sealed))
	return nil
}

func (g *Guard) apply(ctx context.Context, v mfa.Visit, change, id, label string) (mfa.Done, error) {
	switch change {
	case toRename:
		return g.engine.Rename(ctx, v, id, label)
	case toPause:
		return g.engine.Pause(ctx, v, id)
	case toResume:
		return g.engine.Resume(ctx, v, id)
	case toPrefer:
		return g.engine.Prefer(ctx, v, id)
	case toRemove:
		return g.engine.Remove(g.naming(ctx, v.User.ID, id), v, id)
	}
	return mfa.Done{}, notFound()
}

// askEndSessions asks before other sessions end.
func (g *Guard) askEndSessions(w http.ResponseWriter, r *http.Request, c *caller) error {
	if err := g.needProof(r, c); err != nil {
		return err
	}
	if c.json {
		g.writeJSON(w, r, http.StatusOK, "application/json", map[string]any{"next": g.c.Path})
		return nil
	}
	main := changeMain{
		Action: g.c.Path + "sessions/end", Change: "end", Cancel: g.c.Path,
		Text: g.pages.say("end.text"), Button: g.pages.say("end.button"),
	}
	g.render(w, r, http.StatusOK, "change", &page{Title: g.pages.say("end.title"), UserName: displayName(c.User), Main: main})
	return nil
}

// endSessions makes every other login of the user prove a factor again.
func (g *Guard) endSessions(w http.ResponseWriter, r *http.Request, c *caller) error {
	if _, err := g.read(w, r, c); err != nil {
		return err
	}
	done, err := g.engine.EndSessions(r.Context(), c.Visit)
	if err != nil {
		return err
	}
	if err := g.keep(w, r, done.Assurance); err != nil {
		return err
	}
	if c.json {
		g.writeJSON(w, r, http.StatusOK, "application/json", map[string]any{"next": g.c.Path})
		return nil
	}
	redirect(w, g.c.Path)
	return nil
}
