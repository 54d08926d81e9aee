package courier

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Tries of one delivery.
const (
	tries     = 3
	firstWait = 250 * time.Millisecond
	tryTime   = 8 * time.Second // of one try
	allTime   = 20 * time.Second
)

// passing is an error that may be gone at the next try.
type passing struct{ error }

func (p passing) Unwrap() error { return p.error }

// retry calls deliver until it has worked, failed for good, or been tried often enough.
func retry(ctx context.Context, deliver func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, allTime)
	defer cancel()
	wait := firstWait
	for try := 1; ; try++ {
		err := once(ctx, deliver)
		var again passing
		if err == nil || try == tries || !errors.As(err, &again) {
			return err
		}
		timer := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w (given up after %d tries: %w)", err, try, ctx.Err())
		}
		wait *= 2
	}
}

func once(ctx context.Context, deliver func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	return deliver(ctx)
}
