// Package mfatest holds kits that show whether a part keeps its contract. They are what Sallyport's own parts pass, and
// they are meant for parts of your own as well:
//
//	func TestMyStore(t *testing.T) {
//		mfatest.TestStore(t, func(t *testing.T) mfa.Store {
//			store := openEmptyStore(t) // closed by t.Cleanup
//			return store
//		})
//	}
//
// A Method is tested by TestMethod, which must be told how its factors come about and who answers for them.
//
// Run them with -race: much of what they ask is asked by many goroutines at once.
package mfatest
