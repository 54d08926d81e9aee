package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The repository under test: one check, tests that notice its loss in different ways, and some that do not.
var small = map[string]string{
	"go.mod": "module small\n\ngo 1.26\n",
	"door/door.go": `package door

func Open(code int) bool {
	if code != 42 {
		return false
	}
	return true
}
`,
	"door/door_test.go": `package door

import (
	"os"
	"testing"
)

func TestWrongCode(t *testing.T) {
	if Open(1) {
		t.Error("a wrong code opens")
	}
}

func TestSubtests(t *testing.T) {
	t.Run("wrong", func(t *testing.T) {
		if Open(1) {
			t.Error("a wrong code opens")
		}
	})
	t.Run("right", func(t *testing.T) {})
}

func TestPanic(t *testing.T) {
	if Open(1) {
		panic("a wrong code opens")
	}
}

func TestExit(t *testing.T) {
	if Open(1) {
		os.Exit(3)
	}
}

func TestHang(t *testing.T) {
	for Open(1) {
	}
}

func TestSkip(t *testing.T) { t.Skip("no door here") }

func TestRightCode(t *testing.T) {
	if !Open(42) {
		t.Error("the right code does not open")
	}
}
`,
	"bad/bad.go":      "package bad\n\nconst A = 1\n",
	"bad/bad_test.go": "package bad\n\nimport \"testing\"\n\nfunc TestBad(t *testing.T) { t.Error(\"always\") }\n",
}

func smallRunner(t *testing.T) runner {
	t.Helper()
	t.Setenv("GOWORK", "off")
	t.Setenv("GOFLAGS", "")
	root := t.TempDir()
	for name, text := range small {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return runner{root: root, scratch: t.TempDir(), timeout: 2 * time.Second, parallel: 2}
}

func fault(name, test, old, new string) Fault {
	return Fault{
		Name: name, File: "door/door.go", Package: "./door", Run: test, Why: "a wrong code does not open",
		Edits: []Edit{{old, new}},
	}
}

func TestVerdicts(t *testing.T) {
	r := smallRunner(t)
	const check, gone = "code != 42", "code == 43"
	for _, c := range []struct {
		fault         Fault
		verdict, text string
	}{
		{fault("a test that fails", "^TestWrongCode$", check, gone), killed, ""},
		{fault("a subtest that fails", "^TestSubtests$/^wrong$", check, gone), killed, ""},
		{fault("a test that panics", "^TestPanic$", check, gone), killed, ""},
		{fault("a test that does not look", "^TestRightCode$", check, gone), survived, "1 tests passed"},
		{fault("a test that is skipped", "^TestSkip$", check, gone), unusable, "skipped"},
		{fault("a test that is not there", "^TestNone$", check, gone), unusable, "no test ran"},
		{fault("a test that hangs", "^TestHang$", check, gone), unusable, "timed out"},
		{fault("a process that ends", "^TestExit$", check, gone), unusable, "without a verdict"},
		{fault("code that does not compile", "^TestWrongCode$", check, "code != "), unusable, "does not compile"},
		{fault("code that vet would refuse", "^TestRightCode$", "return true", "return true == true || code == code"), survived, ""},
		{fault("text that is not there", "^TestWrongCode$", "code != 41", gone), unusable, "0 times"},
		{fault("text that is there twice", "^TestWrongCode$", "return", "panic"), unusable, "2 times"},
	} {
		var got report
		err := r.run(t.Context(), []Fault{c.fault}, func(rep report) { got = rep })
		if err != nil {
			t.Errorf("%s: run = %v", c.fault.Name, err)
			continue
		}
		if got.Verdict != c.verdict || !strings.Contains(got.Because, c.text) {
			t.Errorf("%s: verdict = %s (%s), want %s (%s)\n%s", c.fault.Name, got.Verdict, got.Because, c.verdict, c.text, got.Output)
		}
	}
}

func TestNothingOnDiskChanges(t *testing.T) {
	r := smallRunner(t)
	var out bytes.Buffer
	faults := []Fault{
		fault("noticed", "^TestWrongCode$", "code != 42", "code == 43"),
		fault("unnoticed", "^TestRightCode$", "code != 42", "code == 43"),
	}
	err := tryAll(t.Context(), r, faults, &out)
	if err == nil || !strings.Contains(err.Error(), "1 of 2") {
		t.Errorf("tryAll = %v, want an error that counts 1 of 2", err)
	}
	if want := "2 faults: 1 killed, 1 survived, 0 unusable\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("tryAll printed\n%s\nwant %q at the end", out.String(), want)
	}
	got, err := os.ReadFile(filepath.Join(r.root, "door", "door.go"))
	if err != nil || string(got) != small["door/door.go"] {
		t.Errorf("door.go = %q, %v, want it unchanged", got, err)
	}
}

func TestATestMustPassWithoutTheFault(t *testing.T) {
	r := smallRunner(t)
	f := Fault{Name: "x", File: "bad/bad.go", Package: "./bad", Run: "^TestBad$", Why: "x", Edits: []Edit{{"A = 1", "A = 2"}}}
	err := r.run(t.Context(), []Fault{f}, func(report) { t.Error("a fault was tried") })
	if err == nil || !strings.Contains(err.Error(), "fails without any fault (TestBad)") {
		t.Errorf("run = %v, want an error that names TestBad", err)
	}
	f.Package = "./nowhere"
	if err := r.run(t.Context(), []Fault{f}, func(report) { t.Error("a fault was tried") }); err == nil {
		t.Error("run of a package that does not exist = nil, want an error")
	}
}

func TestStopped(t *testing.T) {
	r := smallRunner(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := fault("x", "^TestWrongCode$", "code != 42", "code == 43")
	if err := r.run(ctx, []Fault{f}, func(report) {}); err == nil {
		t.Error("run after cancel = nil, want an error")
	}
}

func TestPartsAreAllFaultsOnce(t *testing.T) {
	all := make([]Fault, 10)
	for i := range all {
		all[i].Name = string(rune('a' + i))
	}
	seen := map[string]int{}
	for _, share := range []string{"1/3", "2/3", "3/3"} {
		list, err := part(all, share)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			seen[f.Name]++
		}
	}
	for _, f := range all {
		if seen[f.Name] != 1 {
			t.Errorf("%s is in %d of three parts, want 1", f.Name, seen[f.Name])
		}
	}
	for _, share := range []string{"", "0/3", "4/3", "1", "1/0", "-1/3", "1/3x", "11/11"} {
		if list, err := part(all, share); err == nil {
			t.Errorf("part(%q) = %d faults, want an error", share, len(list))
		}
	}
}

func TestAFaultWhoseTextIsGoneIsNamed(t *testing.T) {
	r := smallRunner(t)
	moved := fault("moved", ". -run TestRightCode", "no such text", "x")
	if err := textsAreThere(r.root, []Fault{moved}); err == nil || !strings.Contains(err.Error(), "moved") {
		t.Errorf("textsAreThere = %v, want the fault's name", err)
	}
}
