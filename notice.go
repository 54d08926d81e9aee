package sallyport

import (
	"context"
	"errors"
	"time"

	"sallyport/mfa"
)

// noticeTime is how long one call of Config.Notify or Config.OnEvent may take.
const noticeTime = 10 * time.Second

// tell is the engine's hook: it hands events to the site and notices to the user, in their order, after they were
// saved and before the answer leaves. What was saved has happened, so both are called even if the client has gone.
func (g *Guard) tell(ctx context.Context, u mfa.User, events []mfa.Event) error {
	ctx = context.WithoutCancel(ctx)
	var stops []error
	for _, ev := range events {
		stops = append(stops, g.report(ctx, ev))
	}
	for _, ev := range events {
		g.notify(ctx, u, ev)
	}
	return errors.Join(stops...)
}

// report hands an event to the site, whose error keeps a proof back.
func (g *Guard) report(ctx context.Context, ev mfa.Event) error {
	if g.c.OnEvent == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, noticeTime)
	defer cancel()
	_, err := guarded("Config.OnEvent", func() (struct{}, error) { return struct{}{}, g.c.OnEvent(ctx, ev) })
	return err
}

// notify tells the user, if the event is one to be told of. An error is logged and changes nothing.
func (g *Guard) notify(ctx context.Context, u mfa.User, ev mfa.Event) {
	other := ev.Kind == mfa.Noted && ev.Method != mfa.MethodPasskey // of a passkey: there may be a copy
	if g.c.Notify == nil || !isTold(ev.Kind) || other {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, noticeTime)
	defer cancel()
	_, err := guarded("Config.Notify", func() (struct{}, error) {
		return struct{}{}, g.c.Notify(ctx, g.notice(ctx, u, ev))
	})
	if err != nil {
		g.c.Log.Error("sallyport: a notice to a user was not delivered", "event", ev.ID, "kind", string(ev.Kind), "error", err)
	}
}

func isTold(kind mfa.Kind) bool {
	switch kind {
	case mfa.FactorAdded, mfa.FactorRemoved, mfa.FactorPaused, mfa.FactorResumed, mfa.FactorStopped,
		mfa.RecoveryUsed, mfa.NewBrowser, mfa.WrongInARow, mfa.SessionsEnded, mfa.Noted,
		mfa.FactorFreed, mfa.BrowserAdded, mfa.BrowserStolen, mfa.CourierMuted, mfa.PasswordWasChanged, mfa.AddressWasChanged:
		return true
	}
	return false
}

// notice puts an event into plain words: what happened, to which factor, when, from where, and what to do about it.
func (g *Guard) notice(ctx context.Context, u mfa.User, ev mfa.Event) Notice {
	name, left := g.noticeFactor(ctx, u, ev)
	key := "notice." + string(ev.Kind)
	say := g.pages.say
	text := say(key+".text", "name", name, "site", g.c.Name, "count", left) + "\n\n" +
		say("notice.when", "time", ev.At.UTC().Format("2 January 2006, 15:04 MST"))
	if ev.Address != "" {
		text += "\n" + say("notice.address", "address", ev.Address)
	}
	if ev.Browser != "" {
		text += "\n" + say("notice.browser", "browser", ev.Browser)
	}
	if ev.Actor != "" && ev.Actor != u.ID {
		text += "\n" + say("notice.actor")
	}
	text += "\n\n" + say("notice.undo", "url", g.c.Origin+g.c.Path)
	return Notice{User: u, Event: ev, Subject: say(key+".subject", "site", g.c.Name), Text: text + "\n"}
}

// noticeFactor returns what the factor of an event is called, and how many uses are left of it. An account that cannot
// be read now does not keep the notice back.
func (g *Guard) noticeFactor(ctx context.Context, u mfa.User, ev mfa.Event) (name string, left int) {
	name = g.methodName(ev.Method)
	acct, err := g.engine.AccountOf(ctx, u)
	if err != nil {
		return name, 0
	}
	label, _ := ctx.Value(labelKey{}).(string)
	if f, ok := acct.Factor(ev.FactorID); ok {
		label = f.Label
	}
	if label != "" {
		name = g.pages.say("notice.named", "label", label, "method", name)
	}
	return name, g.codesLeft(acct)
}

// labelKey is that of the label of a factor that is being removed.
type labelKey struct{}

// naming carries the label of a factor to the notice of its removal, when the account no longer tells it.
func (g *Guard) naming(ctx context.Context, userID, factorID string) context.Context {
	acct, err := g.engine.Account(ctx, userID)
	if err != nil {
		return ctx
	}
	f, _ := acct.Factor(factorID)
	return context.WithValue(ctx, labelKey{}, f.Label)
}
