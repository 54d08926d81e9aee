package sallyport

import (
	"net/http"
	"slices"

	"sallyport/mfa"
)

// toForget ends what a remembered browser stands for.
const toForget = "forget"

// browserDocument is the JSON of a remembered browser.
func (g *Guard) browserDocuments(r *http.Request, c *caller, acct *mfa.Account) []map[string]any {
	list := []map[string]any{}
	for _, b := range g.browserRows(r, c, acct) {
		list = append(list, map[string]any{
			"id": b.ID, "name": b.Name, "since": jsonTime(b.Since), "until": jsonTime(b.Until), "this": b.Here,
		})
	}
	return list
}

// askBrowser shows the form of a change of a remembered browser.
func (g *Guard) askBrowser(w http.ResponseWriter, r *http.Request, c *caller) error {
	change := r.PathValue("change")
	if change != toRename && change != toForget {
		return notFound()
	}
	if err := g.needProof(r, c); err != nil {
		return err
	}
	acct, err := g.engine.AccountOf(r.Context(), c.User)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(acct.Browsers, func(b mfa.Browser) bool { return b.ID == r.PathValue("id") })
	if i < 0 {
		return notFound()
	}
	name := acct.Browsers[i].Label
	if c.json {
		g.writeJSON(w, r, http.StatusOK, "application/json", map[string]any{"browsers": g.browserDocuments(r, c, acct)})
		return nil
	}
	main := changeMain{
		Action: g.c.Path + "browsers/" + acct.Browsers[i].ID + "/" + change, Change: change, Name: name, Cancel: g.c.Path,
		Text: g.pages.say("browser."+change+".text", "name", name), Button: g.pages.say("browser." + change + ".button"),
	}
	g.render(w, r, http.StatusOK, "change", &page{
		Title: g.pages.say("browser."+change+".title", "name", name), UserName: displayName(c.User), Main: main,
	})
	return nil
}

// changeBrowser renames or forgets a remembered browser.
func (g *Guard) changeBrowser(w http.ResponseWriter, r *http.Request, c *caller) error {
	change, id := r.PathValue("change"), r.PathValue("id")
	switch change {
	case toRename:
		f, err := g.read(w, r, c, fieldLabel)
		if err != nil {
			return err
		}
		done, err := g.engine.RenameBrowser(r.Context(), c.Visit, id, f[fieldLabel])
		return g.browsersChanged(w, r, c, done, err)
	case toForget:
		if _, err := g.read(w, r, c); err != nil {
			return err
		}
		done, err := g.engine.ForgetBrowser(r.Context(), c.Visit, id)
		return g.browsersChanged(w, r, c, done, err)
	}
	return notFound()
}

// forgetBrowsers forgets all remembered browsers, and that any browser is known.
func (g *Guard) forgetBrowsers(w http.ResponseWriter, r *http.Request, c *caller) error {
	if _, err := g.read(w, r, c); err != nil {
		return err
	}
	done, err := g.engine.ForgetBrowsers(r.Context(), c.Visit)
	return g.browsersChanged(w, r, c, done, err)
}

func (g *Guard) browsersChanged(w http.ResponseWriter, r *http.Request, c *caller, done mfa.Done, err error) error {
	if err != nil {
		return err
	}
	if c.json {
		g.writeJSON(w, r, http.StatusOK, "application/json", map[string]any{
			"browsers": g.browserDocuments(r, c, done.Account), "next": g.c.Path,
		})
		return nil
	}
	redirect(w, g.c.Path)
	return nil
}
