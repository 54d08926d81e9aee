package sallyport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sallyport/mfa"
)

// A passkey works at the RP ID that it was made for and nowhere else, so a site that changes its RP ID locks out whoever
// has nothing but passkeys. The RP ID is therefore remembered, and New refuses another one while passkeys are left.

const (
	rpRecord    = "~passkey-rp-id" // no account; what it holds is no secret, and opens nothing
	orphansTime = time.Minute      // for reading every account, which only a change of the RP ID asks for
	orphansPage = 500
)

// checkRPID compares the RP ID with the one that was remembered.
func (g *Guard) checkRPID() error {
	if g.keys == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), orphansTime)
	defer cancel()
	store := guardedStore{g.c.Store}
	rec, err := store.Load(ctx, rpRecord)
	if err != nil {
		return fmt.Errorf("Store: reading the RP ID of the passkeys: %w", err)
	}
	before, now := string(rec.Data), g.keys.RPID()
	if before == now {
		return nil
	}
	if before != "" && !g.keys.Abandoned(before) {
		if err := g.refuseOrphans(ctx, before); err != nil {
			return err
		}
	}
	err = store.Save(ctx, mfa.Record{UserID: rpRecord, Version: rec.Version, Data: []byte(now)}, nil)
	if err != nil && !errors.Is(err, mfa.ErrConflict) { // another process has just remembered it
		return fmt.Errorf("Store: remembering the RP ID of the passkeys: %w", err)
	}
	return nil
}

// refuseOrphans counts the users whose passkeys belong to an earlier RP ID.
func (g *Guard) refuseOrphans(ctx context.Context, before string) error {
	now := g.keys.RPID()
	lister, ok := g.c.Store.(mfa.Lister)
	if !ok {
		return fmt.Errorf("Methods: the RP ID of the passkeys was %q and is %q, where none of them work, and the store "+
			"cannot list whose they are: change it back", before, now)
	}
	lost, all, err := g.countOrphans(ctx, lister)
	switch {
	case err != nil:
		return fmt.Errorf("Methods: the RP ID of the passkeys was %q and is %q; counting whose would be lost: %w", before, now, err)
	case lost > 0:
		return fmt.Errorf("Methods: the RP ID of the passkeys was %q and is %q: %d of %d users would lose theirs. Change it "+
			"back: pages of another origin can use them by passkey.Config.RelatedOrigins. To lose them, name it in "+
			"passkey.Config.Abandoned", before, now, lost, all)
	}
	return nil
}

// countOrphans returns how many users have a passkey that works no longer, and how many there are.
func (g *Guard) countOrphans(ctx context.Context, lister mfa.Lister) (lost, all int, err error) {
	after := ""
	for {
		records, err := guarded("Store.List", func() ([]mfa.Record, error) { return lister.List(ctx, after, orphansPage) })
		if err != nil || len(records) == 0 {
			return lost, all, err
		}
		for _, rec := range records {
			acct, err := g.engine.Account(ctx, rec.UserID)
			if err != nil {
				return lost, all, err
			}
			if all++; g.keys.Orphans(acct.Factors) > 0 {
				lost++
			}
		}
		after = records[len(records)-1].UserID
	}
}
