package mfa

import (
	"context"
	"slices"
	"time"
	"unicode"
)

// Rename changes what a factor is called. It needs a proved session.
func (e *Engine) Rename(ctx context.Context, v Visit, factorID, label string) (Done, error) {
	label, err := CleanLabel(label)
	if err != nil {
		return Done{}, err
	}
	if label == "" {
		return Done{}, refuse(WhyInvalid, "the name is empty")
	}
	return e.manage(ctx, v, factorID, e.proved, func(acct *Account, i int, now time.Time) (Kind, error) {
		acct.Factors[i].Label = label
		return FactorRenamed, nil
	})
}

// Prefer makes a factor the one that is asked for first. It needs a proved session.
func (e *Engine) Prefer(ctx context.Context, v Visit, factorID string) (Done, error) {
	return e.manage(ctx, v, factorID, e.proved, func(acct *Account, i int, now time.Time) (Kind, error) {
		if acct.Factors[i].backup() {
			return "", refuse(WhyInvalid, "recovery codes stand in for another factor and cannot be preferred")
		}
		acct.Preferences.FactorID = factorID
		return FactorPreferred, nil
	})
}

// Pause takes a factor out of use until Resume. It needs what Gate asks for, and is refused for the last usable factor
// besides recovery codes, and for recovery codes while nothing else is usable.
func (e *Engine) Pause(ctx context.Context, v Visit, factorID string) (Done, error) {
	return e.manage(ctx, v, factorID, e.Gate, func(acct *Account, i int, now time.Time) (Kind, error) {
		f := &acct.Factors[i]
		if f.Managed {
			return "", refuse(WhyManaged, "it belongs to the organization")
		}
		if f.Usable(now, e.names) && !e.otherUsable(acct, i, now) {
			return "", refuse(WhyLastFactor, "it is the last one in use")
		}
		f.Off |= Paused
		e.changed(acct)
		return FactorPaused, nil
	})
}

// Resume puts a factor that its owner has paused into use again. It needs what Gate asks for.
func (e *Engine) Resume(ctx context.Context, v Visit, factorID string) (Done, error) {
	return e.manage(ctx, v, factorID, e.Gate, func(acct *Account, i int, now time.Time) (Kind, error) {
		acct.Factors[i].Off &^= Paused
		e.changed(acct)
		return FactorResumed, nil
	})
}

// Remove takes a factor out for good. It needs what Gate asks for. With the last factor besides them the recovery codes
// go too. It is refused while the others are all out of use, since that would lock the owner out.
func (e *Engine) Remove(ctx context.Context, v Visit, factorID string) (Done, error) {
	return e.manage(ctx, v, factorID, e.Gate, func(acct *Account, i int, now time.Time) (Kind, error) {
		f := acct.Factors[i]
		if f.Managed {
			return "", refuse(WhyManaged, "it belongs to the organization")
		}
		last := !slices.ContainsFunc(acct.Factors, func(o Factor) bool { return o.ID != f.ID && !o.backup() })
		if !last && f.Usable(now, e.names) && !e.otherUsable(acct, i, now) {
			return "", refuse(WhyLastFactor, "the others are out of use")
		}
		acct.Factors = slices.DeleteFunc(acct.Factors, func(o Factor) bool {
			return o.ID == f.ID || last && !f.backup() && o.Method == MethodRecovery
		})
		if acct.Preferences.FactorID == f.ID {
			acct.Preferences.FactorID = ""
		}
		e.changed(acct)
		return FactorRemoved, nil
	})
}

// EndSessions makes every other login of the user prove a factor again, on remembered browsers too. It needs a proved
// session.
func (e *Engine) EndSessions(ctx context.Context, v Visit) (Done, error) {
	var done Done
	err := e.change(ctx, v, func(acct *Account, now time.Time) (ruling, error) {
		if err := e.proved(acct, v); err != nil {
			return ruling{}, err
		}
		before := acct.Epoch
		acct.renew()
		done = Done{Account: acct, Assurance: v.carried(before, acct.Epoch)}
		return ruling{events: []Event{v.event(SessionsEnded, Factor{}, acct)}}, nil
	})
	if err != nil {
		return Done{}, err
	}
	return done, nil
}

// manage applies a change to one factor behind a check.
func (e *Engine) manage(ctx context.Context, v Visit, factorID string, check func(*Account, Visit) error,
	apply func(acct *Account, i int, now time.Time) (Kind, error),
) (Done, error) {
	var done Done
	err := e.change(ctx, v, func(acct *Account, now time.Time) (ruling, error) {
		if err := check(acct, v); err != nil {
			return ruling{}, err
		}
		i := acct.index(factorID)
		if i < 0 {
			return ruling{}, refuse(WhyNotFound, "the account has no such factor")
		}
		f, before, old := acct.Factors[i], acct.Epoch, slices.Clone(acct.Factors)
		kind, err := apply(acct, i, now)
		if err != nil {
			return ruling{}, err
		}
		if kept, ok := acct.Factor(factorID); ok {
			f = kept
		}
		done = Done{Factor: f.bare(), Account: acct, Assurance: v.carried(before, acct.Epoch)}
		events := []Event{v.event(kind, f, acct)}
		for _, o := range old {
			if o.ID != factorID && acct.index(o.ID) < 0 {
				events = append(events, v.event(FactorRemoved, o, acct))
			}
		}
		return ruling{events: events}, nil
	})
	if err != nil {
		return Done{}, err
	}
	return done, nil
}

// proved is the check of a session that has passed the second door.
func (e *Engine) proved(acct *Account, v Visit) error {
	switch d := e.decide(Policy{Min: Sent}, e.now(), v, acct); d.Action {
	case Allow:
		return nil
	case Enroll:
		return refuse(WhyMustEnroll, "")
	}
	return refuse(WhyMustVerify, "")
}

// otherUsable reports whether a factor besides the one at i and the recovery codes is usable.
func (e *Engine) otherUsable(acct *Account, i int, now time.Time) bool {
	for j, f := range acct.Factors {
		if j != i && !f.backup() && e.provable(f, now) {
			return true
		}
	}
	return false
}

// printable drops what ends a line, steers a terminal or turns the text around it from names.
func printable(r rune) rune {
	if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r) {
		return -1
	}
	return r
}
