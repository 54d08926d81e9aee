package mfa

import "fmt"

const (
	accountVersion   = 1
	assuranceVersion = 1
	ticketVersion    = 1
)

// encode returns the account in its compact form.
func (acct *Account) encode() []byte {
	w := &writer{b: make([]byte, 0, 512)}
	w.b = append(w.b, accountVersion)
	w.uint(acct.Epoch)
	w.time(acct.KnownSince)
	w.time(acct.NoticedAt)
	writeList(w, acct.Factors, w.factor)
	for i := range acct.Lanes {
		w.lane(acct.Lanes[i])
	}
	writeList(w, acct.Answered, w.answered)
	writeList(w, acct.Live, w.live)
	writeList(w, acct.Browsers, w.browser)
	w.uint(acct.Events)
	w.text(acct.Preferences.FactorID)
	w.text(acct.Preferences.Language)
	w.texts(acct.Preferences.Muted)
	w.day(acct.Frees)
	return w.b
}

// decodeAccount reads what encode wrote.
func decodeAccount(b []byte) (*Account, error) {
	r := &reader{b: b}
	if v := r.byte(); r.err == nil && v != accountVersion {
		return nil, fmt.Errorf("account: version %d is not known", v)
	}
	acct := &Account{Epoch: r.uint(), KnownSince: r.time(), NoticedAt: r.time(), Factors: readList(r, r.factor)}
	for i := range acct.Lanes {
		acct.Lanes[i] = r.lane()
	}
	acct.Answered = readList(r, r.answered)
	acct.Live = readList(r, r.live)
	acct.Browsers = readList(r, r.browser)
	acct.Events = r.uint()
	acct.Preferences = Preferences{FactorID: r.text(), Language: r.text(), Muted: r.texts()}
	acct.Frees = r.day()
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("account: %w", err)
	}
	return acct, nil
}

func (w *writer) factor(f Factor) {
	w.text(f.ID)
	w.text(f.Method)
	w.text(f.Label)
	w.text(f.Key)
	w.int(int64(f.Strength))
	w.bytes(f.State)
	w.uint(uint64(f.Off))
	w.length(f.Wrong)
	w.bool(f.Managed)
	w.time(f.Created)
	w.time(f.LastUsed)
	w.time(f.Expires)
}

func (r *reader) factor() Factor {
	f := Factor{ID: r.text(), Method: r.text(), Label: r.text(), Key: r.text(), Strength: r.strength(), State: r.bytes()}
	off := r.uint()
	if off > uint64(knownReasons) {
		r.fail()
	}
	f.Off, f.Wrong, f.Managed = Off(off), r.count(), r.bool()
	f.Created, f.LastUsed, f.Expires = r.time(), r.time(), r.time()
	return f
}

func (r *reader) strength() Strength {
	n := r.int()
	if n < int64(Sent) || n > int64(PhishingResistant) {
		r.fail()
		return Sent
	}
	return Strength(n)
}

func (w *writer) lane(l Lane) {
	w.length(l.Row)
	w.time(l.Wait)
	writeList(w, l.Days, w.day)
	w.time(l.Swift.Since)
	w.length(l.Swift.Count)
	writeList(w, l.Sends, w.time)
	w.time(l.Forgiven)
}

func (r *reader) lane() Lane {
	return Lane{
		Row:      r.count(),
		Wait:     r.time(),
		Days:     readList(r, r.day),
		Swift:    Rate{Since: r.time(), Count: r.count()},
		Sends:    readList(r, r.time),
		Forgiven: r.time(),
	}
}

func (w *writer) day(d Day) {
	w.int(d.Number)
	w.length(d.Wrong)
	w.length(d.Forgiven)
}

func (r *reader) day() Day { return Day{Number: r.int(), Wrong: r.count(), Forgiven: r.count()} }

func (w *writer) answered(a Answered) {
	w.b = append(w.b, a.Ticket[:]...)
	w.b = append(w.b, byte(a.Lane))
	w.time(a.Until)
}

func (r *reader) answered() Answered {
	var a Answered
	a.Ticket, a.Lane, a.Until = r.ticketID(), LaneID(r.byte()), r.time()
	if a.Lane > UnknownLane {
		r.fail()
	}
	return a
}

func (r *reader) ticketID() (id TicketID) {
	r.fill(id[:])
	return id
}

func (w *writer) live(l Live) {
	w.text(l.FactorID)
	w.text(l.Session)
	w.text(l.Purpose)
	w.bytes(l.Hash)
	w.length(l.Wrong)
	w.time(l.Until)
}

func (r *reader) live() Live {
	return Live{FactorID: r.text(), Session: r.text(), Purpose: r.text(), Hash: r.bytes(), Wrong: r.count(), Until: r.time()}
}

func (w *writer) browser(b Browser) {
	w.text(b.ID)
	w.text(b.Label)
	w.bytes(b.Present)
	w.bytes(b.Previous)
	w.bytes(b.Secret)
	w.time(b.Rotated)
	w.text(b.FactorID)
	w.time(b.At)
	w.time(b.Until)
	w.bool(b.Verified)
}

func (r *reader) browser() Browser {
	return Browser{
		ID: r.text(), Label: r.text(), Present: r.bytes(), Previous: r.bytes(), Secret: r.bytes(), Rotated: r.time(),
		FactorID: r.text(), At: r.time(), Until: r.time(), Verified: r.bool(),
	}
}

// encode returns the proofs and epoch; user and login are bound by the seal.
func (a Assurance) encode() []byte {
	w := &writer{b: make([]byte, 0, 128)}
	w.b = append(w.b, assuranceVersion)
	w.uint(a.Epoch)
	writeList(w, a.Proofs, w.proof)
	return w.b
}

// decodeAssurance reads what encode wrote for this user and login.
func decodeAssurance(b []byte, userID, session string) (Assurance, error) {
	r := &reader{b: b}
	if v := r.byte(); r.err == nil && v != assuranceVersion {
		return Assurance{}, fmt.Errorf("assurance: version %d is not known", v)
	}
	a := Assurance{UserID: userID, Session: session, Epoch: r.uint(), Proofs: readList(r, r.proof)}
	if len(a.Proofs) > maxProofs {
		r.fail()
	}
	if err := r.end(); err != nil {
		return Assurance{}, fmt.Errorf("assurance: %w", err)
	}
	return a, nil
}

func (w *writer) proof(p Proof) {
	w.text(p.FactorID)
	w.time(p.At)
	w.time(p.Until)
	w.bool(p.Verified)
	w.text(p.Device)
}

func (r *reader) proof() Proof {
	return Proof{FactorID: r.text(), At: r.time(), Until: r.time(), Verified: r.bool(), Device: r.text()}
}

func (t ticket) encode() []byte {
	w := &writer{b: make([]byte, 0, 256)}
	w.b = append(w.b, ticketVersion)
	w.b = append(w.b, t.ID[:]...)
	w.uint(t.Epoch)
	w.text(t.Method)
	w.text(t.FactorID)
	w.time(t.Expires)
	w.length(t.Wrong)
	w.bytes(t.State)
	w.bytes(t.Before)
	w.time(t.BeforeAt)
	return w.b
}

func decodeTicket(b []byte) (ticket, error) {
	r := &reader{b: b}
	if v := r.byte(); r.err == nil && v != ticketVersion {
		return ticket{}, fmt.Errorf("ticket: version %d is not known", v)
	}
	t := ticket{
		ID: r.ticketID(), Epoch: r.uint(), Method: r.text(), FactorID: r.text(),
		Expires: r.time(), Wrong: r.count(), State: r.bytes(), Before: r.bytes(), BeforeAt: r.time(),
	}
	if err := r.end(); err != nil {
		return ticket{}, fmt.Errorf("ticket: %w", err)
	}
	return t, nil
}
