package mfatest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/mfa"
)

var recordTests = []storeTest{
	{"a record that does not exist has version 0 and no data", func(t *testing.T, s storeUnderTest) {
		for _, id := range []string{"alice", "~sends", ""} {
			r := s.load(t, id)
			if r.UserID != id || r.Version != 0 || len(r.Data) != 0 || r.Keys != nil || r.KeyID != "" || !sameSummary(r.Summary, mfa.Summary{}) {
				t.Errorf("Load(%q) = %+v, want only the user id", id, r)
			}
		}
	}},
	{"loading makes no record", func(t *testing.T, s storeUnderTest) {
		s.holds(t, "alice", 0, "")
		s.holds(t, "alice", 0, "")
		s.save(t, record("alice", 0, "first"))
	}},
	{"each save adds one to the version", func(t *testing.T, s storeUnderTest) {
		for v, data := range []string{"first", "second", "third"} {
			s.save(t, record("alice", int64(v), data))
			s.holds(t, "alice", int64(v)+1, data)
		}
	}},
	{"key id and summary come back, to the microsecond", testSummary},
	{"key id and summary are replaced", func(t *testing.T, s storeUnderTest) {
		r := record("alice", 0, "a")
		r.Summary = mfa.Summary{Methods: []string{"totp"}, LastUsed: noon, Stopped: true}
		s.save(t, r)
		s.save(t, mfa.Record{UserID: "alice", Version: 1, Data: []byte("b"), KeyID: "k2"})
		if got := s.load(t, "alice"); got.KeyID != "k2" || !sameSummary(got.Summary, mfa.Summary{}) {
			t.Errorf("Load = key id %q, summary %+v; want k2 and the zero summary", got.KeyID, got.Summary)
		}
	}},
	{"data may be empty, nil or a megabyte", func(t *testing.T, s storeUnderTest) {
		big := large(1 << 20)
		for v, data := range [][]byte{nil, []byte(big), {}, []byte("\x00"), nil} {
			s.save(t, mfa.Record{UserID: "alice", Version: int64(v), Data: data})
			s.holds(t, "alice", int64(v)+1, string(data))
		}
	}},
	{"what was passed in or given out is not shared", testNotShared},
	{"ids are compared byte by byte", func(t *testing.T, s storeUnderTest) {
		for _, id := range oddIDs() {
			s.save(t, record(id, 0, "of "+id))
		}
		for _, id := range oddIDs() {
			if r := s.load(t, id); r.UserID != id {
				t.Errorf("Load(%q).UserID = %q", id, r.UserID)
			}
			s.holds(t, id, 1, "of "+id)
		}
	}},
	{"an id that is too long is an error and saves nothing", func(t *testing.T, s storeUnderTest) {
		long := strings.Repeat("x", mfa.MaxStoreID+1)
		plain(t, "Save with a long user id", s.Save(t.Context(), record(long, 0, "a"), nil))
		s.holds(t, long, 0, "")
		plain(t, "Save with a long key", s.Save(t.Context(), record("alice", 0, "a", long), nil))
		plain(t, "Save with a long event id", s.Save(t.Context(), record("alice", 0, "a"), []mfa.Event{event(long, "alice", 1)}))
		s.holds(t, "alice", 0, "")
	}},
}

func testSummary(t *testing.T, s storeUnderTest) {
	for v, want := range []mfa.Summary{
		{Methods: []string{"passkey", "recovery", "totp"}, LastUsed: noon, Stopped: true},
		{Methods: []string{"totp"}, LastUsed: noon.In(time.FixedZone("", 3600))},
		{LastUsed: time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC)},
		{LastUsed: time.Date(2106, 2, 7, 6, 28, 16, 1000, time.UTC)},
		{Stopped: true},
	} {
		r := record("alice", int64(v), "a")
		r.KeyID, r.Summary = "20260701-AbC_-9", want
		s.save(t, r)
		got := s.load(t, "alice")
		if got.KeyID != r.KeyID || !sameSummary(got.Summary, want) {
			t.Errorf("Load = key id %q, summary %+v; want %q, %+v", got.KeyID, got.Summary, r.KeyID, want)
		}
		if got.Keys != nil {
			t.Errorf("Load filled in the keys %q, want nil", got.Keys)
		}
	}
}

func sameSummary(got, want mfa.Summary) bool {
	return slices.Equal(got.Methods, want.Methods) && got.Stopped == want.Stopped && sameTime(got.LastUsed, want.LastUsed)
}

// sameTime compares to the microsecond; the zero time is nothing but itself.
func sameTime(got, want time.Time) bool {
	return got.IsZero() == want.IsZero() && got.Truncate(time.Microsecond).Equal(want.Truncate(time.Microsecond))
}

func testNotShared(t *testing.T, s storeUnderTest) {
	r := record("alice", 0, "data", "key")
	r.Summary.Methods = []string{"totp"}
	ev := event("e1", "alice", 1)
	s.save(t, r, ev)
	r.Data[0], r.Keys[0], r.Summary.Methods[0], ev.MAC[0] = 'X', "X", "X", 9
	got := s.load(t, "alice")
	if len(got.Data) > 0 && len(got.Summary.Methods) > 0 {
		got.Data[0], got.Summary.Methods[0] = 'Y', "Y"
	}
	s.holds(t, "alice", 1, "data")
	if got := s.load(t, "alice"); !slices.Equal(got.Summary.Methods, []string{"totp"}) {
		t.Errorf("methods = %q, want those that were saved", got.Summary.Methods)
	}
	s.owned(t, "key", "alice")
	s.owned(t, "X", "")
	for _, ev := range s.events(t, "alice") {
		if string(ev.MAC) != "\x01" {
			t.Errorf("MAC = %x, want what was saved", ev.MAC)
		}
		ev.MAC[0] = 7
	}
	if list := s.events(t, "alice"); len(list) != 1 || string(list[0].MAC) != "\x01" {
		t.Errorf("events = %+v, want what was saved", list)
	}
}

// oddIDs are all different, though many a database or program takes some of them for the same.
func oddIDs() []string {
	return []string{
		"alice", "ALICE", "Alice", "alice ", " alice", "alice\t", "alice\x00", "alice\x00x", "al\x00ice", "\x00",
		"älice", "a\u0308lice", "ÄLICE", "straße", "strasse", "ﬁ", "fi", "İ", "i", "I", "ı", "日本", "🔑", "\u200dalice", "\ufeffalice",
		"\xff", "\xfe\xff", "alice\xc3", "\xed\xa0\x80", "1", "01", "1.0", "1e0", "0x1", "-1", "9223372036854775808",
		"%", "_", "al%", "al_ce", "alice'--", `alice"`, "alice`", `alice\`, `\x616c696365`, "$1", "?", ":name", "@name", "{skip}",
		"null", "NULL", "nil", "true", "alice\n", "alice\r\n", "~", "~sends", "~SENDS", "~~", "\x7f", "}", "*", "alice:bob",
		strings.Repeat("x", mfa.MaxStoreID), strings.Repeat("x", mfa.MaxStoreID-1), strings.Repeat("é", mfa.MaxStoreID/2),
	}
}
