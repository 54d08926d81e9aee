package mfatest_test

import (
	"testing"

	"sallyport/mfa"
	"sallyport/mfatest"
)

func TestMemory(t *testing.T) {
	mfatest.TestStore(t, func(t *testing.T) mfa.Store {
		m := mfa.NewMemory()
		t.Cleanup(func() { m.Close() })
		return m
	})
}
