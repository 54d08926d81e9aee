package sallyport

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"sallyport/mfa"
)

// challenge is a login whose password was right and that has no session yet. The browser holds it, sealed.
type challenge struct {
	ID        string    `json:"i"`
	User      mfa.User  `json:"u"` // Session is empty
	Way       way       `json:"w"` // where it leads, and what was asked of it
	Data      string    `json:"d,omitempty"`
	Until     time.Time `json:"t"`
	Epoch     uint64    `json:"e"`           // of the account when it began: a new password ends it
	Assurance string    `json:"a,omitempty"` // sealed: what was proved so far, where more than one factor is asked for
}

const (
	challengePurpose = "challenge"
	maxCookie        = 3800 // with its name and attributes below the 4,096 bytes of RFC 6265 §6.1
)

// user is who the login is of. The challenge stands in for a session until there is one.
func (ch challenge) user() mfa.User {
	u := ch.User
	u.Session = pendingPurpose + ":" + ch.ID
	return u
}

// Challenge asks for the second factor of a login before any session exists. The site calls it from its own log-in, after
// the password was right and in place of making a session, and writes nothing itself. Config.Policy says what is asked of
// r; users without factors pass unless it says otherwise. Who passes, now or within ten minutes, is given to
// Config.SignIn and led to login.Back. A browser has one challenge: another one ends it.
func (g *Guard) Challenge(w http.ResponseWriter, r *http.Request, login Login) {
	if err := g.challenge(w, r, login); err != nil {
		g.refuseSite(w, r, err)
	}
}

func (g *Guard) challenge(w http.ResponseWriter, r *http.Request, login Login) error {
	switch {
	case g.c.SignIn == nil:
		return errors.New("Challenge needs Config.SignIn, which makes the session of who passes")
	case !login.User.SignedIn():
		return errors.New("Challenge was called without a user")
	}
	p, err := g.policy(r)
	if err != nil {
		return err
	}
	ch := challenge{
		ID: rand.Text(), User: login.User, Way: wayTo(login.Back, p), Data: login.Data, Until: g.c.Now().Add(pendingLife),
	}
	ch.User.Session = ""
	if ch.User.LoginAt.IsZero() {
		ch.User.LoginAt = g.c.Now()
	}
	acct, err := g.engine.Account(r.Context(), ch.User.ID)
	if err != nil {
		return err
	}
	ch.Epoch = acct.Epoch
	c, err := g.challenged(r, ch)
	if err != nil {
		return err
	}
	d, err := g.engine.Decide(r.Context(), p, c.Visit)
	if err == nil && d.Action == mfa.Verify && p.Remembered && g.c.Remember > 0 {
		d, err = g.presentToChallenge(w, r, c, p)
	}
	switch {
	case err != nil:
		return err
	case d.Action == mfa.Allow:
		if err := g.endChallenge(w, r, c, c.Assurance); err != nil {
			return err
		}
		return g.leadOn(w, r, c)
	}
	return g.meetDoor(w, r, c, d)
}

// meetDoor keeps a login and leads it to its door. Unlike a form that was sent to the site too early, that of the log-in
// has done its work and is not sent again.
func (g *Guard) meetDoor(w http.ResponseWriter, r *http.Request, c *caller, d mfa.Decision) error {
	switch {
	case d.Action != mfa.Verify && d.Action != mfa.Enroll:
		return denied("")
	case d.Action == mfa.Enroll && !g.engine.CanSatisfy(d.Policy):
		return denied("no-method")
	}
	if err := g.keepChallenge(w, c); err != nil {
		return err
	}
	to, methods, err := g.door(r, c.Visit, d.Action.String(), c.challenge.Way)
	if err != nil {
		return err
	}
	if !c.json {
		redirect(w, to)
		return nil
	}
	p := mustDo(d)
	p.url, p.methods = to, methods
	g.writeProblem(w, r, p)
	return nil
}

// presentToChallenge lets a remembered browser speak for a login.
func (g *Guard) presentToChallenge(w http.ResponseWriter, r *http.Request, c *caller, p mfa.Policy) (mfa.Decision, error) {
	done, err := g.presentDevice(w, r, c.Visit)
	if err != nil {
		return mfa.Decision{}, err
	}
	if done.Account != nil {
		c.Assurance = done.Assurance
	}
	if len(c.Assurance.Proofs) > 0 {
		if c.challenge.Assurance, err = g.engine.SealAssurance(c.Assurance); err != nil {
			return mfa.Decision{}, err
		}
	}
	return g.engine.Decide(r.Context(), p, c.Visit)
}

// challengeIn returns the challenge that a browser holds.
func (g *Guard) challengeIn(r *http.Request) (challenge, bool) {
	text := cookieValue(r, g.cookies.pending)
	if text == "" {
		return challenge{}, false
	}
	plain, err := g.ring.OpenText(challengePurpose, text, g.c.Origin)
	if err != nil {
		return challenge{}, false
	}
	var ch challenge
	if err := json.Unmarshal(plain, &ch); err != nil || !g.c.Now().Before(ch.Until) {
		return challenge{}, false
	}
	ch.Way.Path = cleanSitePath(ch.Way.Path)
	return ch, true
}

// pendingCaller is the caller whose login is pending; nil: no login is. One whose password was changed since, or whose
// sessions were ended, has ended too.
func (g *Guard) pendingCaller(r *http.Request) (*caller, error) {
	ch, ok := g.challengeIn(r)
	if !ok || !g.isDoor(r.URL.Path) {
		return nil, nil
	}
	acct, err := g.engine.Account(r.Context(), ch.User.ID)
	switch {
	case err != nil:
		return &caller{json: wantsJSON(r), way: anyway()}, err
	case acct.Epoch != ch.Epoch:
		return nil, nil
	}
	return g.challenged(r, ch)
}

// leave ends a login that is pending in a browser whose session goes on to a door: the pages there are of one of them.
func (g *Guard) leave(w http.ResponseWriter, r *http.Request) {
	if _, ok := g.challengeIn(r); ok {
		g.cookies.clear(w, g.cookies.pending)
	}
}

// challenged is the caller of a challenge.
func (g *Guard) challenged(r *http.Request, ch challenge) (*caller, error) {
	c := &caller{json: wantsJSON(r), way: ch.Way, challenge: &ch}
	c.User, c.Browser, c.Address = ch.user(), r.UserAgent(), g.addressText(r)
	c.Assurance, c.KnownAt = g.engine.OpenAssurance(c.User, ch.Assurance), g.knownAt(r, ch.User.ID)
	c.NeedVerified = ch.Way.Verified
	if isSafe(r.Method) {
		back, err := one(r.URL.Query(), "back")
		if err != nil {
			return c, err
		}
		g.goBack(c, back)
	}
	return c, nil
}

// isDoor reports whether a page is one at which a login may still be pending.
func (g *Guard) isDoor(path string) bool {
	place := strings.TrimPrefix(path, g.c.Path)
	door, _, _ := strings.Cut(place, "/")
	return door == "verify" || door == "enroll" || door == "cancel"
}

// keepChallenge gives the browser the challenge of a caller.
func (g *Guard) keepChallenge(w http.ResponseWriter, c *caller) error {
	plain, err := json.Marshal(c.challenge)
	if err != nil {
		return err
	}
	text, err := g.ring.SealText(g.c.Now(), challengePurpose, plain, g.c.Origin)
	if err != nil {
		return err
	}
	if len(text) > maxCookie {
		return fmt.Errorf("Challenge: User and Data are too long for a cookie by %d bytes", len(text)-maxCookie)
	}
	g.cookies.set(w, g.cookies.pending, text, c.challenge.Until.Sub(g.c.Now()))
	return nil
}

// provedPending is proved for a login that is pending: who has proved enough is signed in.
func (g *Guard) provedPending(w http.ResponseWriter, r *http.Request, c *caller, done mfa.Done) error {
	c.Assurance = done.Assurance
	if done.Account != nil {
		c.challenge.Epoch = done.Account.Epoch // it has risen with a new factor
	}
	d, err := g.engine.Decide(r.Context(), c.challenge.Way.policy(), c.Visit)
	if err != nil {
		return err
	}
	if done.Token != "" {
		if err := g.keepDevice(w, r, c.User.ID, done.Series, done.Token); err != nil {
			return err
		}
	}
	if done.Proof.FactorID != "" {
		if err := g.remember(w, r, c.User.ID, done.Proof.At); err != nil {
			return err
		}
	}
	if d.Action == mfa.Allow {
		return g.endChallenge(w, r, c, done.Assurance)
	}
	if c.challenge.Assurance, err = g.engine.SealAssurance(done.Assurance); err != nil {
		return err
	}
	c.way = c.challenge.Way
	c.way.Step = d.Action.String()
	return g.keepChallenge(w, c)
}

// endChallenge has the site make the session of a login that has passed, and binds to it what was proved.
func (g *Guard) endChallenge(w http.ResponseWriter, r *http.Request, c *caller, a mfa.Assurance) error {
	login := Login{User: c.challenge.User, Back: c.challenge.Way.place(), Data: c.challenge.Data}
	session, err := g.signIn(w, r, login)
	if err != nil {
		return err
	}
	c.User = c.challenge.User
	c.User.Session, a.Session = session, session
	c.way, c.challenge = c.challenge.Way, nil
	if c.back, err = g.sealWay(c.User, c.way); err != nil {
		return err
	}
	if len(a.Proofs) > 0 {
		c.Assurance = a
		if err := g.keep(w, withCookies(r, w.Header()), a); err != nil {
			return err
		}
	}
	g.cookies.clear(w, g.cookies.pending)
	return nil
}

// cancel abandons a login that is pending.
func (g *Guard) cancel(w http.ResponseWriter, r *http.Request, c *caller) error {
	if _, err := g.read(w, r, c); err != nil {
		return err
	}
	g.cookies.clear(w, g.cookies.pending)
	return g.leadTo(w, r, c, g.c.Login)
}
