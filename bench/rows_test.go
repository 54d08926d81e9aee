package main

import (
	"bytes"
	"flag"
	"strings"
	"testing"
	"time"
)

// RFC 6238, appendix B, cut to six digits.
func TestCodeOf(t *testing.T) {
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 20000000000: "353130"} {
		if got := codeAt([]byte("12345678901234567890"), uint64(at/30)); got != want {
			t.Errorf("the code at %d = %s, want %s", at, got, want)
		}
	}
	if code, err := codeOf("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", time.Unix(59, 0)); code != "287082" || err != nil {
		t.Errorf("codeOf = %s, %v, want 287082", code, err)
	}
}

func TestWrongCodeIsWrong(t *testing.T) {
	key, now := []byte("12345678901234567890"), time.Unix(1_800_000_000, 0)
	code := wrongCode(key, now)
	for step := int64(-1); step <= 1; step++ {
		if right := codeAt(key, uint64(now.Unix()/30+step)); right == code {
			t.Errorf("wrongCode = %s, which is right at step %+d", code, step)
		}
	}
}

// Every row can be measured: each side checks that it does what its name says, and fails otherwise.
func TestTheTable(t *testing.T) {
	fast(t)
	var out bytes.Buffer
	if err := run(&out, 1, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	table := out.String()
	if got, want := strings.Count(table, "\n|"), 2+7; got != want {
		t.Errorf("the table has %d lines, want %d:\n%s", got, want, table)
	}
	for _, name := range []string{"protected request", "session library", "pquerna/otp", "hmac.New", "go-webauthn", "ES256", "durable commit"} {
		if !strings.Contains(table, name) {
			t.Errorf("the table has no row about %q:\n%s", name, table)
		}
	}
}

// fast makes measurements short.
func fast(t *testing.T) {
	t.Helper()
	benchtime := flag.Lookup("test.benchtime")
	before := benchtime.Value.String()
	if err := benchtime.Value.Set("2ms"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := benchtime.Value.Set(before); err != nil {
			t.Error(err)
		}
	})
}
