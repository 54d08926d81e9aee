// Package sallyport is the second door of a web site: multi-factor authentication on the site's own users and behind
// the site's own login. A Guard stands around the site, asks users for what a policy wants, and brings the pages on
// which they prove, add and manage their factors.
//
// # Putting it in front of a site
//
// A site that has users, sessions and a login gives New four things and wraps itself in Protect:
//
//	guard, err := sallyport.New(sallyport.Config{
//		Origin: "https://example.com",                       // where browsers reach the site
//		Store:  store,                                       // one of package sqlstore
//		Keys:   sallyport.KeyFile("/etc/site/sallyport.keys"), // what seals all that is stored
//		User:   user,                                        // who is signed in, from the site's own session
//	})
//	if err != nil {
//		log.Fatal(err)
//	}
//	log.Fatal(http.ListenAndServe("localhost:8080", guard.Protect(site)))
//
// From then on, users who have added a factor are asked for it; nothing changes for the others. The pages are under
// "/mfa/": link to them from the account page. A complete program is examples/nethttp in the repository.
//
// The function user is where the two meet. It returns the zero mfa.User for a stranger, an error if it cannot find out,
// and else a User whose ID never changes and whose Session names this login: a random text that the site puts into its
// session at sign-in, keeps for as long as somebody stays signed in, and makes anew at the next sign-in. What is proved
// counts for that login and for no other.
//
// # Asking for more
//
// What is asked is an mfa.Policy. The zero Policy asks users who have a factor for one; mfa.Policy{Factors: 1} asks
// everybody. It is applied
//
//   - to the whole site by Config.Policy,
//   - to a part of it by Guard.Require and Guard.RequireFunc,
//   - inside a handler by Guard.Check, before anything is written.
//
// A part that is wrapped in Require lies inside the site that is wrapped in Protect. DecisionFrom tells a handler what
// let the request through: how strong, how fresh, until when.
//
// # What a refused request gets
//
// A browser that loads a page is led to the page that asks, and back again. Everything else gets a problem document of
// RFC 9457 with status 401 that names this page, so that an app knows where to go. A form that was sent is not lost:
// the proof is given in a new tab, then the form is sent again.
//
// # What the site tells
//
// After the site has changed a password or an address it calls Guard.PasswordChanged or Guard.AddressChanged, and after
// it has deleted a user Guard.Erase: a later user with the same id would meet the old factors. Guard.EndSessions makes
// every login of a user prove again.
//
// # When something is wrong
//
// Errors deny. If the site's User, its policy, the store or a sealed record cannot be read, a request is answered with
// 503, and after a panic in one of the site's functions with 500. New refuses a configuration that cannot work, with all
// its mistakes at once.
//
// A Guard never looks at Host or X-Forwarded headers. It works when it is asked, never in the background.
package sallyport
