package sallyport_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/mfa"
	"sallyport/sqlstore"
)

func TestRC1_AnotherUsersRecoveryCode(t *testing.T) {
	onStores(t, func(t *testing.T, open func() attackedStore) {
		s := newNodes(t, 1, open)
		alice, bob := s.enrolled("alice"), s.enrolled("bob")
		pending := alice.again("alice")
		if a := pending.recover(bob.codes[2]); a.status != http.StatusUnprocessableEntity {
			t.Errorf("bob's code in alice's session = %d, want 422", a.status)
		}
		pending.mustBeOut("account")
		if n := bob.codesLeft(); n != 10 {
			t.Errorf("bob has %d codes left, want 10", n)
		}
		if a := pending.recover(alice.codes[2]); a.status != http.StatusSeeOther {
			t.Errorf("alice's own code = %d, want 303", a.status)
		}
		pending.mustBeIn("account")
	})
}

func TestRC3_TheStoreHoldsNoCodeAndNoFastHashOfOne(t *testing.T) {
	file := filepath.Join(t.TempDir(), "accounts.db")
	s := newNodes(t, 1, sqlStore(t, sqlstore.SQLite,
		func() *sql.DB { return openDB(t, "sqlite", sqlstore.SQLiteDSN(file)) }))
	b := s.enrolled("alice")
	var dump []byte
	for _, name := range []string{file, file + "-wal"} {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		dump = append(dump, content...)
	}
	if !bytes.Contains(dump, []byte("alice")) {
		t.Fatal("the dump does not even hold the user's id")
	}
	keys, err := s.configs[0].Keys()
	if err != nil {
		t.Fatal(err)
	}
	secrets := disguises("the key of the ring", keys[0].Secret)
	for _, code := range b.codes {
		for _, spelled := range []string{code, strings.ReplaceAll(code, "-", ""), strings.ToLower(code)} {
			s1, s256 := sha1.Sum([]byte(spelled)), sha256.Sum256([]byte(spelled))
			s512, m5 := sha512.Sum512([]byte(spelled)), md5.Sum([]byte(spelled))
			for name, sum := range map[string][]byte{"a code": []byte(spelled), "SHA-1": s1[:], "SHA-256": s256[:],
				"SHA-512": s512[:], "MD5": m5[:]} {
				for what, text := range disguises(name, sum) {
					secrets[what] = text
					if bytes.Contains(dump, []byte(text)) {
						t.Errorf("the store holds %s", what)
					}
				}
			}
		}
	}
	for what, text := range secrets {
		if bytes.Contains(dump, []byte(text)) {
			t.Errorf("the store holds %s", what)
		}
	}
}

func TestRC4_CodesOfAnOlderSetAndUsedCodes(t *testing.T) {
	onStores(t, func(t *testing.T, open func() attackedStore) {
		s := newNodes(t, 1, open)
		owner := s.enrolled("alice")
		old := owner.codes
		if a := owner.again("alice").recover(old[1]); a.status != http.StatusSeeOther {
			t.Fatalf("a code of the first set = %d, want 303", a.status)
		}
		s.restart()
		again := owner.again("alice")
		if a := again.recover(old[1]); a.status != http.StatusUnprocessableEntity {
			t.Errorf("a used code after a restart = %d, want 422", a.status)
		}
		owner.saveCodes(owner.get("/mfa/enroll/recovery"))
		for _, code := range old {
			if a := again.recover(code); a.status != http.StatusUnprocessableEntity && a.status != http.StatusTooManyRequests {
				t.Errorf("a code of an older set = %d, want a refusal", a.status)
			}
		}
		again.mustBeOut("account")
		if a := again.recover(owner.codes[9]); a.status != http.StatusSeeOther {
			t.Errorf("a code of the new set = %d, want 303", a.status)
		}
	})
}

func TestRC6_UseOfACodeIsToldAndANewSetOffered(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	b := owner.again("alice")
	a := b.recover(owner.codes[1])
	if a.status != http.StatusSeeOther || !strings.HasPrefix(a.next, "/mfa/recovered") {
		t.Fatalf("a recovery code = %d to %q, want the page that tells how many are left", a.status, a.next)
	}
	page := text(b.get(a.next).body)
	if !strings.Contains(page, "9") || !strings.Contains(b.get(a.next).body, `href="/mfa/enroll/recovery`) {
		t.Errorf("the page after a recovery code names no 9 or offers no new set:\n%s", page)
	}
	if n := s.noticesOf("alice", mfa.RecoveryUsed); n != 1 {
		t.Errorf("the owner was told %d times, want once", n)
	}
	for _, n := range s.told() {
		if n.Event.Kind == mfa.RecoveryUsed && !strings.Contains(n.Text, "9 unused codes") {
			t.Errorf("the notice does not tell how many are left:\n%s", n.Text)
		}
	}
	b.saveCodes(b.follow(b.get("/mfa/enroll/recovery")))
	if n := b.codesLeft(); n != 10 {
		t.Errorf("%d codes are left of the new set, want 10", n)
	}
}

func TestRC7_TheLastCodeLocksNobodyOut(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	for i, code := range owner.codes {
		b := owner.again("alice")
		a := b.recover(code)
		if a.status != http.StatusSeeOther {
			t.Fatalf("code %d = %d, want 303", i, a.status)
		}
		if i == 9 && !strings.Contains(text(b.get(a.next).body), "0") {
			t.Errorf("the page after the last code does not tell that none is left:\n%s", text(b.get(a.next).body))
		}
	}
	b := owner.again("alice")
	page := b.get("/mfa/verify?choose=1")
	if strings.Contains(page.body, "/mfa/verify/recovery") {
		t.Error("recovery codes are offered though none is left")
	}
	b.mustBeOut("account")
	b.prove()
	b.mustBeIn("account")
}
