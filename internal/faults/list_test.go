package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestListInSecurityPageIsUpToDate(t *testing.T) {
	root := filepath.Join("..", "..")
	faults, err := readFaults(filepath.Join(root, "faults"))
	if err != nil {
		t.Fatal(err)
	}
	if len(faults) == 0 {
		t.Fatal("there is no fault")
	}
	page, err := os.ReadFile(filepath.Join(root, securityPage))
	if err != nil {
		t.Fatal(err)
	}
	want, err := withList(string(page), faults)
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != want {
		t.Errorf("the list of faults in %s is out of date: go run ./internal/faults -write", securityPage)
	}
}

func TestWithList(t *testing.T) {
	f := Fault{Name: "once", Package: "./mfa", Run: "^A|B$", Why: "a | b"}
	got, err := withList("before\n"+listBegins+"old\n"+listEnds+"after\n", []Fault{f})
	row := "| a \\| b | `^A\\|B$` in `mfa` | [once](../faults/once.fault) |\n"
	if err != nil || !strings.Contains(got, row) || strings.Contains(got, "old") ||
		!strings.HasPrefix(got, "before\n") || !strings.HasSuffix(got, "after\n") {
		t.Errorf("withList = %q, %v, want the row %q between before and after", got, err, row)
	}
	if _, err := withList("no marks", nil); err == nil {
		t.Error("withList without marks = nil, want an error")
	}
}
