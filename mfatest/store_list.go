package mfatest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/mfa"
)

var listTests = []storeTest{
	{"records are listed in the byte order of their ids, without those of no account", func(t *testing.T, s storeUnderTest) {
		lister := ability[mfa.Lister](t, s.Store, "Lister")
		want := []string{}
		for _, id := range oddIDs() {
			s.save(t, record(id, 0, "of "+id))
			if !strings.HasPrefix(id, "~") {
				want = append(want, id)
			}
		}
		slices.Sort(want)
		for _, limit := range []int{1, 7, len(want), 1000} {
			if got := listAll(t, lister, limit); !slices.Equal(got, want) {
				t.Errorf("List %d at a time = %q\nwant %q", limit, got, want)
			}
		}
	}},
	{"a listed record is as Load returns it", func(t *testing.T, s storeUnderTest) {
		lister := ability[mfa.Lister](t, s.Store, "Lister")
		r := record("alice", 0, "data", "key")
		r.Summary = mfa.Summary{Methods: []string{"recovery", "totp"}, LastUsed: noon, Stopped: true}
		s.save(t, r)
		s.save(t, record("bob", 0, ""))
		list, err := lister.List(t.Context(), "", 10)
		if err != nil || len(list) != 2 {
			t.Fatalf("List = %d records, %v; want 2", len(list), err)
		}
		for _, got := range list {
			sameRecord(t, got, s.load(t, got.UserID))
		}
	}},
	{"a list begins after an id and ends at the limit", func(t *testing.T, s storeUnderTest) {
		lister := ability[mfa.Lister](t, s.Store, "Lister")
		for _, id := range []string{"a", "b", "b\x00", "c", "~", "~x", "\x7f", "é"} {
			s.save(t, record(id, 0, id))
		}
		for _, c := range []struct {
			after string
			limit int
			want  []string
		}{
			{"", 2, []string{"a", "b"}},
			{"b", 1, []string{"b\x00"}},
			{"aa", 2, []string{"b", "b\x00"}},
			{"c", 2, []string{"\x7f", "é"}},
			{"}", 9, []string{"\x7f", "é"}},
			{"~", 9, []string{"\x7f", "é"}},
			{"~x", 1, []string{"\x7f"}},
			{"~y", 9, []string{"\x7f", "é"}},
			{"\x7f", 9, []string{"é"}},
			{"é", 9, nil},
			{"\xff\xff", 9, nil},
			{"", 0, nil},
			{"", -1, nil},
		} {
			got, err := lister.List(t.Context(), c.after, c.limit)
			if err != nil || !slices.Equal(userIDs(got), c.want) {
				t.Errorf("List after %q, limit %d = %q, %v; want %q", c.after, c.limit, userIDs(got), err, c.want)
			}
		}
	}},
}

func listAll(t *testing.T, lister mfa.Lister, limit int) []string {
	t.Helper()
	ids := []string{}
	for after := ""; ; after = ids[len(ids)-1] {
		page, err := lister.List(t.Context(), after, limit)
		if err != nil {
			t.Fatalf("List after %q = %v, want no error", after, err)
		}
		if len(page) > limit {
			t.Fatalf("List after %q = %d records, want at most %d", after, len(page), limit)
		}
		if len(page) == 0 {
			return ids
		}
		if ids = append(ids, userIDs(page)...); len(ids) > 10_000 {
			t.Fatal("List never ends")
		}
	}
}

func userIDs(list []mfa.Record) []string {
	var ids []string
	for _, r := range list {
		ids = append(ids, r.UserID)
	}
	return ids
}

func sameRecord(t *testing.T, got, want mfa.Record) {
	t.Helper()
	if g, w := fmt.Sprintf("%q %d %q %v %q %+v", got.UserID, got.Version, got.Data, got.Keys == nil, got.KeyID, got.Summary),
		fmt.Sprintf("%q %d %q %v %q %+v", want.UserID, want.Version, want.Data, want.Keys == nil, want.KeyID, want.Summary); g != w {
		t.Errorf("record = %s\nwant     %s", g, w)
	}
}

var checkTests = []storeTest{
	{"an empty store is accepted", func(t *testing.T, s storeUnderTest) {
		checker := ability[mfa.Checker](t, s.Store, "Checker")
		if err := checker.Check(t.Context(), nil, time.Now()); err != nil {
			t.Errorf("Check = %v, want nil", err)
		}
	}},
	{"every key id in use must be in the ring", func(t *testing.T, s storeUnderTest) {
		checker := ability[mfa.Checker](t, s.Store, "Checker")
		for i, id := range []string{"k1", "k2", "K2", "k2", "k9", ""} {
			r := record(fmt.Sprint("user", i), 0, "a")
			r.KeyID = id
			s.save(t, r)
		}
		if err := checker.Check(t.Context(), []string{"k2", "K2", "k1", "k9", "another"}, time.Now()); err != nil {
			t.Errorf("Check with all keys = %v, want nil", err)
		}
		err := checker.Check(t.Context(), []string{"k2", "k3"}, time.Now())
		plain(t, "Check without some keys", err)
		for _, id := range []string{"k1", "K2", "k9"} {
			if err != nil && !strings.Contains(err.Error(), `"`+id+`"`) {
				t.Errorf("Check = %q, want it to name the key %q", err, id)
			}
		}
		if err != nil && strings.Contains(err.Error(), `"k2"`) {
			t.Errorf("Check = %q, want it not to name a key of the ring", err)
		}
		if err := checker.Check(t.Context(), nil, time.Now()); err == nil {
			t.Error("Check without a ring = nil, want an error")
		}
	}},
	{"a key id that is no longer in use may go", func(t *testing.T, s storeUnderTest) {
		checker := ability[mfa.Checker](t, s.Store, "Checker")
		s.save(t, record("alice", 0, "a"))
		r := record("alice", 1, "b")
		r.KeyID = "k2"
		s.save(t, r)
		if err := checker.Check(t.Context(), []string{"k2"}, time.Now()); err != nil {
			t.Errorf("Check = %v, want nil", err)
		}
	}},
}
