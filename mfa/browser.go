package mfa

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Limits of remembered browsers.
const (
	MaxRemember   = 30 * 24 * time.Hour // no browser is remembered for longer (NIST SP 800-63B §5.1)
	MaxBrowsers   = 20                  // of an account; the one that was proved longest ago gives way
	tokenOverlap  = 30 * time.Second    // how long the requests of one moment may come with one token
	browserIDSize = 9
	tokenSize     = 32
)

// rememberBrowser puts a new series into the account and its token into done.
func (v Visit) rememberBrowser(acct *Account, proof Proof, now time.Time, done *Done) (Event, error) {
	id, err := randomID(browserIDSize)
	if err != nil {
		return Event{}, err
	}
	b := Browser{
		ID: id, Label: cut(v.Label), FactorID: proof.FactorID, At: proof.At, Until: now.Add(min(v.Remember, MaxRemember)),
		Verified: proof.Verified,
	}
	token, err := b.rotate("", now)
	if err != nil {
		return Event{}, err
	}
	acct.Browsers = slices.DeleteFunc(acct.Browsers, func(b Browser) bool { return !now.Before(b.Until) })
	if n := len(acct.Browsers); n >= MaxBrowsers {
		acct.Browsers = acct.Browsers[n-MaxBrowsers+1:]
	}
	acct.Browsers = append(acct.Browsers, b)
	done.Series, done.Token = id, token
	ev := v.event(BrowserAdded, Factor{ID: proof.FactorID}, acct)
	ev.Reason = cut(v.Label)
	return ev, nil
}

func hashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// rotate gives the series a new token, the successor of old, and returns it.
func (b *Browser) rotate(old string, now time.Time) (string, error) {
	secret := make([]byte, tokenSize)
	if _, err := io.ReadFull(rand.Reader, secret); err != nil {
		return "", fmt.Errorf("making a token: %w", err)
	}
	b.Secret, b.Previous, b.Rotated = secret, nil, now
	if old != "" {
		b.Previous = hashToken(old)
	}
	next := b.successor(old)
	b.Present = hashToken(next)
	return next, nil
}

// successor is the present token, for who holds the one before.
func (b *Browser) successor(old string) string {
	h := hmac.New(sha256.New, b.Secret)
	h.Write([]byte(old))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// Present gives a login what a remembered browser stands for: the proof that it was remembered with, at its own time. It
// counts only where Policy.Remembered says so. Done.Token is the browser's from now on. A token that is not known, or old
// and its successor in use, ends the series, since one of the two was copied. What is not remembered, or no longer, is
// the Refusal NotFound.
//
// The requests of one moment, from several tabs, all get the same successor. One whose answer was lost may come back
// with the old token later: it gets another successor, and the lost one is worth nothing, also to who has caught it.
func (e *Engine) Present(ctx context.Context, v Visit, series, token string) (Done, error) {
	var done Done
	err := e.change(ctx, v, func(acct *Account, now time.Time) (ruling, error) {
		done = Done{Account: acct.clone(), Series: series}
		i := slices.IndexFunc(acct.Browsers, func(b Browser) bool { return b.ID == series && now.Before(b.Until) })
		if i < 0 {
			return ruling{}, refuse(WhyNotFound, "this browser is not remembered")
		}
		b := &acct.Browsers[i]
		p := Proof{FactorID: b.FactorID, At: b.At, Until: b.Until, Verified: b.Verified, Device: b.ID}
		done.Proof, done.Assurance = p, v.carried(acct.Epoch, acct.Epoch).with(p)
		hash := hashToken(token)
		present := subtle.ConstantTimeCompare(hash, b.Present) == 1
		previous := subtle.ConstantTimeCompare(hash, b.Previous) == 1
		switch {
		case previous && now.Sub(b.Rotated) <= tokenOverlap:
			done.Token = b.successor(token)
			return ruling{}, errUnchanged
		case present || previous:
			var err error
			done.Token, err = b.rotate(token, now)
			return ruling{}, err
		}
		ev := v.event(BrowserStolen, Factor{ID: b.FactorID}, acct)
		ev.Reason = b.Label
		acct.Browsers = slices.Delete(acct.Browsers, i, i+1)
		return ruling{events: []Event{ev}, told: refuse(WhyNotFound, "its token is old")}, nil
	})
	switch {
	case errors.Is(err, errUnchanged):
		return done, nil
	case err != nil:
		return Done{}, err
	}
	return done, nil
}

// RenameBrowser changes what a remembered browser is called. It needs a proved session.
func (e *Engine) RenameBrowser(ctx context.Context, v Visit, series, label string) (Done, error) {
	label, err := CleanLabel(label)
	if err == nil && label == "" {
		err = refuse(WhyInvalid, "the name is empty")
	}
	if err != nil {
		return Done{}, err
	}
	return e.changeBrowsers(ctx, v, BrowserRenamed, func(acct *Account, _ time.Time) bool {
		i := slices.IndexFunc(acct.Browsers, func(b Browser) bool { return b.ID == series })
		if i >= 0 {
			acct.Browsers[i].Label = label
		}
		return i >= 0
	})
}

// ForgetBrowser ends one series. It needs a proved session.
func (e *Engine) ForgetBrowser(ctx context.Context, v Visit, series string) (Done, error) {
	return e.changeBrowsers(ctx, v, BrowserGone, func(acct *Account, _ time.Time) bool {
		n := len(acct.Browsers)
		acct.Browsers = slices.DeleteFunc(acct.Browsers, func(b Browser) bool { return b.ID == series })
		return len(acct.Browsers) < n
	})
}

// ForgetBrowsers ends all series, and every browser counts as unknown again. It needs a proved session.
func (e *Engine) ForgetBrowsers(ctx context.Context, v Visit) (Done, error) {
	return e.changeBrowsers(ctx, v, BrowserGone, func(acct *Account, now time.Time) bool {
		acct.Browsers, acct.KnownSince = nil, now
		return true
	})
}

func (e *Engine) changeBrowsers(ctx context.Context, v Visit, kind Kind, apply func(*Account, time.Time) bool) (Done, error) {
	var done Done
	err := e.change(ctx, v, func(acct *Account, now time.Time) (ruling, error) {
		if err := e.proved(acct, v); err != nil {
			return ruling{}, err
		}
		if !apply(acct, now) {
			return ruling{}, refuse(WhyNotFound, "the account remembers no such browser")
		}
		done = Done{Account: acct.clone(), Assurance: v.carried(acct.Epoch, acct.Epoch)}
		return ruling{events: []Event{v.event(kind, Factor{}, acct)}}, nil
	})
	return done, err
}
