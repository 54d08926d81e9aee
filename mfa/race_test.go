package mfa_test

import (
	"testing"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

// In memory only the engines' own locks keep nodes apart, so three engines meet at the compare-and-swap of one store.
func TestRaces(t *testing.T) {
	enginetest.Races(t, enginetest.Size(10, 1000), func(*testing.T) []mfa.Store {
		store := mfa.NewMemory()
		return []mfa.Store{store, store, store}
	})
}
