package mfatest_test

import (
	"testing"

	"sallyport/mfa"
	"sallyport/mfatest"
)

// A store of your own passes the kit in its own tests. Each call of the function opens an empty store.
func ExampleTestStore() {
	TestMyStore := func(t *testing.T) {
		mfatest.TestStore(t, func(*testing.T) mfa.Store { return mfa.NewMemory() })
	}
	_ = TestMyStore // go test calls it
}
