package sallyport_test

import "testing"

func TestTheWholeWay(t *testing.T) {
	s := newSite(t)
	b := s.enrolled("alice")
	b.mustBeIn("account")
	b.mustBeIn("vault")
	other := b.again("alice")
	other.mustBeOut("account")
	other.prove()
	other.mustBeIn("account")
}
