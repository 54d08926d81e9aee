package sallyport

import (
	"context"
	"time"

	"sallyport/mfa"
)

// guardedStore is the site's store for the engine: each call ends in time, and a panic is an error.
type guardedStore struct{ mfa.Store }

// callTime is how long one call of the store may take.
const callTime = 2 * time.Second

func (s guardedStore) Load(ctx context.Context, userID string) (mfa.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return guarded("Store.Load", func() (mfa.Record, error) { return s.Store.Load(ctx, userID) })
}

func (s guardedStore) Save(ctx context.Context, rec mfa.Record, events []mfa.Event) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	_, err := guarded("Store.Save", func() (struct{}, error) { return struct{}{}, s.Store.Save(ctx, rec, events) })
	return err
}

func (s guardedStore) Find(ctx context.Context, key string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return guarded("Store.Find", func() (string, error) { return s.Store.Find(ctx, key) })
}
