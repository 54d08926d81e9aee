package mfa

import "context"

// askToVerify lets an Asker ask about an answer that would be judged now, and returns the state to judge it with. What
// would be refused anyway is not asked about: the judgment says so, and nobody outside learns of it.
func (e *Engine) askToVerify(ctx context.Context, v Visit, m Method, t ticket, answer []byte) ([]byte, error) {
	asker, ok := m.(Asker)
	if !ok {
		return t.State, nil
	}
	acct, err := e.AccountOf(ctx, v.User)
	if err != nil {
		return nil, err
	}
	now := e.now()
	f, err := e.asked(acct, m, t, answer, now)
	if err != nil || acct.refuseAnswered(t, now) != nil || e.mayJudge(acct, v, m, f, now) != nil {
		return t.State, nil
	}
	code, ok := canonical(m, f, answer)
	if !ok {
		return t.State, nil
	}
	return ask(ctx, asker, Attempt{User: v.User, Factor: f, State: t.State, Answer: code, Now: now})
}

// askToEnroll is askToVerify for the answer that confirms an enrollment.
func (e *Engine) askToEnroll(ctx context.Context, v Visit, m Method, t ticket, answer []byte) ([]byte, error) {
	asker, ok := m.(Asker)
	if !ok {
		return t.State, nil
	}
	acct, err := e.AccountOf(ctx, v.User)
	if err != nil {
		return nil, err
	}
	now := e.now()
	code, ok := canonical(m, Factor{}, answer)
	crowded := acct.crowded(v.lane(acct), now) > 0
	if !ok || crowded || e.mayEnroll(acct, v, m) != nil || acct.refuseAnswered(t, now) != nil {
		return t.State, nil
	}
	return ask(ctx, asker, Attempt{User: v.User, State: t.State, Answer: code, Now: now})
}

func ask(ctx context.Context, m Asker, a Attempt) ([]byte, error) {
	state, err := m.Ask(ctx, a)
	if state == nil {
		state = a.State
	}
	return state, err
}
